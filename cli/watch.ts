/** `flux watch`: what jobs write, and how they end. */

import process from 'node:process';
import { FluxError } from '../core/errno.ts';
import { parseFluid } from '../core/formats/fluid.ts';
import type { Handle } from '../core/handle/handle.ts';
import {
  describe,
  Exit,
  increase,
  integer,
  PYTHON_USAGE_ERROR,
  reader,
  runCommand,
  subcommand,
  withHandle,
} from './command.ts';
import { findJobs, jobConstraint, listJobs } from './job-select.ts';
import { JobWatcher } from './job-watch.ts';
import { jobsBar } from './progress-bar.ts';
import { readPointInTime } from './read-time.ts';
import { addNames } from './resource-options.ts';

interface Options {
  active?: boolean;
  all?: boolean;
  count: number;
  filter?: string[];
  since?: string;
  progress?: boolean;
  jps?: boolean;
  labelIo?: boolean;
  verbose: number;
}

const attrs = ['state', 'result', 't_submit'];

const jobid = reader((text) => {
  parseFluid(text);
  return text;
});

/** `flux watch [OPTIONS] [ID…]` */
export function run(args: readonly string[]): Promise<number> {
  const command = subcommand(
    'watch',
    'Follow jobs: print what they write, and end with the highest of their exit codes.',
  )
    .argument('[id...]', 'jobs; else options say which', (text: string, ids: string[] = []) => [...ids, jobid(text)])
    .option('-a, --active', 'All jobs that have not ended.')
    .option('-A, --all', 'All jobs.')
    .option('-c, --count <N>', 'No more than N jobs; 0 is no limit.', integer, 0)
    .option('-f, --filter <STATE|RESULT,...>', 'Jobs in these states, or with these results.', addNames)
    .option('--since <WHEN>', 'Of the jobs that have ended, those that did so behind this time.')
    .option('--progress', 'Show a bar on the last line of the terminal.')
    .option('--jps', 'Show in the bar how many jobs end in a second, not how much time has passed.')
    .option('-l, --label-io', 'Put the job and the rank of the task in front of each line.')
    .option('-v, --verbose', 'Tell how jobs end; given twice, tell of all their events.', increase, 0)
    .action((ids: string[], options: Options) => watch(ids, options));
  return runCommand(command, args, PYTHON_USAGE_ERROR);
}

function say(text: string): void {
  console.error(`flux-watch: ${text}`);
}

async function watch(ids: readonly string[] = [], options: Options): Promise<void> {
  const { since, count, verbose, progress = false, jps: rate = false, labelIo: label = false } = options;
  const names = filterNames(options);
  if (ids.length && (names.length || count)) say('with ids of jobs, options that select jobs mean nothing');
  const from = since === undefined ? 0 : readSince(since);
  if (!ids.length && !names.length) {
    say("which jobs? Name some, or say --active, --all or --filter\nTry `flux watch --help' for more information.");
    throw new Exit(1);
  }
  const exitCode = await withHandle(async (handle) => {
    const constraint = jobConstraint(process.getuid!(), names);
    const jobs = ids.length
      ? await findJobs(handle, ids, attrs, say)
      : await listJobs(handle, { constraint, attrs, count, since: from });
    if (verbose) say(`watching ${jobs.length} jobs`);
    if (!jobs.length) {
      say('there are no such jobs');
      return 0;
    }
    if (progress && !process.stdout.isTTY) say('--progress is for terminals');
    const start = options.all || since !== undefined ? Math.max(from, await startTime(handle)) : undefined;
    const bar = progress && process.stdout.isTTY;
    const watcher = new JobWatcher(
      handle,
      { showOutput: true, labelIo: label, verbose, start },
      bar ? jobsBar(rate) : undefined,
    );
    const sinks = {
      stdout: (data: string | Buffer) => void process.stdout.write(data),
      stderr: (data: string | Buffer) => void process.stderr.write(data),
    };
    await Promise.all(jobs.map(({ id }) => watcher.follow(BigInt(id as number | bigint), sinks, undefined)));
    return watcher.exitCode;
  });
  throw new Exit(exitCode);
}

/** The states and results that options select. */
function filterNames({ active, all, filter = [], since }: Options): string[] {
  const names = [...filter];
  if (active) names.push('pending', 'running');
  if (all || (since !== undefined && !filter.length)) names.push('pending', 'running', 'inactive');
  return names;
}

/** Wrong times are wrong command lines, as far as exit codes go. */
function readSince(text: string): number {
  try {
    const time = readPointInTime(text);
    if (time <= Date.now() / 1000) return time;
    throw new FluxError('EINVAL', 'this is in the future');
  } catch (error) {
    say(`--since: '${text}': ${describe(error)}`);
    throw new Exit(PYTHON_USAGE_ERROR);
  }
}

/** When the instance was started, in seconds since the epoch. */
async function startTime(handle: Handle): Promise<number> {
  return Number(await handle.attribute('broker.starttime'));
}
