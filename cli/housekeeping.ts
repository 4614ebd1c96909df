/** `flux housekeeping`: what tidies nodes up when a job has ended. */

import { about, FluxError } from '../core/errno.ts';
import { encodeFluid, type FluidForm, fluidForms, parseFluid } from '../core/formats/fluid.ts';
import type { Hostlist } from '../core/formats/hostlist.ts';
import { IdSet } from '../core/formats/idset.ts';
import { type JsonObject, real } from '../core/json.ts';
import { integer, PYTHON_USAGE_ERROR, reader, withHandle } from './command.ts';
import { fetchHosts, ranksOf } from './hosts.ts';
import { loadFormats, type NamedFormats } from './named-formats.ts';
import { type NestedCommand, runNested } from './nested.ts';
import { distinctFormat, type Field, type Fields, OutputFormat } from './output-format.ts';
import { print } from './print.ts';
import { type TableOptions, tableOptions } from './resource-options.ts';

const SIGTERM = 15;

/** The housekeeping of a job; or of several that the columns shown do not tell apart. */
export interface HousekeepingJob {
  readonly id: bigint;
  /** Seconds since the epoch. */
  readonly start: number;
  readonly runtime: number;
  /** The ranks that the job had and that housekeeping still has. */
  readonly allocated: IdSet;
  /** Those on which it still runs. */
  readonly pending: IdSet;
}

const formats: NamedFormats = {
  default: {
    description: 'Default flux-housekeeping format string',
    format: '{id.f58:>12} {nnodes:>6} {pending.nnodes:>7} {runtime!F:>8} {nodelist}',
  },
  pending: {
    description: 'flux-housekeeping format string including active nodes only',
    format: '{id.f58:>12} {pending.nnodes:>7} {runtime!F:>8} {pending.nodelist}',
  },
};

function idField(form: FluidForm): Field<HousekeepingJob> {
  return { heading: 'JOBID', value: ({ id }) => encodeFluid(id, form) };
}

/** The fields that formats may name; `hosts` are those of the instance. */
export function housekeepingFields(hosts: Hostlist): Fields<HousekeepingJob> {
  const nodelist = (ranks: IdSet): string => hosts.pick(ranks).encode();
  return {
    id: { heading: 'JOBID', value: ({ id }) => id, plain: ({ id }) => encodeFluid(id, 'f58') },
    ...Object.fromEntries(fluidForms.map((form) => [`id.${form}`, idField(form)])),
    t_start: { heading: 'T_START', value: ({ start }) => real(start) },
    runtime: { heading: 'RUNTIME', value: ({ runtime }) => real(runtime) },
    ranks: { heading: 'RANKS', value: ({ allocated }) => allocated.encode() },
    nodelist: { heading: 'NODELIST', value: ({ allocated }) => nodelist(allocated) },
    nnodes: { heading: 'NNODES', value: ({ allocated }) => allocated.count },
    'allocated.ranks': { heading: 'RANKS', value: ({ allocated }) => allocated.encode() },
    'allocated.nodelist': { heading: 'NODELIST', value: ({ allocated }) => nodelist(allocated) },
    'allocated.nnodes': { heading: 'NNODES', value: ({ allocated }) => allocated.count },
    'pending.ranks': { heading: 'ACTIVE_RANKS', value: ({ pending }) => pending.encode() },
    'pending.nodelist': { heading: 'ACTIVE_NODES', value: ({ pending }) => nodelist(pending) },
    'pending.nnodes': { heading: '#ACTIVE', value: ({ pending }) => pending.count },
  };
}

/** What is added up where jobs are put together. */
const collectedFields = ['nodelist', 'ranks', 'nnodes', 'pending.nodelist', 'pending.ranks', 'pending.nnodes'];

interface Running {
  readonly t_start: number;
  readonly pending: string;
  readonly allocated: string;
}

/**
 * Reads the table of an answer of `job-manager.stats-get`.
 *
 * @param now seconds since the epoch
 * @param include only these ranks; none of them: all
 */
