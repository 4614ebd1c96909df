/** Brings all jobs back from the KVS, as their event logs tell, and what else the manager was to remember. */

import type { ServiceContext } from '../../core/broker/service.ts';
import { asFluxError, FluxError } from '../../core/errno.ts';
import type { EventlogEntry } from '../../core/formats/eventlog.ts';
import { encodeFluid, parseFluid } from '../../core/formats/fluid.ts';
import { JobState } from '../../core/formats/job-state.ts';
import { LookupFlag } from '../../core/formats/kvs-flags.ts';
import { Kvs, PRIMARY_NAMESPACE } from '../../core/handle/kvs.ts';
import { KvsTransaction } from '../../core/handle/kvs-transaction.ts';
import type { JsonObject } from '../../core/json.ts';
import { unpack } from '../../core/message/unpack.ts';
import type { Archive } from './archive.ts';
import type { History, Past } from './history.ts';
import { InactiveJob, Job, JobFlag, Priority } from './job.ts';
import type { Jobs } from './jobs.ts';
import type { QueueGate } from './parts.ts';
import { applyEvent } from './state-machine.ts';

/** Where the manager keeps what no event log tells. */
export const CHECKPOINT_KEY = 'checkpoint.job-manager';
const CHECKPOINT_VERSION = 1;
/** Levels of directories from `job` to one job (RFC 16). */
const LEVELS = 4;
/** Directories or jobs that are read at a time. */
const READ_AHEAD = 256;

export interface RestartHost {
  readonly context: ServiceContext;
  readonly jobs: Jobs;
  readonly archive: Archive;
  readonly queues: Pick<QueueGate, 'restore'>;
  /** A job is active again. */
  restored(job: Job): void;
  /** A job was over before; `job` is it as its events have made it, where they were read. */
  restoredInactive(inactive: InactiveJob, job: Job | undefined): void;
}

/**
 * Loads all jobs; those whose data can't be read are moved to `job-lost+found`.
 *
 * @param past jobs whose event logs need not be read
 * @throws FluxError when the KVS can't be read
 */
export async function restoreJobs(host: RestartHost, past: Past | undefined): Promise<void> {
  const active: Job[] = [];
  const inactive = new Map((past?.inactive ?? []).map((job) => [job.id, job]));
  const ended = new Map<bigint, Job>();
  for (const some of pieces(await toBeRead(host.context, past), READ_AHEAD)) {
    const jobs = await Promise.all(some.map((id) => restoreJob(host, id)));
    for (const job of jobs) {
      if (!job) continue;
      if (job.state !== JobState.inactive) active.push(job);
      else {
        ended.set(job.id, job);
        if (!inactive.has(job.id)) inactive.set(job.id, new InactiveJob(job));
      }
    }
  }
  for (const job of [...inactive.values()].sort((a, b) => a.tClean - b.tClean))
    host.restoredInactive(job, ended.get(job.id));
  host.context.log('info', `restart: ${active.length + inactive.size} jobs`);
  for (const job of active) host.restored(job);
  host.context.log('info', `restart: ${host.jobs.runningCount} running jobs`);
}

/** The ids of jobs whose event logs are to be read: what becomes of waitable jobs is more than their records tell. */
async function toBeRead(context: ServiceContext, past: Past | undefined): Promise<bigint[]> {
  const kvs = new Kvs(context, PRIMARY_NAMESPACE);
  if (!past) return findJobs(kvs, 0n);
  const ids = new Set([...past.others, ...(await findJobs(kvs, past.until + 1n))]);
  for (const { id, flags } of past.inactive) {
    if (flags & JobFlag.waitable) ids.add(id);
    else ids.delete(id);
  }
  return [...ids].sort((a, b) => (a < b ? -1 : 1));
}

/** The ids of all jobs in the KVS from one on, in order. */
async function findJobs(kvs: Kvs, first: bigint): Promise<bigint[]> {
  const firstKey = encodeFluid(first, 'kvs');
  let directories = ['job'];
  for (let level = 0; level < LEVELS; level++) {
    const below: string[] = [];
    for (const some of pieces(directories, READ_AHEAD)) {
      const keys = (await Promise.all(some.map((key) => subdirectories(kvs, key)))).flat();
      // Each level has as many digits in all ids.
      below.push(...keys.filter((key) => key >= firstKey.slice(0, key.length)));
    }
    directories = below;
  }
  return directories.map((key) => parseFluid(key));
}

async function subdirectories(kvs: Kvs, key: string): Promise<string[]> {
  try {
    const entries = await kvs.readdir(key);
    return [...entries].flatMap(([name, { type }]) => (type === 'dirref' || type === 'dir' ? `${key}.${name}` : []));
  } catch (error) {
    const { code, errno, message } = asFluxError(error);
    if (code === 'ENOENT' && key === 'job') return [];
    throw new FluxError(errno, `restart failed: could not look up ${key}: ${message}`);
  }
}

