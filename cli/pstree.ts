/** `flux pstree`: the jobs of an instance, and of the instances among them, as a tree. */

import { type Command, Option } from 'commander';
import { FluxError } from '../core/errno.ts';
import type { FluidForm } from '../core/formats/fluid.ts';
import type { Handle } from '../core/handle/handle.ts';
import type { JsonObject } from '../core/json.ts';
import { integer, PYTHON_USAGE_ERROR, runCommand, subcommand, withHandle } from './command.ts';
import { askInstance, eachOf, fetchInstances } from './instance-info.ts';
import { attributesOf, jobFormat, needInstances } from './job-fields.ts';
import { DEFAULT_COUNT, listJobs, lookUpJobs, parseUser, type WrittenId } from './job-list-request.ts';
import { parseStateFilter, RUNNING, type StateFilter } from './job-naming.ts';
import { drawTree, makeTree, type Tree } from './job-tree.ts';
import { addId } from './jobs-options.ts';
import { JobInfo } from './listed-job.ts';
import type { OutputFormat } from './output-format.ts';
import { print } from './print.ts';

/** How many instances are asked at a time, of each one's jobs. */
const INSTANCES_AT_A_TIME = 32;

/** The width that lines are cut to where nobody knows that of the terminal. */
const DEFAULT_WIDTH = 132;

const RESOURCES = ['nnodes', 'ncores', 'ngpus'].flatMap((count) =>
  ['all', 'allocated'].map((state) => `{instance.resources.${state}.${count}:>5}`),
);

/** What stands in front of the tree. */
const detailFormats: Readonly<Record<string, string>> = {
  default: '{id.f58:>12} {username:<8.8} {status_abbrev:>2.2} {ntasks:>6h} {nnodes:>6h} {runtime!F:>8h}',
  resources: `{id.f58:>12} ${RESOURCES.join(' ')}`,
  progress:
    '{id.f58:>12} {ntasks:>6h} {instance.stats.total:>6} {instance.progress!P:>5} {instance.utilization!P:>5} ' +
    '{instance.gpu_utilization!P:>5} {runtime!H:>10}',
  stats: '{id.f58:>12} {instance.stats:^25} {runtime!H:>10}',
};

interface PstreeOptions {
  all?: boolean;
  count: number;
  filter: string;
  extended?: boolean;
  long?: boolean;
  level: number;
  parentIds?: boolean;
  header: boolean;
  combine: boolean;
  label?: string;
  parentLabel?: string;
  detailFormat?: string;
  details?: string;
  compact?: boolean;
  ascii?: boolean;
  skipRoot?: 'yes' | 'no';
}

/** `flux pstree [OPTIONS] [JOBID...]` */
export function run(args: readonly string[]): Promise<number> {
  const command = define(subcommand('pstree', 'Show jobs as a tree, with the jobs of those that are instances.'));
  command.action((ids: WrittenId[] = [], options: PstreeOptions) => {
    const isFiltered = ['all', 'count', 'filter'].some((name) => command.getOptionValueSource(name) === 'cli');
    if (ids.length && isFiltered) console.error('flux-pstree: options that filter are ignored where ids are given');
    return pstree(ids, options);
  });
  return runCommand(command, args, PYTHON_USAGE_ERROR);
}

function define(command: Command): Command {
  return command
    .argument('[JOBID...]', 'only these jobs, and what is in them', addId)
    .option('-a, --all', 'Jobs in all states, and show these.')
    .option('-c, --count <N>', 'No more than N jobs of each instance.', integer, DEFAULT_COUNT)
    .option('-f, --filter <STATE|RESULT,...>', 'Jobs in one of these states, or with one of these results.', 'running')
    .option('-x, --extended', 'Print details in front of the tree.')
    .option('-d, --details <NAME>', `Which details: ${Object.keys(detailFormats).join(', ')}.`)
    .option('--detail-format <FORMAT>', 'A format of details.')
    .option('-n, --no-header', 'Leave the headings of the details out.')
    .option('-l, --long', 'Do not cut lines off at the width of the terminal.')
    .option('-L, --level <N>', 'Go no deeper than N levels.', integer, Number.POSITIVE_INFINITY)
    .option('-p, --parent-ids', 'Show the ids of instances.')
    .option('-X, --no-combine', 'Do not put jobs together that look the same.')
    .option('-o, --label <FORMAT>', "How jobs are shown (default: '{name}').")
    .option('--parent-label <FORMAT>', 'How instances are shown.')
    .option('-C, --compact', 'Draw a narrow tree.')
    .option('--ascii', 'Draw it with ASCII characters.')
    .addOption(new Option('--skip-root <yes|no>', 'Leave out the enclosing instance.').choices(['yes', 'no']));
}

async function pstree(ids: readonly WrittenId[], options: PstreeOptions): Promise<void> {
  if (options.ascii && options.compact) console.error('flux-pstree: --compact goes before --ascii');
  const formats = chooseFormats(options);
  const skipRoot = options.skipRoot ? options.skipRoot === 'yes' : formats.prefix !== undefined || ids.length > 0;
  const filter = parseStateFilter((options.all ? 'pending,running,inactive' : options.filter).split(','));
  const grower = new TreeGrower(formats, filter, options);
  const tree = await withHandle((handle) => grower.root(handle, ids, skipRoot));
  if (formats.prefix && options.header) print(formats.prefix.header());
  const style = options.compact ? 'compact' : options.ascii ? 'ascii' : 'box';
  for (const line of drawTree(tree, { style, skipRoot, width: options.long ? undefined : terminalWidth() }))
    print(line);
}

