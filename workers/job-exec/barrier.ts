/** The barriers that the shells of a job enter one after another; the first one has a time limit. */

import type { Clock, Timer } from '../../core/broker/service.ts';
import { FluxError } from '../../core/errno.ts';
import { IdSet } from '../../core/formats/idset.ts';

/** Called when a shell may go on, or when it never may because another has ended. */
export type Leave = (isComplete: boolean) => void;

export class ShellBarrier {
  readonly #ranks: ReadonlySet<number>;
  readonly #clock: Clock;
  readonly #timeout: number;
  readonly #onTimeout: (pending: IdSet) => void;
  #waiting = new Map<number, Leave>();
  #timer: Timer | undefined;
  #hasExits = false;
  /** Whether all shells have come to the first barrier. */
  isFirstDone = false;

  /**
   * @param timeout seconds from the first shell's entering to the last one's; 0 is for ever
   * @param onTimeout told which ranks are still missing
   */
  constructor(ranks: Iterable<number>, clock: Clock, timeout: number, onTimeout: (pending: IdSet) => void) {
    this.#ranks = new Set(ranks);
    this.#clock = clock;
    this.#timeout = timeout;
    this.#onTimeout = onTimeout;
  }

  /** @throws FluxError EINVAL: the rank is none of the job's, or waits already */
  enter(rank: number, leave: Leave): void {
    if (!this.#ranks.has(rank) || this.#waiting.has(rank))
      throw new FluxError('EINVAL', `rank ${rank} is not pending in barrier`);
    if (this.#hasExits) {
      leave(false);
      return;
    }
    this.#waiting.set(rank, leave);
    if (this.#waiting.size === this.#ranks.size) {
      this.isFirstDone = true;
      this.#release(true);
    } else if (!this.isFirstDone && this.#timeout > 0)
      this.#timer ??= this.#clock.after(this.#timeout, () => this.#onTimeout(this.pending));
  }

  /** Ranks that have not entered. */
  get pending(): IdSet {
    return IdSet.from([...this.#ranks].filter((rank) => !this.#waiting.has(rank)));
  }

  /** A shell has ended: the barrier will never be complete. */
  shellEnded(): void {
    this.#hasExits = true;
    this.#release(false);
  }

  #release(isComplete: boolean): void {
    this.#timer?.cancel();
    const waiting = this.#waiting;
    this.#waiting = new Map();
    for (const leave of waiting.values()) leave(isComplete);
  }
}
