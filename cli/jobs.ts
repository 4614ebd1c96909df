/** `flux jobs`: lists jobs. */

import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import { FluxError } from '../core/errno.ts';
import { encodePythonJson } from '../core/formats/python-json.ts';
import type { Handle } from '../core/handle/handle.ts';
import { type JsonObject, type JsonValue, parseJson } from '../core/json.ts';
import { isObject } from '../core/message/unpack.ts';
import { Exit, integer, PYTHON_USAGE_ERROR, runCommand, subcommand, withHandle } from './command.ts';
import { askInstance, eachOf, fetchInstances } from './instance-info.ts';
import { attributesOf, jobFormat, needInstances } from './job-fields.ts';
import { jobToJson } from './job-json.ts';
import { type JobQuery, listJobs, lookUpJobs, type WrittenId } from './job-list-request.ts';
import { describeStats, fetchJobStats, type JobStats } from './job-stats.ts';
import { jobsFormats } from './jobs-formats.ts';
import { addId, type ListOptions, listOptions, listQuery } from './jobs-options.ts';
import { JobInfo } from './listed-job.ts';
import { cutLine, type OutputFormat } from './output-format.ts';
import { print } from './print.ts';
import { type ColorOption, colorOption, isColored } from './terminal.ts';

/** How many instances are asked at a time when nobody says. */
const DEFAULT_THREADS = 32;

interface JobsOptions extends ListOptions {
  header: boolean;
  suppressHeader?: boolean;
  format: string;
  sort?: string;
  width?: number;
  json?: boolean;
  color?: ColorOption;
  recursive?: boolean;
  level: number;
  recurseAll?: boolean;
  threads: number;
  stats?: boolean;
  statsOnly?: boolean;
  fromStdin?: boolean;
}

/** `flux jobs [OPTIONS] [JOBID...]` */
export function run(args: readonly string[]): Promise<number> {
  const command = define(subcommand('jobs', 'List jobs.'));
  command.action((ids: WrittenId[] = [], options: JobsOptions) => {
    if (ids.length && isFiltered(command) && !options.recursive)
      console.error('flux-jobs: options that filter are ignored where ids are given');
    return jobs(ids, options);
  });
  return runCommand(command, args, PYTHON_USAGE_ERROR);
}

function define(command: Command): Command {
  listOptions(command)
    .argument('[JOBID...]', 'only these jobs', addId)
    .option('-n, --no-header', 'Leave the headings out.')
    .option('-o, --format <FORMAT>', "A format of the table, or the name of one; 'help' lists those.", 'default')
    .option('--sort <KEY,...>', 'Sort by these fields; a minus before one turns its order round.')
    .option('-w, --width [N]', 'Cut lines off behind N columns; without N, at the width of the terminal.', integer)
    .option('--json', 'Print JSON.');
  return colorOption(command, '--color')
    .option('-R, --recursive', 'List also the jobs of instances that are jobs.')
    .option('-L, --level <N>', 'With --recursive, no deeper than N levels.', integer, Number.POSITIVE_INFINITY)
    .option('--recurse-all', 'List also the jobs of instances of other users.')
    .option('--threads <N>', 'Ask no more than N instances at a time.', integer, DEFAULT_THREADS)
    .option('--stats', 'Print counts of jobs first.')
    .option('--stats-only', 'Print nothing but these; fail when no job is active.')
    .addOption(command.createOption('--suppress-header').hideHelp())
    .addOption(command.createOption('--from-stdin', 'Read jobs from standard input, JSON on each line.').hideHelp());
}

const filters = ['a', 'A', 'user', 'filter', 'queue', 'count', 'since', 'name'];

function isFiltered(command: Command): boolean {
  return filters.some((name) => command.getOptionValueSource(name) === 'cli');
}

