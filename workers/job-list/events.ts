/**
 * What events do to a job (RFC 21): a table of the events by name. It takes the states from the events, as all readers of
 * an event log do, and goes on after an event that makes no sense.
 */

import { FluxError } from '../../core/errno.ts';
import type { EventlogEntry } from '../../core/formats/eventlog.ts';
import { encodeFluid } from '../../core/formats/fluid.ts';
import { JobResult, JobState } from '../../core/formats/job-state.ts';
import { withMergedAt } from '../../core/formats/json-path.ts';
import { type JsonObject, type JsonValue, parseJson, stringifyJson } from '../../core/json.ts';
import { type Fields, isObject, type Unpacked, unpack } from '../../core/message/unpack.ts';
import type { ActiveJob, Job } from './job.ts';
import { ResourceSummaries } from './resource-summary.ts';
import { readJobspec, readResources, updateJobspec, updateResources } from './specification.ts';
import { StringPool } from './string-pool.ts';

/** Who is told what becomes of jobs. */
export interface JobListener {
  /** Before a job comes into a state; its result is known when that is INACTIVE. */
  entering(job: Job, state: number): void;
  entered(job: Job): void;
  /** Around an update that may move a job to another queue. */
  leavingQueue(job: Job): void;
  enteredQueue(job: Job): void;
  /** What was wrong with an event; the rest of it is done. */
  invalid(text: string): void;
}

/** The job that an event is of, and what came with it. */
interface Occasion {
  readonly job: Job;
  readonly active: ActiveJob | undefined;
  /** Seconds since the epoch. */
  readonly time: number;
  readonly context: JsonObject | undefined;
  readonly R: JsonValue | undefined;
}

type Effect = (this: JobEvents, occasion: Occasion) => void;

const URGENCY_MAX = 31;

export class JobEvents {
  readonly #listener: JobListener;
  readonly #pool = new StringPool();
  readonly #summaries = new ResourceSummaries();

  constructor(listener: JobListener) {
    this.#listener = listener;
  }

  /**
   * Lets an event change a job.
   *
   * @param R the job's resources, when they are known with this event or before
   */
  apply(job: Job, { name, timestamp, context }: EventlogEntry, R: JsonValue | undefined): void {
    const effect = Object.hasOwn(effects, name) ? effects[name]! : undefined;
    if (!effect) return;
    try {
      effect.call(this, { job, active: job.active, time: timestamp, context, R });
    } catch (error) {
      if (!(error instanceof FluxError)) throw error;
      this.#listener.invalid(`job ${encodeFluid(job.id)}: event ${name}: ${error.message}`);
    }
  }

  // ---- states

  /** A job comes into a state, unless it was there before; PRIORITY and SCHED it may come into more than once. */
  advance({ job, active, time }: Occasion, state: number): void {
    if (!active) return;
    const isRepeatable = state === JobState.priority || state === JobState.sched;
    if (active.announced & state && !isRepeatable) return;
    active.announced |= state;
    this.#enter(job, state, time);
  }

  /** A job that waits for resources waits for a priority again. */
  revert({ job, time }: Occasion): void {
    if (job.state !== JobState.sched) return;
    job.states &= ~(JobState.sched | JobState.priority);
    this.#enter(job, JobState.priority, time);
  }

  #enter(job: Job, state: number, time: number): void {
    if (state === JobState.inactive) {
      job.result = resultOf(job);
      job.active = undefined;
    }
    this.#listener.entering(job, state);
    job.state = state;
    job.states |= state;
    switch (state) {
      case JobState.depend:
        job.depended = time;
        break;
      case JobState.priority:
        job.prioritized ||= time;
        break;
      case JobState.sched:
        job.scheduled ||= time;
        break;
      case JobState.run:
        job.ran = time;
        break;
      case JobState.cleanup:
        job.cleaned = time;
        break;
      case JobState.inactive:
        job.ended = time;
        break;
    }
    this.#listener.entered(job);
  }

  // ---- specification and resources

  readJobspec(job: Job, active: ActiveJob): void {
    this.#tell(job, 'jobspec', () => readJobspec(job, active, this.#pool));
  }

  updateJobspec(job: Job, active: ActiveJob, updates: JsonObject): void {
    this.#listener.leavingQueue(job);
    try {
      updateJobspec(job, active, updates, this.#pool);
    } finally {
      this.#listener.enteredQueue(job);
    }
  }

  readResources(job: Job, active: ActiveJob, R: JsonValue | undefined): void {
    this.#tell(job, 'R', () => readResources(job, active, R, this.#summaries, this.#pool));
  }

  /** What cannot be read of a job is left out; the job goes its way. */
  #tell(job: Job, what: string, read: () => void): void {
    try {
      read();
    } catch (error) {
      if (!(error instanceof FluxError)) throw error;
      this.#listener.invalid(`job ${encodeFluid(job.id)}: invalid ${what}: ${error.message}`);
    }
  }

  /** One of the strings that many jobs have. */
  share(text: string): string {
    return this.#pool.get(text);
  }
}

