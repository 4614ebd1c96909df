/**
 * When decisions are made: once for all that happens in one turn, and so many at a time that others have their turn, too.
 */

import type { Clock, Timer } from '../../core/broker/service.ts';
import type { Decision, Scheduler } from './scheduler.ts';

/** Decisions of one turn. */
const DECISIONS_MAX = 256;

export interface TurnHost {
  /** Does what was decided. */
  carryOut(decision: Exclude<Decision, { readonly type: 'pause' }>, now: number): void;
  /** A turn is over; `isLast` when there is nothing more to decide. */
  finished(isLast: boolean): void;
}

export class Turns {
  readonly #clock: Clock;
  readonly #scheduler: Scheduler;
  readonly #host: TurnHost;
  /** What is being decided; undefined when it has to be asked anew. */
  #decisions: Generator<Decision, void, undefined> | undefined;
  #timer: Timer | undefined;
  #isStopped = false;
  /** Times that all was decided, and turns that this took. */
  passes = 0;
  turns = 0;

  constructor(clock: Clock, scheduler: Scheduler, host: TurnHost) {
    this.#clock = clock;
    this.#scheduler = scheduler;
    this.#host = host;
  }

  /** Something is different: decides anew when the messages that have come are handled. */
  changed(): void {
    this.#decisions = undefined;
    this.#ask();
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  #ask(): void {
    if (!this.#isStopped) this.#timer ??= this.#clock.after(0, () => this.#turn());
  }

  #turn(): void {
    this.#timer = undefined;
    this.turns++;
    const now = this.#clock.now();
    const isLast = this.#decide(now);
    if (isLast) {
      this.#decisions = undefined;
      this.passes++;
    } else this.#ask();
    this.#host.finished(isLast);
  }

  /** Returns whether all is decided. */
  #decide(now: number): boolean {
    this.#decisions ??= this.#scheduler.decide(now);
    const decisions = this.#decisions;
    // What is carried out may itself change something.
    for (let count = 0; count < DECISIONS_MAX && this.#decisions === decisions; count++) {
      const { done, value } = decisions.next();
      if (done) return true;
      if (value.type === 'pause') return false;
      this.#host.carryOut(value, now);
    }
    return false;
  }
}
