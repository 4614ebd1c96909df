/**
 * What the manager knows of a job: of an active one its whole state, of an inactive one no more than is asked for often.
 * Jobspec, R and event log of an inactive job are read from the KVS.
 */

import type { EventlogEntry } from '../../core/formats/eventlog.ts';
import { JobResult, JobState } from '../../core/formats/job-state.ts';
import type { Request } from '../../core/handle/methods.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import { isObject } from '../../core/message/unpack.ts';
import type { Recorded } from '../record-pieces.ts';

/** Flags of a submission (RFC 21, submit event). */
export const JobFlag = { debug: 2, waitable: 4, noValidate: 8 } as const;

export const Urgency = { min: 0, hold: 0, default: 16, max: 31, expedite: 31 } as const;

/** Priorities that hold a job back and that put it before all others; `none`: it has none yet. */
export const Priority = { none: -1, min: 0, max: 4294967295 } as const;

/** Names of states as plugins and tables use them. */
export type StateName = 'new' | 'depend' | 'priority' | 'sched' | 'run' | 'cleanup' | 'inactive';

/** What is known of every job that is not purged. */
export interface JobRecord {
  readonly id: bigint;
  readonly userid: number;
  readonly urgency: number;
  readonly priority: number;
  /** `JobFlag` bits. */
  readonly flags: number;
  /** Seconds since the epoch. */
  readonly tSubmit: number;
  /** A `JobState` bit. */
  readonly state: number;
  /** A `JobResult` bit, from the state cleanup on. */
  readonly result: number | undefined;
  /** It was an exception that brought it to the state cleanup. */
  readonly endedByException: boolean;
  /** Whether an event of this name was posted. */
  hasEvent(name: string): boolean;
}

/** What plugins see of an active job: nothing of it is theirs to change. */
export interface ActiveJob extends JobRecord {
  /** The jobspec as updates have made it, without the environment; not to be kept, for an update changes it. */
  readonly jobspec: JsonObject;
  /** The resources without the scheduler's part, once they are allocated. */
  readonly R: JsonObject | undefined;
  readonly queue: string | undefined;
  /** All events that are kept. */
  readonly eventlog: readonly EventlogEntry[];
  /** The event that brought it to the state cleanup. */
  readonly endEvent: EventlogEntry | undefined;
  readonly annotations: JsonObject | undefined;
  /** Descriptions of the dependencies that hold it. */
  readonly dependencies: ReadonlySet<string>;
  /** Its user may not update it any more. */
  readonly isImmutable: boolean;
  /** It runs without resources of the scheduler. */
  readonly bypassesAlloc: boolean;
}

/** An event that waits until those before it have had their effects. */
export interface QueuedEvent {
  readonly entry: EventlogEntry;
  /** It is not kept in the KVS. */
  readonly isVolatile: boolean;
}

export class Job implements ActiveJob {
  readonly id: bigint;
  userid = 0xffffffff;
  urgency: number = Urgency.default;
  priority: number = Priority.none;
  flags = 0;
  tSubmit = 0;
  /** When it became inactive, seconds since the epoch. */
  tClean = 0;
  state: number = JobState.new;
  jobspec: JsonObject;
  R: JsonObject | undefined;
  annotations: JsonObject | undefined;
  endEvent: EventlogEntry | undefined;
  /** All events that are kept. */
  eventlog: EventlogEntry[] = [];
  readonly dependencies = new Set<string>();
  /** All dependencies that it ever had: one that is gone does not come back. */
  readonly usedDependencies = new Set<string>();
  /** Plugins that want each of its events. */
  subscribers: object[] | undefined;
  /** The request of who waits for its end. */
  waiter: Request | undefined;

  // ---- its events under way
  pendingEvents: QueuedEvent[] = [];
  /** Events wait until those before are committed. */
  holdsEvents = false;

