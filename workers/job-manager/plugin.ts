/**
 * What a plugin of the job manager is, and what it may do: it is told what happens to jobs, has a say in it, and may
 * answer requests.
 *
 * Data of a plugin for one job belong in a `WeakMap` by the job: an active job is the same object until it is inactive.
 */

import type { ServiceContext } from '../../core/broker/service.ts';
import type { EventlogEntry } from '../../core/formats/eventlog.ts';
import type { Methods } from '../../core/handle/methods.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import type { Credentials } from '../../core/message/credentials.ts';
import type { ActiveJob, JobRecord, StateName } from './job.ts';

/** The plugin has to wait for something before it knows a job's priority. */
export const PRIORITY_UNAVAILABLE = Symbol('no priority yet');

/** What a hook wants changed; all of it may be absent. */
export interface JobChanges {
  /** The job's priority from now on; it has an effect in the states priority and sched. */
  readonly priority?: number | typeof PRIORITY_UNAVAILABLE;
  /** Is merged into the annotations; null removes a key. */
  readonly annotations?: JsonObject;
  /** Resources that do not come from the scheduler; only in the state sched, and of a job that has none. */
  readonly R?: JsonObject;
}

export interface StateChange {
  /** The event that did it. */
  readonly entry: EventlogEntry;
  /** The state before, a `JobState` bit. */
  readonly previous: number;
}

/** Somebody wants a part of a jobspec changed. */
export interface UpdateRequest {
  /** A path such as `attributes.system.duration`. */
  readonly key: string;
  readonly value: JsonValue;
  readonly credentials: Credentials;
}

/** How an update that a plugin accepts goes on. */
export interface UpdateVerdict {
  /** The hooks `validate` need not look at it. */
  readonly isValidated?: boolean;
  /** The scheduler is asked whether the job could run. */
  readonly needsFeasibility?: boolean;
  /** Further changes that go with it, by path. */
  readonly updates?: JsonObject;
}

type JobHook = (job: ActiveJob) => JobChanges | undefined;

/**
 * What a plugin wants to be told. In tables `*` stands for every name that is not in it.
 *
 * A hook that throws a FluxError refuses where something can be refused: `create`, `validate`, `dependency` and `updates`
 * with the error's text. Elsewhere it is logged.
 */
export interface JobtapHooks {
  /** A job comes into being; or was there when the plugin was loaded, or is back after a restart. */
  readonly create?: (job: ActiveJob) => void;
  /** May the job be submitted? Or, with another jobspec than the job's own, so be updated? */
  readonly validate?: (job: ActiveJob, jobspec: JsonObject) => void;
  /** A dependency of a job that is submitted, by its scheme; the plugin adds what it waits for. */
  readonly dependency?: Readonly<Record<string, (job: ActiveJob, dependency: JsonObject) => void>>;
  /** The job is accepted; or it was active when the plugin was loaded or the instance restarted. */
  readonly new?: JobHook;
  readonly state?: Readonly<
    Partial<Record<StateName | '*', (job: ActiveJob, change: StateChange) => JobChanges | undefined>>
  >;
  /** Events of jobs to which the plugin has subscribed, by their names. */
  readonly event?: Readonly<Record<string, (job: ActiveJob, entry: EventlogEntry) => void>>;
  /** What is the job's priority now? Undefined leaves it to other plugins. */
  readonly priority?: (job: ActiveJob) => number | typeof PRIORITY_UNAVAILABLE | undefined;
  /** The jobspec was updated. */
  readonly update?: (job: ActiveJob, updates: JsonObject) => void;
  /** May this be updated? By the path in the jobspec. */
  readonly updates?: Readonly<Record<string, (job: ActiveJob, request: UpdateRequest) => UpdateVerdict | undefined>>;
  /** The job is among the inactive ones, or was purged from them. */
  readonly inactiveAdd?: (job: JobRecord) => void;
  readonly inactiveRemove?: (job: JobRecord) => void;
  /** The job is not active any more, or was refused. */
  readonly destroy?: (job: ActiveJob) => void;
  /** The instance's configuration, when the plugin is loaded and when it changes. It throws what it will not take. */
  readonly configure?: (config: JsonObject) => void;
  /** What `jobtap-query` tells beside the plugin's name and path. */
  readonly query?: () => JsonObject;
  /** Requests: `job-manager.<plugin>.<method>`, the plugin's name without its dot or suffix. */
  readonly methods?: Methods;
  /** The plugin is removed. */
  readonly stop?: () => void;
}

/** What a plugin is made of: what comes with the manager, or the default export of a file. */
export interface JobtapPlugin {
  /** With a dot in front when it is loaded with the manager; of a file: the file's name when absent. */
  readonly name?: string;
  /** The order in which it is told of jobs that are there when it is loaded; by id when absent. */
  readonly order?: 'state' | '-state';
  /**
   * Starts it.
   *
   * @param conf what was given when it was loaded
   * @throws FluxError when it can't run so; it is then not loaded
   */
  start(context: JobtapContext, conf: JsonObject): JobtapHooks;
}

/** What a plugin may do. Jobs are given as objects; methods throw EINVAL for what the job's state does not let happen. */
export interface JobtapContext {
  /** The plugin's name. */
  readonly name: string;
  /** Clock, calls, programs, log and configuration. */
  readonly service: ServiceContext;
  /** The instance owner's userid. */
  readonly owner: number;

  // ---- jobs
  /** A job that is not inactive. */
  active(id: bigint): ActiveJob | undefined;
  activeJobs(): Iterable<ActiveJob>;
  /** A job that was not purged. */
  lookup(id: bigint): JobRecord | undefined;
  inactiveJobs(): Iterable<JobRecord>;

  /** Ends a hook that may refuse something, with the sentence for who asked. */
  refuse(sentence: string): never;

  // ---- events
  /** @throws FluxError ENOENT: the job is not active any more; EINVAL: the event can't be encoded */
  post(job: ActiveJob, name: string, context?: JsonObject): void;
  raise(job: ActiveJob, type: string, severity: number, note: string): void;
  /** Tells the hooks `event` about each event of this job. */
  subscribe(job: ActiveJob): void;
  unsubscribe(job: ActiveJob): void;

  // ---- what holds a job
  /** Keeps it in the state depend until it is removed; one that the job has had is no error and has no effect. */
  addDependency(job: ActiveJob, description: string): void;
  /** Lets it go on when nothing else holds it; one that it does not have is no error and has no effect. */
  removeDependency(job: ActiveJob, description: string): void;
  /** Keeps it from being started; before the state cleanup. */
  startProlog(job: ActiveJob, description: string): void;
  finishProlog(job: ActiveJob, description: string, status: number): void;
  /** Keeps its resources; in the state cleanup. */
  startEpilog(job: ActiveJob, description: string): void;
  finishEpilog(job: ActiveJob, description: string, status: number): void;

  // ---- what is changed about a job
  reprioritize(job: ActiveJob, priority: number): void;
  /** Asks the hooks `priority` about every job that waits for resources. */
  reprioritizeAll(): void;
  /** Merges into the annotations; null removes a key. */
  annotate(job: ActiveJob, annotations: JsonObject): void;
  setFlag(job: ActiveJob, flag: 'alloc-bypass' | 'debug' | 'immutable'): void;
  /**
   * Changes the jobspec by paths; from within a hook for this job once the hook has returned.
   *
   * @throws FluxError EINVAL: the job runs or has ended; a path that is not in a jobspec
   */
  updateJobspec(job: ActiveJob, updates: JsonObject): void;
}
