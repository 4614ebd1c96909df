/** A thread that slept learns so much later, in milliseconds, that the wait is over. */
const WAKE_MS = 0.1;
/** Who is without a processor for longer, in milliseconds, let a computation go first, not somebody who had to be woken. */
const LOST_MS = 0.5;
/** For so many milliseconds from then on the processors are needed for other things than looking. */
const BUSY_MS = 10;

/**
 * How long a thread looks for work before it sleeps.
 *
 * To fall asleep and be woken costs 20–45 µs. Looking saves that when work comes soon, and wastes a processor when it does
 * not. The last wait tells: after a short one a thread looks again, after a long one it sleeps at once.
 *
 * Whoever it waits for may need the very processor that it looks on, so between two looks others go first. One that sleeps is
 * preferred to a computation when it is woken, one that lets others go first is not: where they compute, it sleeps.
 */
export class Patience {
  readonly #milliseconds: number;
  readonly #letOthers: () => void;
  readonly #now: () => number;
  #since: number | undefined;
  #wasShort = true;
  #busyUntil = 0;

  /**
   * @param letOthers lets others run on this processor
   * @param now milliseconds of a clock that only goes forth
   */
  constructor(microseconds: number, letOthers: () => void, now = () => performance.now()) {
    this.#milliseconds = microseconds / 1000;
    this.#letOthers = letOthers;
    this.#now = now;
  }

  /** A wait begins. */
  begin(): void {
    this.#since = this.#now();
  }

  /** Until when to look; 0 when that is not likely to pay. */
  #until(): number {
    const since = this.#since ?? 0;
    return this.#wasShort && since >= this.#busyUntil ? since + this.#milliseconds : 0;
  }

  /** Others go first, who looked last at `before`; when it is this thread's turn again. */
  #pause(before: number): number {
    this.#letOthers();
    const now = this.#now();
    if (now - before > LOST_MS) this.#busyUntil = now + BUSY_MS;
    return now;
  }

  /** Looks for work, if that is likely to pay, and says whether there is any. */
  look(hasWork: () => boolean): boolean {
    const until = this.#until();
    for (let now = this.#since ?? 0; now < until; now = this.#pause(now)) if (hasWork()) return true;
    return false;
  }

  /** As `look`, while promises that can go on do so. */
  async lookBetween(hasWork: () => boolean): Promise<boolean> {
    const until = this.#until();
    for (let now = this.#since ?? 0; now < until; now = this.#pause(now)) {
      if (hasWork()) return true;
      await undefined;
    }
    return false;
  }

  /** The wait is over. */
  end(): void {
    if (this.#since === undefined) return;
    this.#wasShort = this.#now() - this.#since < this.#milliseconds + WAKE_MS;
    this.#since = undefined;
  }
}