async function jobs(ids: readonly WrittenId[], options: JobsOptions): Promise<void> {
  if (options.json && (options.stats || options.statsOnly))
    throw new FluxError('EINVAL', '--json does not go with --stats and --stats-only');
  const wanted = jobFormat(jobsFormats().choose(options.format));
  if (options.stats || options.statsOnly) await printStats(options);
  if (options.sort) wanted.sortBy(options.sort);
  const lister = new Lister(options, wanted.fieldNames);
  const list = options.fromStdin ? await readJobs() : await withHandle((handle) => lister.fetch(handle, ids));
  const { isTruncated } = lister;
  // What could not be had was said already.
  if (ids.length && list.length === 0) throw new Exit(1);
  const hasHeader = options.header && !options.suppressHeader && !options.json;
  if (options.json) await printJson(list, ids.length === 1, lister);
  else {
    const format = wanted.fitted(list, options.header && !options.suppressHeader);
    const printer = new Printer(options, format, lister);
    if (hasHeader) printer.header();
    await printer.jobs(list);
  }
  if (hasHeader && isTruncated)
    console.error(
      `flux-jobs: there are more than ${options.count} jobs; --count lists more of them, and filters tell which`,
    );
}

async function printStats({ queue, statsOnly }: JobsOptions): Promise<void> {
  const stats = await withHandle((handle) => fetchJobStats(handle, queue));
  print(`${describeStats(stats)}, ${stats.inactive_purged} inactive purged`);
  if (statsOnly) throw new Exit(stats.active ? 0 : 1);
}

/** Jobs of standard input, as job-list would tell of them. */
async function readJobs(): Promise<JobInfo[]> {
  const lines = (await text(process.stdin)).split('\n');
  if (lines.at(-1) === '') lines.pop();
  const now = Date.now() / 1000;
  return lines.map((line, index) => {
    try {
      return new JobInfo(readJob(parseJson(line)), now);
    } catch (error) {
      throw new FluxError('EINVAL', `standard input, line ${index + 1}: ${(error as Error).message}`);
    }
  });
}

function readJob(value: JsonValue): JsonObject {
  if (!isObject(value)) throw new FluxError('EINVAL', 'this is not a JSON object');
  return value;
}

/** Gets jobs of this instance and of those below. */
class Lister {
  readonly #options: JobsOptions;
  readonly #attrs: readonly string[];
  readonly #needInstances: boolean;
  #query: JobQuery | undefined;
  /** Whether at the last list there were more jobs than `--count` lets through. */
  isTruncated = false;

  constructor(options: JobsOptions, fields: readonly string[]) {
    const more = [
      ...(isColored(options.color) ? ['result', 'annotations'] : []),
      ...(options.recursive || options.recurseAll ? ['annotations', 'status', 'userid'] : []),
    ];
    this.#options = options;
    this.#attrs = options.json ? ['all'] : attributesOf([...fields, ...more]);
    this.#needInstances = needInstances(fields);
  }

  get #threads(): number {
    return Math.max(1, this.#options.threads);
  }

