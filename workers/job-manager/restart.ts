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
import { Job, JobFlag, Priority } from './job.ts';
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
  /** A job was over before. */
  restoredInactive(job: Job): void;
}

/**
 * Loads all jobs; those whose data can't be read are moved to `job-lost+found`.
 *
 * @throws FluxError when the KVS can't be read
 */
export async function restoreJobs(host: RestartHost): Promise<void> {
  const ids = await findJobs(host.context);
  const active: Job[] = [];
  const inactive: Job[] = [];
  for (const some of pieces(ids, READ_AHEAD)) {
    const jobs = await Promise.all(some.map((id) => restoreJob(host, id)));
    for (const job of jobs) if (job) (job.state === JobState.inactive ? inactive : active).push(job);
  }
  inactive.sort((a, b) => a.tClean - b.tClean);
  for (const job of inactive) host.restoredInactive(job);
  host.context.log('info', `restart: ${active.length + inactive.length} jobs`);
  for (const job of active) host.restored(job);
  host.context.log('info', `restart: ${host.jobs.runningCount} running jobs`);
}

/** The ids of all jobs in the KVS, in order. */
async function findJobs(context: ServiceContext): Promise<bigint[]> {
  const kvs = new Kvs(context, PRIMARY_NAMESPACE);
  let directories = ['job'];
  for (let level = 0; level < LEVELS; level++) {
    const below: string[] = [];
    for (const some of pieces(directories, READ_AHEAD))
      below.push(...(await Promise.all(some.map((key) => subdirectories(kvs, key)))).flat());
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
    context.log('err', `job ${encodeFluid(id)} not replayed: ${asFluxError(error).message}`);
    await moveToLostFound(context, id);
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

async function moveToLostFound(context: ServiceContext, id: bigint): Promise<void> {
  const kvs = new Kvs(context, PRIMARY_NAMESPACE);
  const key = encodeFluid(id, 'kvs');
  const target = `job-lost+found.job.${encodeFluid(id)}`;
  try {
    const directory = await kvs.lookup(key, { flags: LookupFlag.treeobj });
    await kvs.commit(new KvsTransaction().putTreeobj(target, directory).unlink(key));
  } catch (error) {
    context.log('err', `mv ${key} ${target}: ${asFluxError(error).message}`);
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
export function checkpoint(jobs: Jobs, queues: Pick<QueueGate, 'save'>): JsonObject {
  return { version: CHECKPOINT_VERSION, max_jobid: jobs.maxId, queue: queues.save() };
}

/** @throws FluxError when there is a checkpoint that can't be read */
export async function restoreCheckpoint({ context, jobs, queues }: RestartHost): Promise<void> {
  const kvs = new Kvs(context, PRIMARY_NAMESPACE);
  let saved: JsonObject;
  try {
    saved = await kvs.getJson<JsonObject>(CHECKPOINT_KEY);
  } catch (error) {
    const { code, errno, message } = asFluxError(error);
    if (code !== 'ENOENT') throw new FluxError(errno, `restart: ${CHECKPOINT_KEY}: ${message}`);
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
