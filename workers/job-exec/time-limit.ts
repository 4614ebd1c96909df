/** How long a job may run: until its resources expire, which somebody may put off. */

import type { Clock, Timer } from '../../core/broker/service.ts';
import { FluxError } from '../../core/errno.ts';
import type { JobFacts } from './job-facts.ts';
import type { ExecSettings } from './settings.ts';

export interface TimeLimitOptions {
  readonly facts: JobFacts;
  readonly clock: Clock;
  /** What counts when the timer is set. */
  settings(): Pick<ExecSettings, 'maxStartDelayPercent'>;
  /** The time is up. */
  expired(): void;
}

export class TimeLimit {
  readonly #options: TimeLimitOptions;
  readonly #startRequested: number;
  #expiration: number;
  #isRunning = false;
  #timer: Timer | undefined;

  constructor(options: TimeLimitOptions) {
    this.#options = options;
    this.#startRequested = options.clock.now();
    this.#expiration = options.facts.expiration;
  }

  /** When the job that runs expires, seconds since the epoch; 0: never, or it does not run. */
  get expiration(): number {
    return this.#timer ? this.#expiration : 0;
  }

  /**
   * Sets another one.
   *
   * @param expiration seconds since the epoch; 0: never
   * @throws FluxError EINVAL: not a time
   */
  set(expiration: number): void {
    if (expiration < 0) throw new FluxError('EINVAL', `Invalid resource set expiration ${expiration.toFixed(2)}`);
    this.#expiration = expiration;
    if (this.#isRunning) this.#setTimer();
  }

  /** The job runs. */
  start(): void {
    this.#isRunning = true;
    this.#setTimer();
  }

  #setTimer(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#expiration === 0) return;
    const { clock, expired } = this.#options;
    this.#timer = clock.after(Math.max(this.#adjusted() - clock.now(), 0), expired);
  }

  /** A short job that was started late may end as much later. */
  #adjusted(): number {
    const { starttime, reattach } = this.#options.facts;
    if (starttime <= 0 || reattach) return this.#expiration;
    const delay = this.#startRequested - starttime;
    const percent = (delay / (this.#expiration - starttime)) * 100;
    return percent > this.#options.settings().maxStartDelayPercent ? this.#expiration + delay : this.#expiration;
  }

  /** The job is over. */
  stop(): void {
    this.#isRunning = false;
    this.#timer?.cancel();
  }
}
