/**
 * Parts of the job manager that stand beside its core: each has requests of its own. What the core asks of them, and what
 * they may ask of the core.
 */

import type { ServiceContext } from '../../core/broker/service.ts';
import type { Methods, Request } from '../../core/handle/methods.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import type { Credentials } from '../../core/message/credentials.ts';
import type { ActiveJob, JobRecord } from './job.ts';
import type { JobtapPlugin, UpdateRequest, UpdateVerdict } from './plugin.ts';

/** What all parts may ask of the core. */
export interface Core {
  readonly context: ServiceContext;
  /** The instance owner's userid. */
  readonly owner: number;

  // ---- jobs
  active(id: bigint): ActiveJob | undefined;
  /** A job that was not purged. */
  lookup(id: bigint): JobRecord | undefined;
  activeJobs(): Iterable<ActiveJob>;
  /** Jobs in the states run and cleanup. */
  readonly runningCount: number;
  /** @throws FluxError EPERM, with what guests may not do, when it is not the job's user nor the owner who asks */
  authorize(credentials: Credentials, job: JobRecord, guestsMayNot: string): void;

  // ---- events
  /** @throws FluxError ENOENT: the job is not active any more; EINVAL: the event can't be encoded */
  post(job: ActiveJob, name: string, context?: JsonObject): void;
  /** @param userid who raises it; nobody when absent */
  raise(job: ActiveJob, type: string, severity: number, note: string, userid?: number): void;

  // ---- plugins
  /**
   * Asks the plugins about an update.
   *
   * @throws FluxError EINVAL with the sentence for who wants it
   */
  checkUpdate(job: ActiveJob, request: UpdateRequest): UpdateVerdict;
  /** @throws FluxError EINVAL with a plugin's sentence when it would not have submitted the job so */
  validateUpdates(job: ActiveJob, updates: JsonObject): void;

  // ---- resources
  readonly isSchedulerReady: boolean;
  /** Jobs in the state sched may have resources now: those of them that do not wait yet are queued. */
  enqueue(jobs: Iterable<ActiveJob>): void;
  /** These are not to have resources: their requests are withdrawn. */
  dequeue(jobs: Iterable<ActiveJob>): void;
  /** Gives resources back to the scheduler; `isFinal`: the job has no more. */
  free(R: JsonObject, id: bigint, isFinal: boolean): void;
}

/** A part with requests of its own. */
export interface Part {
  readonly methods?: Methods;
  /** Plugins that it brings, behind those of the manager. */
  readonly plugins?: readonly JobtapPlugin[];
  /** @throws FluxError EINVAL with a sentence; the old configuration then stays */
  configure?(config: JsonObject): void;
  /** All jobs are back after a restart. */
  started?(): void;
  stop?(): void;
}

/** Which jobs may be submitted and which may have resources (RFC 33). */
export interface QueueGate extends Part {
  /** @throws FluxError with the sentence that the submitter gets */
  checkSubmit(jobspec: JsonObject): void;
  /** Whether jobs of this job's queue are sent to the scheduler. */
  isStarted(job: ActiveJob): boolean;
  /** What is to be known after a restart: `queue` of checkpoint.job-manager. */
  save(): JsonValue;
  /** @param version of the checkpoint */
  restore(version: number, saved: JsonValue): void;
}

/** What is done with resources between a job and the scheduler. */
export interface Housekeeping extends Part {
  /** A job has left R; it is for housekeeping to give it back. */
  start(R: JsonObject, id: bigint, userid: number): void;
  /** Tells a scheduler that comes, in responses to its `sched-hello`, what is still allocated. */
  hello(request: Request, partialOk: boolean): void;
  /** R of what is in housekeeping, for `resource-status`. */
  allocated(): Iterable<JsonObject>;
  stats(): JsonObject;
}

/** What the manager is put together from. */
export interface Parts {
  /** Loaded with the manager, in this order, by their names, which begin with a dot. */
  readonly plugins: readonly JobtapPlugin[];
  /** Those that come with it and are loaded by a file's name. */
  readonly loadable: ReadonlyMap<string, JobtapPlugin>;
  queues(core: Core): QueueGate;
  housekeeping(core: Core): Housekeeping;
  /** Further parts. */
  others(core: Core): readonly Part[];
}
