/** The trigger `datetime`: all times of a pattern, as a line of a crontab gives one. */

import type { ServiceContext, Timer } from '../../core/broker/service.ts';
import { nextMatch, readTimePattern, type TimePattern, timeFieldNames } from '../../core/formats/crontab.ts';
import { type JsonObject, real } from '../../core/json.ts';
import type { MakeTrigger, Trigger, Triggered } from './trigger.ts';

/** Seconds after which it looks at the clock again, which somebody may have set. */
const LOOK_INTERVAL = 60;
const PAUSE_MIN = 0.001;
/** What Flux adds to the time for `next_wakeup` where there is none. */
const NEVER = 1e19;

export const makeDatetime: MakeTrigger = (context, args, entry) => new Datetime(context, entry, readTimePattern(args));

class Datetime implements Trigger {
  readonly #context: ServiceContext;
  readonly #entry: Triggered;
  readonly #pattern: TimePattern;
  #timer: Timer | undefined;
  /** Seconds since the epoch; undefined when no time matches. */
  #next: number | undefined;

  constructor(context: ServiceContext, entry: Triggered, pattern: TimePattern) {
    this.#context = context;
    this.#entry = entry;
    this.#pattern = pattern;
  }

  start(): void {
    this.#schedule();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #schedule(): void {
    const { clock } = this.#context;
    const now = clock.now();
    this.#next = nextMatch(this.#pattern, now);
    // Who starts it hears of it as started.
    if (this.#next === undefined) this.#timer = clock.after(0, () => this.#entry.exhausted());
    else this.#wait(this.#next - now);
  }

  #wait(seconds: number): void {
    const part = Math.min(Math.max(seconds, PAUSE_MIN), LOOK_INTERVAL);
    this.#timer = this.#context.clock.after(part, () => this.#look());
  }

  #look(): void {
    if (this.#context.clock.now() >= this.#next!) {
      this.#entry.fire();
      if (!this.#timer) return;
    }
    this.#schedule();
  }

  toJSON(): JsonObject {
    const fields = timeFieldNames.map((field) => [field, this.#pattern[field].encode()] as const);
    return { next_wakeup: real(this.#next ?? this.#context.clock.now() + NEVER), ...Object.fromEntries(fields) };
  }
}