export function readHousekeeping(
  running: Readonly<Record<string, Running>>,
  now: number,
  include = IdSet.empty,
): HousekeepingJob[] {
  const kept = (text: string): IdSet => {
    const ranks = IdSet.parse(text);
    return include.count ? ranks.intersect(include) : ranks;
  };
  const jobs = Object.entries(running).map(([id, { t_start, pending, allocated }]) => {
    const start = Number(t_start);
    return { id: parseFluid(id), start, runtime: now - start, pending: kept(pending), allocated: kept(allocated) };
  });
  return jobs.filter(({ allocated }) => allocated.count);
}

/** Puts jobs together that `key` does not tell apart. */
export function combineJobs(
  jobs: readonly HousekeepingJob[],
  key: (job: HousekeepingJob) => string,
): HousekeepingJob[] {
  const combined = new Map<string, HousekeepingJob>();
  for (const job of jobs) {
    const first = combined.get(key(job));
    const pending = first?.pending.union(job.pending);
    const allocated = first?.allocated.union(job.allocated);
    combined.set(key(job), first && pending && allocated ? { ...first, pending, allocated } : job);
  }
  return [...combined.values()];
}

interface KillOptions {
  signal: number;
  targets?: string;
  jobid?: bigint;
  all?: boolean;
}

const jobid = reader(parseFluid);

const commands: Readonly<Record<string, NestedCommand>> = {
  list: {
    summary: 'List the jobs after which housekeeping runs',
    define: (command) =>
      tableOptions(command)
        .option('-i, --include <TARGETS>', 'Only these ranks, an idset, or these hosts, a hostlist.')
        .action(list),
  },
  kill: {
    summary: 'Send a signal to housekeeping',
    define: (command) =>
      command
        .option('-s, --signal <NUMBER>', 'The signal.', integer, SIGTERM)
        .option('-t, --targets <TARGETS>', 'On these ranks, an idset, or these hosts, a hostlist.')
        .option('-j, --jobid <ID>', 'That of this job.', jobid)
        .option('--all', 'That of all jobs.')
        .action(kill),
  },
};

/** `flux housekeeping COMMAND …` */
export function run(args: readonly string[]): Promise<number> {
  const description = 'Show and end what tidies nodes up when a job has ended.';
  return runNested('housekeeping', description, commands, args, PYTHON_USAGE_ERROR);
}

async function list({ include, format: option, header }: TableOptions & { include?: string }): Promise<void> {
  await withHandle(async (handle) => {
    const [hosts, stats] = await Promise.all([fetchHosts(handle), handle.rpc('job-manager.stats-get', {})]);
    const ranks = include ? targetRanks(include, hosts, '--include') : undefined;
    const text = loadFormats('flux-housekeeping', formats, { replaceable: true }).choose(option);
    const fields = housekeepingFields(hosts);
    const format = new OutputFormat(text, fields);
    const distinct = new OutputFormat(distinctFormat(text, collectedFields), fields);
    const { running } = stats.housekeeping as JsonObject;
    const jobs = readHousekeeping(running as unknown as Record<string, Running>, Date.now() / 1000, ranks);
    for (const line of format.lines(
      combineJobs(jobs, (job) => distinct.row(job)),
      { header },
    ))
      print(line);
  });
}

async function kill({ signal: signum, targets, jobid, all }: KillOptions): Promise<void> {
  if (jobid === undefined && targets === undefined && !all)
    throw new FluxError('EINVAL', 'what is meant? Say --targets, --jobid or --all');
  if (jobid !== undefined && all) throw new FluxError('EINVAL', '--jobid and --all exclude each other');
  await withHandle(async (handle) => {
    const ranks = targets ? targetRanks(targets, await fetchHosts(handle), '--targets').encode() : undefined;
    await handle.rpc('job-manager.housekeeping-kill', { signum, jobid: jobid || undefined, ranks });
  });
}

function targetRanks(targets: string, hosts: Hostlist, option: string): IdSet {
  try {
    return ranksOf(targets, hosts);
  } catch (error) {
    throw about(`${option}: '${targets}'`, error);
  }
}
