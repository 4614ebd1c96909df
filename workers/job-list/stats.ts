/** How many jobs are in each state and have ended how: in all, and in each queue (RFC 43). */

import type { ServiceContext, Timer } from '../../core/broker/service.ts';
import { JobResult, JobState } from '../../core/formats/job-state.ts';
import type { Request } from '../../core/handle/methods.ts';
import { RequestList } from '../../core/handle/request-list.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Job } from './job.ts';

/** Seconds between two responses to one who follows the statistics. */
const BATCH_DELAY = 0.2;

const states = ['depend', 'priority', 'sched', 'run', 'cleanup', 'inactive'] as const;
const results = ['successful', 'failed', 'canceled', 'timeout'] as const;

type Counted = (typeof states)[number] | (typeof results)[number];

const stateNames = new Map<number, Counted>(states.map((name) => [JobState[name], name]));
const resultNames = new Map<number, Counted>([
  [JobResult.completed, 'successful'],
  [JobResult.failed, 'failed'],
  [JobResult.canceled, 'canceled'],
  [JobResult.timeout, 'timeout'],
]);

class Counts {
  readonly #counts = new Map<Counted, number>();
  #purged = 0;

  /** Counts a job that has a state, or counts it no longer. */
  add(job: Job, state: number, difference: 1 | -1): void {
    this.#add(stateNames.get(state), difference);
    if (state === JobState.inactive) this.#add(resultNames.get(job.result), difference);
  }

  purge(job: Job): void {
    this.add(job, job.state, -1);
    this.#purged++;
  }

  /** New jobs are not counted. */
  #add(name: Counted | undefined, difference: number): void {
    if (name) this.#counts.set(name, this.#of(name) + difference);
  }

  #of(name: Counted): number {
    return this.#counts.get(name) ?? 0;
  }

  toJSON(): JsonObject {
    const pick = (names: readonly Counted[]) => Object.fromEntries(names.map((name) => [name, this.#of(name)]));
    const total = states.reduce((sum, name) => sum + this.#of(name), 0);
    return { job_states: { ...pick(states), total }, ...pick(results), inactive_purged: this.#purged };
  }
}

export class JobStats {
  /** Who follows the statistics. */
  readonly watchers = new RequestList();
  readonly #context: ServiceContext;
  #all = new Counts();
  #queues = new Map<string, Counts>();
  #timer: Timer | undefined;

  constructor(context: ServiceContext) {
    this.#context = context;
  }

  /** Forgets all jobs. */
  reset(): void {
    this.#all = new Counts();
    this.#queues = new Map([...this.#queues.keys()].map((name) => [name, new Counts()]));
    this.#changed();
  }

  /** A queue is told of before it has jobs. */
  addQueue(name: string): Counts {
    let counts = this.#queues.get(name);
    if (!counts) {
      counts = new Counts();
      this.#queues.set(name, counts);
    }
    return counts;
  }

  /** A job is there again, in the state that it has. */
  restore(job: Job): void {
    for (const counts of this.#countsOf(job)) counts.add(job, job.state, 1);
    this.#changed();
  }

  /** A job is about to come from its state into another. */
  move(job: Job, state: number): void {
    for (const counts of this.#countsOf(job)) {
      counts.add(job, job.state, -1);
      counts.add(job, state, 1);
    }
    this.#changed();
  }

  /** A job's queue may be another after this. */
  leaveQueue(job: Job): void {
    if (job.queue !== undefined) this.addQueue(job.queue).add(job, job.state, -1);
  }

  enterQueue(job: Job): void {
    if (job.queue !== undefined) this.addQueue(job.queue).add(job, job.state, 1);
    this.#changed();
  }

  /** An inactive job is forgotten. */
  purge(job: Job): void {
    for (const counts of this.#countsOf(job)) counts.purge(job);
    this.#changed();
  }

  #countsOf({ queue }: Job): Counts[] {
    return queue === undefined ? [this.#all] : [this.#all, this.addQueue(queue)];
  }

  toJSON(): JsonObject {
    const queues = Array.from(this.#queues, ([name, counts]) => ({ ...counts.toJSON(), name }));
    return { ...this.#all.toJSON(), queues };
  }

  // ---- who follows

  /** Answers, and goes on when that is wanted. */
  answer(request: Request): void {
    request.respond(this.toJSON());
    if (request.isStreaming) this.watchers.add(request);
  }

  #changed(): void {
    if (this.#timer || this.watchers.count === 0) return;
    this.#timer = this.#context.clock.after(BATCH_DELAY, () => {
      this.#timer = undefined;
      this.watchers.respondAll(this.toJSON());
    });
  }

  stop(): void {
    this.#timer?.cancel();
    for (const request of this.watchers.takeAll()) request.endStream();
  }
}