  // ---- what was done for it
  isDependPosted = false;
  isAllocQueued = false;
  isAllocPending = false;
  bypassesAlloc = false;
  isFreePosted = false;
  hasResources = false;
  isStartPending = false;
  isStarted = false;
  /** Whether it is not known if it was started, as the instance went down about then. */
  mayHaveStarted = false;
  isReadOnly = false;
  isImmutable = false;
  /** Prologs or epilogs that run. */
  perilogs = 0;
  /** Its priority when it was put in a queue: what its place there goes by. */
  queuedPriority: number = Priority.none;

  constructor(id: bigint, jobspec: JsonObject) {
    this.id = id;
    this.jobspec = jobspec;
  }

  get queue(): string | undefined {
    const queue = systemAttribute(this.jobspec, 'queue');
    return typeof queue === 'string' ? queue : undefined;
  }

  get result(): number | undefined {
    if (!(this.state & (JobState.cleanup | JobState.inactive))) return undefined;
    return resultOf(this.endEvent);
  }

  get endedByException(): boolean {
    return this.endEvent?.name === 'exception';
  }

  hasEvent(name: string): boolean {
    return this.eventlog.some((entry) => entry.name === name);
  }

  /** The names of its events. */
  get eventNames(): ReadonlySet<string> {
    return eventSet(this.eventlog.map(({ name }) => name));
  }

  isQueued(name: string): boolean {
    return this.pendingEvents.some(({ entry }) => entry.name === name);
  }
}

/** A system attribute of a jobspec. */
export function systemAttribute(jobspec: JsonObject, name: string): JsonValue | undefined {
  const { attributes } = jobspec;
  const system = isObject(attributes) ? attributes.system : undefined;
  return isObject(system) ? system[name] : undefined;
}

/** How a job ended, by the event that brought it to the state cleanup. */
function resultOf(end: EventlogEntry | undefined): number {
  if (end?.name === 'finish' && end.context?.status === 0) return JobResult.completed;
  if (end?.name === 'exception') {
    if (end.context?.type === 'cancel') return JobResult.canceled;
    if (end.context?.type === 'timeout') return JobResult.timeout;
  }
  return JobResult.failed;
}

const eventSets = new Map<string, ReadonlySet<string>>();
/** Nearly all jobs have one of a few sets of events; where they do not, each has its own. */
const EVENT_SETS_MAX = 1000;

/** The names of events as a set; the same object for the same names in the same order. */
export function eventSet(names: Iterable<string>): ReadonlySet<string> {
  const set = new Set(names);
  const key = [...set].join(' ');
  const known = eventSets.get(key);
  if (known) return known;
  if (eventSets.size < EVENT_SETS_MAX) eventSets.set(key, set);
  return set;
}

/** What is kept of a job that is over. */
export interface EndedJob extends Omit<JobRecord, 'state' | 'hasEvent'> {
  /** When it became inactive, seconds since the epoch. */
  readonly tClean: number;
  readonly eventNames: ReadonlySet<string>;
}

/** A job that is over, in some hundred bytes. */
export class InactiveJob implements JobRecord, EndedJob, Recorded {
  readonly id: bigint;
  readonly userid: number;
  readonly urgency: number;
  readonly priority: number;
  readonly flags: number;
  readonly tSubmit: number;
  readonly tClean: number;
  readonly result: number;
  readonly endedByException: boolean;
  readonly eventNames: ReadonlySet<string>;
  piece: number | undefined = undefined;

  constructor(job: EndedJob) {
    this.id = job.id;
    this.userid = job.userid;
    this.urgency = job.urgency;
    this.priority = job.priority;
    this.flags = job.flags;
    this.tSubmit = job.tSubmit;
    this.tClean = job.tClean;
    this.result = job.result ?? JobResult.failed;
    this.endedByException = job.endedByException;
    this.eventNames = job.eventNames;
  }

  get state(): number {
    return JobState.inactive;
  }

  hasEvent(name: string): boolean {
    return this.eventNames.has(name);
  }
}
