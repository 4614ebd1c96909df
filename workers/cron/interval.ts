/** The trigger `interval`: once after a time, then again and again. */

import type { ServiceContext, Timer } from '../../core/broker/service.ts';
import { FluxError } from '../../core/errno.ts';
import { type JsonObject, real } from '../../core/json.ts';
import { unpack } from '../../core/message/unpack.ts';
import type { MakeTrigger, Trigger, Triggered } from './trigger.ts';

/** Seconds between two runs at least: an entry must not keep the broker from its other work. */
const PAUSE_MIN = 0.001;

export const makeInterval: MakeTrigger = (context, args, entry) => {
  const { interval, after = -1 } = unpack(args, { interval: 'n', after: 'n?' });
  // JSON's 1e999 is no time either.
  if (!(interval >= 0 && Math.max(interval, after) < Infinity))
    throw new FluxError('EINVAL', `an interval of ${interval} seconds, after ${after}, is none`);
  return new Interval(context, entry, interval, after < 0 ? interval : after);
};

class Interval implements Trigger {
  readonly #context: ServiceContext;
  readonly #entry: Triggered;
  /** 0: it fires once. */
  readonly #seconds: number;
  readonly #after: number;
  #timer: Timer | undefined;
  /** When it fires next, by the monotonic clock, while it is started; so that delays do not add up. */
  #due = 0;
  /** Seconds that were left when it was stopped. */
  #left: number;

  constructor(context: ServiceContext, entry: Triggered, seconds: number, after: number) {
    this.#context = context;
    this.#entry = entry;
    this.#seconds = seconds;
    this.#after = after;
    this.#left = after;
  }

  start(): void {
    const { clock } = this.#context;
    this.#due = clock.monotonic() + this.#left;
    this.#timer = clock.after(this.#left, () => this.#fire());
  }

  stop(): void {
    if (!this.#timer) return;
    this.#timer.cancel();
    this.#timer = undefined;
    this.#left = Math.max(this.#due - this.#context.clock.monotonic(), 0);
  }

  #fire(): void {
    const { clock } = this.#context;
    const now = clock.monotonic();
    this.#timer = undefined;
    this.#left = 0;
    if (this.#seconds > 0) {
      this.#due = Math.max(this.#due + this.#seconds, now);
      this.#timer = clock.after(Math.max(this.#due - now, PAUSE_MIN), () => this.#fire());
    }
    this.#entry.fire();
  }

  toJSON(): JsonObject {
    const { clock } = this.#context;
    const left = this.#timer ? this.#due - clock.monotonic() : this.#left;
    return { interval: real(this.#seconds), after: real(this.#after), next_wakeup: real(clock.now() + left) };
  }
}
