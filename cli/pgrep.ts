/** `flux pgrep`: looks for jobs by their names. */

import type { Command } from 'commander';
import type { FluxError } from '../core/errno.ts';
import type { Handle } from '../core/handle/handle.ts';
import { Exit, integer, PYTHON_USAGE_ERROR, runCommand, subcommand, withHandle } from './command.ts';
import { fetchInstances } from './instance-info.ts';
import { attributesOf, jobFormat, needInstances } from './job-fields.ts';
import { DEFAULT_COUNT, listJobs } from './job-list-request.ts';
import { PGREP_DEFAULT, pgrepFormats } from './jobs-formats.ts';
import { listQuery, type SelectOptions, selectOptions } from './jobs-options.ts';
import type { JobInfo } from './listed-job.ts';
import { type JobMatch, parseExpressions } from './pgrep-match.ts';

/** How many instances are asked at a time. */
const INSTANCES_AT_A_TIME = 32;

/** Which jobs are searched, and how many that match are taken. */
export interface SearchOptions extends SelectOptions {
  count: number;
  maxEntries: number;
}

interface PgrepOptions extends SearchOptions {
  header: boolean;
  format: string;
}

/** `flux pgrep [OPTIONS] EXPRESSION...` */
export function run(args: readonly string[]): Promise<number> {
  const command = searchOptions(subcommand('pgrep', 'Look for jobs by their names.'))
    .option('-n, --no-header', 'Leave the headings out.')
    .option('-o, --format <FORMAT>', "A format of the table, or the name of one; 'help' lists those.", 'default')
    .action((expressions: string[], options: PgrepOptions) => pgrep(expressions, options));
  return runCommand(command, args, PYTHON_USAGE_ERROR);
}

/** Adds the argument and the options that say which jobs are meant. */
export function searchOptions(command: Command): Command {
  return selectOptions(command)
    .argument('<EXPRESSION...>', 'a pattern that names match, or a range of ids: ID..ID')
    .option('-c, --count <N>', 'No more than the first N jobs that match.', integer, Number.POSITIVE_INFINITY)
    .option('--max-entries <N>', 'Search no more than N jobs.', integer, DEFAULT_COUNT);
}

/** Reads expressions; says what is wrong with them and ends the command when they are none. */
export function readExpressions(program: string, expressions: readonly string[]): JobMatch {
  try {
    return parseExpressions(expressions);
  } catch (error) {
    console.error(`${program}: wrong expression: ${(error as FluxError).message}`);
    throw new Exit(2);
  }
}

/** The jobs that match; ends the command when there are none. */
export async function findJobs(
  handle: Handle,
  match: JobMatch,
  { count, maxEntries, ...select }: SearchOptions,
  attrs: readonly string[],
): Promise<JobInfo[]> {
  const { a, filter } = select;
  // -a goes with --filter here, in place of giving way to it.
  const states = a && filter ? { filter: [...filter, 'pending', 'running', 'inactive'], a: false } : {};
  const query = listQuery({ ...select, ...states, count: maxEntries }, ['name', ...attrs]);
  const found = (await listJobs(handle, query)).filter(match).slice(0, Math.max(0, count));
  if (found.length === 0) throw new Exit(1);
  return found;
}

async function pgrep(expressions: readonly string[], options: PgrepOptions): Promise<void> {
  const chosen = pgrepFormats().choose(options.format);
  const format = jobFormat(chosen);
  const match = readExpressions('flux-pgrep', expressions);
  const fields = format.fieldNames;
  const found = await withHandle(async (handle) => {
    const jobs = await findJobs(handle, match, options, attributesOf(fields));
    if (needInstances(fields)) await fetchInstances(jobs, INSTANCES_AT_A_TIME);
    return jobs;
  });
  const isBare = options.format === 'default' && chosen === PGREP_DEFAULT;
  const lines = format.lines(found, { header: options.header && !isBare });
  process.stdout.write(lines.map((line) => `${line}\n`).join(''));
}
