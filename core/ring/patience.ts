/** A thread that slept learns so much later, in milliseconds, that the wait is over. */
const WAKE_MS = 0.1;

/**
 * How long a thread looks for work before it sleeps.
 *
 * To fall asleep and be woken costs 20–45 µs. Looking saves that when work comes soon, and wastes a
 * processor when it does not. The last wait tells: after a short one a thread looks again, after a long one it sleeps at
 * once.
 */
export class Patience {
  readonly #milliseconds: number;
  #since: number | undefined;
  #wasShort = true;

  constructor(microseconds: number) {
    this.#milliseconds = microseconds / 1000;
  }

  /** A wait begins. */
  begin(): void {
    this.#since = performance.now();
  }

  /** Until when to look; 0 when that is not likely to pay. */
  #until(): number {
    return this.#wasShort && this.#since !== undefined ? this.#since + this.#milliseconds : 0;
  }

  /** Looks for work, if that is likely to pay, and says whether there is any. */
  look(hasWork: () => boolean): boolean {
    for (const until = this.#until(); performance.now() < until; ) if (hasWork()) return true;
    return false;
  }

  /** As `look`, while promises that can go on do so. */
  async lookBetween(hasWork: () => boolean): Promise<boolean> {
    for (const until = this.#until(); performance.now() < until; await undefined) if (hasWork()) return true;
    return false;
  }

  /** The wait is over. */
  end(): void {
    if (this.#since === undefined) return;
    this.#wasShort = performance.now() - this.#since < this.#milliseconds + WAKE_MS;
    this.#since = undefined;
  }
}