function resultOf({ success, hasException, exceptionType }: Job): number {
  if (success) return JobResult.completed;
  if (hasException && exceptionType === 'cancel') return JobResult.canceled;
  return hasException && exceptionType === 'timeout' ? JobResult.timeout : JobResult.failed;
}

function contextOf<F extends Fields>({ context }: Occasion, fields: F): Unpacked<F> {
  return unpack(context, fields);
}

const effects: Readonly<Record<string, Effect>> = {
  submit(occasion) {
    const { job, time } = occasion;
    const { userid, urgency, version } = contextOf(occasion, { userid: 'i', urgency: 'i', version: 'i?' });
    job.userid = userid >>> 0;
    job.urgency = urgency;
    job.submitVersion = version ?? -1;
    job.submitted = time;
  },
  validate(occasion) {
    const { job, active } = occasion;
    if (active) this.readJobspec(job, active);
    this.advance(occasion, JobState.depend);
  },
  depend(occasion) {
    this.advance(occasion, JobState.priority);
  },
  priority(occasion) {
    const { job, active } = occasion;
    job.priority = contextOf(occasion, { priority: 'i' }).priority;
    if (active) active.announced |= JobState.sched;
    if (job.state === JobState.priority) this.advance(occasion, JobState.sched);
  },
  alloc(occasion) {
    const { job, active, R } = occasion;
    if (active) this.readResources(job, active, R);
    this.advance(occasion, JobState.run);
  },
  finish(occasion) {
    const { job } = occasion;
    const { status, rusage } = contextOf(occasion, { status: 'i', rusage: 'o?' });
    job.waitStatus = status;
    job.success = status === 0 && !(job.hasException && job.exceptionSeverity === 0);
    this.advance(occasion, JobState.cleanup);
    if (rusage) job.usage = unpack(rusage, { utime: 'n', stime: 'n', maxrss: 'i' });
  },
  clean(occasion) {
    this.advance(occasion, JobState.inactive);
  },
  exception(occasion) {
    const { job } = occasion;
    const { type, severity, note } = contextOf(occasion, { type: 's', severity: 'i', note: 's' });
    // The worst one is told of.
    if (!job.hasException || severity < job.exceptionSeverity) {
      job.hasException = true;
      job.exceptionSeverity = severity;
      job.exceptionType = this.share(type);
      job.exceptionNote = this.share(note);
    }
    if (severity === 0) this.advance(occasion, JobState.cleanup);
  },
  urgency(occasion) {
    const { urgency } = contextOf(occasion, { urgency: 'i' });
    if (urgency < 0 || urgency > URGENCY_MAX) throw new FluxError('EINVAL', `${urgency} is no urgency`);
    occasion.job.urgency = urgency;
    this.revert(occasion);
  },
  'flux-restart'(occasion) {
    this.revert(occasion);
  },
  'jobspec-update'(occasion) {
    const { job, active, context } = occasion;
    if (!context) throw new FluxError('EINVAL', 'it has no context');
    if (!active) throw new FluxError('EINVAL', 'the job is inactive');
    try {
      this.updateJobspec(job, active, context);
    } finally {
      this.revert(occasion);
    }
  },
  'resource-update'({ job, active, context }) {
    if (!context) throw new FluxError('EINVAL', 'it has no context');
    if (active && !active.hasResources) throw new FluxError('EINVAL', 'the job has no resources yet');
    updateResources(job, context);
  },
  memo({ job, context }) {
    if (!context) throw new FluxError('EINVAL', 'it has no context');
    const before = job.annotations === undefined ? {} : (parseJson(job.annotations) as JsonObject);
    const annotations = withMergedAt(before, 'user', context);
    job.annotations = Object.keys(annotations).length ? this.share(stringifyJson(annotations)) : undefined;
  },
  annotations({ job, context }) {
    const annotations = context?.annotations;
    if (annotations !== null && !isObject(annotations)) throw new FluxError('EINVAL', 'it has no annotations');
    job.annotations = annotations ? this.share(stringifyJson(annotations)) : undefined;
  },
  'dependency-add'(occasion) {
    const { job, active } = occasion;
    const { description } = contextOf(occasion, { description: 's' });
    if (!active || active.pastDependencies.has(description)) return;
    active.pastDependencies.add(description);
    job.dependencies = [...(job.dependencies ?? []), description];
  },
  'dependency-remove'(occasion) {
    const { job } = occasion;
    const { description } = contextOf(occasion, { description: 's' });
    job.dependencies = job.dependencies?.filter((each) => each !== description);
  },
};