  async fetch(handle: Handle, ids: readonly WrittenId[] = []): Promise<JobInfo[]> {
    const list = ids.length ? await lookUpJobs(handle, ids, this.#attrs) : await this.#list(handle);
    if (this.#needInstances) await fetchInstances(list, this.#threads);
    return list;
  }

  /** One job more than wanted shows that there are more. */
  async #list(handle: Handle): Promise<JobInfo[]> {
    const { count } = this.#options;
    this.#query ??= { ...listQuery(this.#options, this.#attrs), count: count > 0 ? count + 1 : count };
    const list = await listJobs(handle, this.#query);
    this.isTruncated = count > 0 && list.length > count;
    return this.isTruncated ? list.slice(0, count) : list;
  }

  /** The instances among jobs that the user wants to look into. */
  #instances(list: readonly JobInfo[], level: number): readonly JobInfo[] {
    const { recursive, recurseAll, level: deepest } = this.#options;
    if ((!recursive && !recurseAll) || level === deepest) return [];
    const own = process.getuid!();
    return list.filter((job) => job.uri !== undefined && job.isRunning && (recurseAll || job.raw.userid === own));
  }

  /** The jobs of an instance; none when it cannot be reached, or has no job services yet. */
  async #descend(job: JobInfo): Promise<Inside> {
    const inside = await askInstance(job.uri!, async (handle) => {
      const list = await this.fetch(handle);
      return { list, stats: this.#options.stats ? await fetchJobStats(handle) : undefined };
    });
    return inside ?? nothing;
  }

  /** The jobs of the instances among jobs that the user wants to look into, in the order of the list. */
  async descendAll(list: readonly JobInfo[], level: number): Promise<ReadonlyMap<JobInfo, Inside>> {
    const instances = this.#instances(list, level);
    const found = new Map(instances.map((job) => [job, nothing]));
    await eachOf(instances, this.#threads, async (job) => {
      found.set(job, await this.#descend(job));
    });
    return found;
  }
}

interface Inside {
  readonly list: readonly JobInfo[];
  readonly stats: JobStats | undefined;
}

const nothing: Inside = { list: [], stats: undefined };

/** Instances have a key `jobs` with theirs. */
async function printJson(list: readonly JobInfo[], isOne: boolean, lister: Lister): Promise<void> {
  const objects = await jsonObjects(list, lister, 0);
  print(encodePythonJson(isOne ? objects[0]! : { jobs: objects }, true));
}

async function jsonObjects(list: readonly JobInfo[], lister: Lister, level: number): Promise<JsonObject[]> {
  const inside = await lister.descendAll(list, level);
  const objects = list.map(async (job) => {
    const below = inside.get(job);
    const own = jobToJson(job);
    return below ? { ...own, jobs: await jsonObjects(below.list, lister, level + 1) } : own;
  });
  return Promise.all(objects);
}

class Printer {
  readonly #format: OutputFormat<JobInfo>;
  readonly #lister: Lister;
  readonly #isColored: boolean;
  readonly #cut: (line: string) => string;

  constructor(options: JobsOptions, format: OutputFormat<JobInfo>, lister: Lister) {
    this.#format = format;
    this.#lister = lister;
    this.#isColored = isColored(options.color);
    const width = options.width === undefined ? 0 : columnsOf(options.width);
    this.#cut = width > 0 ? (line) => cutLine(line, width) : (line) => line;
  }

  header(): void {
    print(this.#cut(this.#format.header()));
  }

  /** Prints jobs, and below them those of the instances among them. */
  async jobs(list: readonly JobInfo[], path: readonly string[] = []): Promise<void> {
    const rows = this.#format.fitted(list).rows(list);
    process.stdout.write(rows.map(({ item, line }) => this.#paint(item, `${this.#cut(line)}\n`)).join(''));
    const shown = rows.map(({ item }) => item);
    for (const [job, { list: below, stats }] of await this.#lister.descendAll(shown, path.length)) {
      const where = [...path, job.encodeId('f58')];
      print(`\n${where.join('/')}:`);
      if (stats) print(describeStats(stats));
      await this.jobs(below, where);
    }
  }

  #paint(job: JobInfo, line: string): string {
    const style = this.#isColored ? styleOf(job) : undefined;
    return style === undefined ? line : `\x1b[${style}m${line}\x1b[0;0m`;
  }
}

/** The colours of results; instances that run have one, too. */
const resultStyles: Readonly<Record<string, string>> = {
  COMPLETED: '01;32',
  FAILED: '01;31',
  CANCELED: '37',
  TIMEOUT: '01;31',
};

function styleOf(job: JobInfo): string | undefined {
  return resultStyles[job.result.name] ?? (job.uri === undefined ? undefined : '01;34');
}

/** `true` is what `--width` without N comes as. */
function columnsOf(width: number | true): number {
  if (width !== true && width !== 0) return width;
  return process.stdout.isTTY ? process.stdout.columns : 0;
}
