/**
 * Tells waiting jobs when they will start. Forecasts are made in slices between other work, and so seldom that they take
 * a small part of the time however many jobs wait.
 */

import type { Clock, Timer } from '../../core/broker/service.ts';
import type { AllocRequest } from './alloc-request.ts';
import { type Estimate, forecast } from './forecast.ts';
import type { Scheduler } from './scheduler.ts';

/** Jobs in a slice. */
const SLICE = 64;
/** Seconds of rest after a forecast, and more for each job that it had, and for each node. */
const REST = 0.05;
const REST_PER_JOB = 1e-4;
const REST_PER_NODE = 1e-5;
/** Jobs before this position in the queue are told of any change. */
const FRONT = 64;
/** Those behind are told when an estimate is off by more than this part of what they wait. */
const TOLERANCE = 1 / 32;

export class Forecaster {
  readonly #clock: Clock;
  readonly #scheduler: Scheduler;
  readonly #requestOf: (id: bigint) => AllocRequest | undefined;
  #estimates: Generator<Estimate, void, undefined> | undefined;
  #timer: Timer | undefined;
  /** Jobs of the forecast so far. */
  #position = 0;
  #isWanted = false;
  passes = 0;
  slices = 0;

  constructor(clock: Clock, scheduler: Scheduler, requestOf: (id: bigint) => AllocRequest | undefined) {
    this.#clock = clock;
    this.#scheduler = scheduler;
    this.#requestOf = requestOf;
  }

  /** What waits, or what there is, has changed. */
  want(): void {
    this.#isWanted = true;
    if (!this.#timer) this.#next(0);
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #next(seconds: number): void {
    this.#timer = this.#clock.after(seconds, () => {
      this.#timer = undefined;
      this.#turn();
    });
  }

  #turn(): void {
    if (!this.#estimates) {
      if (!this.#isWanted || this.#scheduler.pending.size === 0) return;
      this.#isWanted = false;
      this.#position = 0;
      this.#estimates = forecast(this.#scheduler, this.#clock.now());
    }
    this.slices++;
    for (let i = 0; i < SLICE; i++) {
      const { done, value } = this.#estimates.next();
      if (done) {
        this.#estimates = undefined;
        this.passes++;
        this.#next(REST + this.#position * REST_PER_JOB + this.#scheduler.pool.nodes.length * REST_PER_NODE);
        return;
      }
      this.#tell(value);
    }
    this.#next(0);
  }

  #tell({ job, time }: Estimate): void {
    const position = this.#position++;
    const request = this.#requestOf(job.id);
    if (!request || request.estimate === time) return;
    if (position >= FRONT && time !== undefined && request.estimate !== undefined) {
      const wait = time - this.#clock.now();
      if (Math.abs(time - request.estimate) <= wait * TOLERANCE) return;
    }
    request.annotate(time);
  }

  /** When a job will start, looked at now in slices; undefined when nobody knows, or it waits no more. */
  async estimate(id: bigint): Promise<number | undefined> {
    let count = 0;
    for (const { job, time } of forecast(this.#scheduler, this.#clock.now())) {
      if (job.id === id) return time;
      if (++count % SLICE === 0) await new Promise<void>((resolve) => void this.#clock.after(0, resolve));
    }
    return undefined;
  }
}