interface Formats {
  readonly label: OutputFormat<JobInfo>;
  readonly parent: OutputFormat<JobInfo>;
  readonly prefix: OutputFormat<JobInfo> | undefined;
}

function chooseFormats(options: PstreeOptions): Formats {
  const { all, label, extended, details, detailFormat, parentIds } = options;
  const parent = options.parentLabel || label || '{name}';
  const prefix = detailFormat || (details || extended ? namedDetails(details || 'default') : undefined);
  return {
    label: jobFormat(label || (all ? '{name}:{status_abbrev}' : '{name}')),
    parent: jobFormat(parentIds ? `{id.f58} ${parent}` : parent),
    prefix: prefix === undefined ? undefined : jobFormat(prefix),
  };
}

function namedDetails(name: string): string {
  if (Object.hasOwn(detailFormats, name)) return detailFormats[name]!;
  const names = Object.keys(detailFormats).join(', ');
  throw new FluxError('EINVAL', `--details: there is no format '${name}'; there are ${names}`);
}

function terminalWidth(): number {
  return Number(process.env.COLUMNS) || (process.stdout.isTTY && process.stdout.columns) || DEFAULT_WIDTH;
}

class TreeGrower {
  readonly #formats: Formats;
  readonly #filter: StateFilter;
  readonly #options: PstreeOptions;
  readonly #attrs: readonly string[];
  readonly #needInstances: boolean;

  constructor(formats: Formats, filter: StateFilter, options: PstreeOptions) {
    const { label, parent, prefix } = formats;
    const fields = [label, parent, prefix].flatMap((format) => format?.fieldNames ?? []);
    this.#formats = formats;
    this.#filter = filter;
    this.#options = options;
    this.#attrs = attributesOf([...fields, 'state', 'uri']);
    this.#needInstances = needInstances(fields);
  }

  /** The tree of this instance, or of some of its jobs. */
  async root(handle: Handle, ids: readonly WrittenId[], skipRoot: boolean): Promise<Tree> {
    const job = skipRoot ? undefined : await fetchRoot(handle);
    if (job && this.#needInstances) await fetchInstances([job], INSTANCES_AT_A_TIME);
    // Without its root a tree has instances and other jobs that run at its first level.
    const filter = skipRoot ? { states: RUNNING, results: 0 } : this.#filter;
    const jobs = ids.length ? await lookUpJobs(handle, ids, this.#attrs) : await this.#list(handle, filter);
    const branches = await this.#branches(jobs, 0);
    const label = job ? this.#formats.parent.row(job) : '.';
    return makeTree(label, job ? this.#prefix(job) : '', branches, this.#options.combine);
  }

  #list(handle: Handle, filter: StateFilter): Promise<JobInfo[]> {
    const { count } = this.#options;
    return listJobs(handle, { attrs: this.#attrs, filter, userid: parseUser(undefined), count });
  }

  #prefix(job: JobInfo): string {
    return this.#formats.prefix?.row(job) ?? '';
  }

  async #branches(jobs: readonly JobInfo[], level: number): Promise<Tree[]> {
    if (this.#needInstances) await fetchInstances(jobs, INSTANCES_AT_A_TIME);
    const trees = new Map<JobInfo, Tree>();
    await eachOf(jobs, INSTANCES_AT_A_TIME, async (job) => {
      trees.set(job, await this.#branch(job, level));
    });
    return jobs.map((job) => trees.get(job)!);
  }

  async #branch(job: JobInfo, level: number): Promise<Tree> {
    if (job.uri === undefined || !job.isRunning) return makeTree(this.#formats.label.row(job), this.#prefix(job), []);
    const below = level < this.#options.level ? await this.#inside(job.uri, level + 1) : [];
    return makeTree(this.#formats.parent.row(job), this.#prefix(job), below, this.#options.combine);
  }

  /** The jobs of an instance; none when it cannot be reached, or has no job services yet. */
  async #inside(uri: string, level: number): Promise<Tree[]> {
    const jobs = await askInstance(uri, (handle) => this.#list(handle, this.#filter));
    return this.#branches(jobs ?? [], level);
  }
}

/** The outermost instance, which is no job; it is called `.`. */
class RootInfo extends JobInfo {
  override encodeId(_form: FluidForm): string {
    return '.';
  }
}

/** The enclosing instance: as its parent knows it, or else as it knows itself. */
async function fetchRoot(handle: Handle): Promise<JobInfo> {
  const size = Number(await handle.attribute('size'));
  const known = await fetchFromParent(handle);
  // Ranks of the parent would be confusing.
  const ranks = `0-${size - 1}`;
  if (known) return new JobInfo({ ...known.raw, ranks }, known.now);
  const [uri, nodelist, owner, start] = await Promise.all([
    handle.attribute('local-uri'),
    handle.attribute('hostlist'),
    handle.attribute('security.owner'),
    handle.attribute('broker.starttime').catch(() => '0'),
  ]);
  const annotations: JsonObject = { user: { uri } };
  const own = { id: 0, userid: Number(owner), state: 16, name: '.', t_run: Number(start), annotations };
  return new RootInfo({ ...own, ntasks: size, nnodes: size, nodelist, ranks });
}

async function fetchFromParent(handle: Handle): Promise<JobInfo | undefined> {
  const attributes = [handle.attribute('jobid'), handle.attribute('parent-uri')];
  const [text, uri] = await Promise.all(attributes).catch(() => []);
  if (text === undefined || uri === undefined) return undefined;
  const jobs = await askInstance(uri, (parent) => lookUpJobs(parent, addId(text), ['all']));
  return jobs?.[0];
}
