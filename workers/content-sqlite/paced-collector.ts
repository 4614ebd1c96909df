/**
 * Garbage collection beside everything else that the store does: a little at a time, and not at all while others mark
 * what is in use.
 */

import type { ServiceContext } from '../../core/broker/service.ts';
import { asFluxError } from '../../core/errno.ts';
import { LATER, type Request } from '../../core/handle/methods.ts';
import type { Collector } from './collector.ts';

/** Garbage is removed this long in one go, and then not for as long: milliseconds. */
const SLICE = 5;
/** Seconds from one request to mark to the next, in which nothing is removed of what may be read to be marked. */
const MARK_GAP = 30;
/** Seconds between two looks at whether that is over. */
const HELD_PERIOD = 0.1;

export class PacedCollector {
  readonly #context: ServiceContext;
  readonly #collector: Collector;
  /** Who has told of garbage that is being removed. */
  readonly #requests: Request[] = [];
  /** Until when nothing is removed: seconds on the monotonic clock. */
  #heldUntil = 0;
  #isStopped = false;

  constructor(context: ServiceContext, collector: Collector) {
    this.#context = context;
    this.#collector = collector;
  }

  /**
   * Takes what the KVS tells of references; it is answered when what became garbage is removed.
   *
   * @throws FluxError EPROTO: it makes no sense; or what the store fails with
   */
  take(request: Request): typeof LATER {
    this.#collector.take(request.message.bytes ?? new Uint8Array());
    this.#requests.push(request);
    if (this.#requests.length === 1) this.#removeSome();
    return LATER;
  }

  #removeSome(): void {
    const { clock } = this.#context;
    if (clock.monotonic() < this.#heldUntil && !this.#isStopped) {
      clock.after(HELD_PERIOD, () => this.#removeSome());
      return;
    }
    const end = clock.monotonic() + SLICE / 1000;
    try {
      if (this.#isStopped || !this.#collector.step(() => clock.monotonic() > end)) {
        for (const request of this.#requests.splice(0)) request.respond();
        return;
      }
    } catch (error) {
      this.#fail(error);
      return;
    }
    clock.after(SLICE / 1000, () => this.#removeSome());
  }

  /** Tells the collector something. What it misses does no harm: it removes nothing more. */
  tell(action: (collector: Collector) => void): void {
    try {
      action(this.#collector);
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    const failure = asFluxError(error);
    this.#collector.stop();
    this.#context.log('err', `garbage is not collected any more: ${failure.message}`);
    for (const request of this.#requests.splice(0)) request.fail(failure);
  }

  /** Somebody marks what is in use. */
  hold(): void {
    this.#heldUntil = this.#context.clock.monotonic() + MARK_GAP;
  }

  /** Nobody marks any more. */
  goOn(): void {
    this.#heldUntil = 0;
  }

  stop(): void {
    this.#isStopped = true;
  }
}