function* pieces<T>(items: readonly T[], size: number): Iterable<readonly T[]> {
  for (let at = 0; at < items.length; at += size) yield items.slice(at, at + size);
}

async function restoreJob({ context, archive }: RestartHost, id: bigint): Promise<Job | undefined> {
  try {
    const eventlog = await archive.eventlog(id);
    // The log alone says all that is kept of a job that is over.
    const isOver = eventlog.at(-1)?.name === 'clean';
    const [jobspec, R] = isOver ? [{}, {}] : await Promise.all([archive.jobspec(id), archive.R(id)]);
    return replay(id, eventlog, jobspec, R);
  } catch (error) {
    await moveToLostFound(context, id, asFluxError(error));
    return undefined;
  }
}

/**
 * A job as its events have made it.
 *
 * @throws FluxError EINVAL: they are not the events of a job
 */
export function replay(id: bigint, eventlog: EventlogEntry[], jobspec: JsonObject, R: JsonObject | undefined): Job {
  const fail = (why: string): never => {
    throw new FluxError('EINVAL', why);
  };
  const [first] = eventlog;
  if (first?.name !== 'submit') return fail(`first event is ${first?.name} not submit`);
  const version = first.context?.version;
  if (version !== undefined && version !== 1) fail(`eventlog v${version} is unsupported`);
  const job = new Job(id, jobspec);
  job.R = R;
  job.eventlog = eventlog;
  for (const entry of eventlog) {
    try {
      applyEvent(job, entry);
    } catch (error) {
      fail(`could not apply ${entry.name}: ${asFluxError(error).message}`);
    }
    // Logs without a version have no event validate.
    if (entry === first && version === undefined) job.state = JobState.depend;
  }
  return job;
}

async function moveToLostFound(context: ServiceContext, id: bigint, why: FluxError): Promise<void> {
  const kvs = new Kvs(context, PRIMARY_NAMESPACE);
  const key = encodeFluid(id, 'kvs');
  const target = `job-lost+found.job.${encodeFluid(id)}`;
  try {
    const directory = await kvs.lookup(key, { flags: LookupFlag.treeobj });
    context.log('err', `job ${encodeFluid(id)} not replayed: ${why.message}`);
    await kvs.commit(new KvsTransaction().putTreeobj(target, directory).unlink(key));
  } catch (error) {
    const { code, message } = asFluxError(error);
    // It was purged.
    if (code === 'ENOENT') return;
    context.log('err', `mv ${key} ${target}: ${message}`);
  }
}

/** What a job wants done once plugins know it again. */
export function resume(job: Job, post: (name: string, context?: JsonObject) => void): void {
  // It was accepted, or its log would not be there, but the instance went down before that was noted.
  if (job.state === JobState.new) post('validate');
  else if (job.state === JobState.sched) {
    // Nothing but another priority moves it on from the state priority, to which the event leads.
    job.priority = Priority.none;
    post('flux-restart');
  } else if (job.state & JobState.running && job.flags & JobFlag.debug)
    post('debug.exec-reattach-start', { id: encodeFluid(job.id) });
}

// ---- the checkpoint

/** What is written to `CHECKPOINT_KEY`. */
export function checkpoint(jobs: Jobs, queues: Pick<QueueGate, 'save'>, { version: history }: History): JsonObject {
  return { version: CHECKPOINT_VERSION, max_jobid: jobs.maxId, queue: queues.save(), history };
}

/**
 * What was written; undefined when nothing was.
 *
 * @throws FluxError when it can't be read
 */
export async function readCheckpoint(context: ServiceContext): Promise<JsonObject | undefined> {
  const kvs = new Kvs(context, PRIMARY_NAMESPACE);
  try {
    return await kvs.getJson<JsonObject>(CHECKPOINT_KEY);
  } catch (error) {
    const { code, errno, message } = asFluxError(error);
    if (code === 'ENOENT') return undefined;
    throw new FluxError(errno, `restart: ${CHECKPOINT_KEY}: ${message}`);
  }
}

/** @throws FluxError EINVAL, EPROTO: it says nothing that could be restored */
export function restoreCheckpoint({ context, jobs, queues }: RestartHost, saved: JsonObject | undefined): void {
  if (!saved) {
    context.log('info', `restart: ${CHECKPOINT_KEY} not found`);
    return;
  }
  const { version = 0, max_jobid, queue } = unpack(saved, { version: 'i?', max_jobid: 'I', queue: '*?' });
  if (version > CHECKPOINT_VERSION)
    throw new FluxError('EINVAL', `restart: ${CHECKPOINT_KEY}: version ${version} is unsupported`);
  jobs.noteId(max_jobid);
  if (queue !== undefined) queues.restore(version, queue);
  context.log('debug', `restart: max_jobid=${encodeFluid(jobs.maxId)}`);
}
