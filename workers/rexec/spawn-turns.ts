/**
 * Lets a thread start a few programs in each turn of its event loop. To start one takes about half a millisecond; a
 * thousand in one go would leave all else that the thread does waiting, their own answers and exits among it.
 */

/** Programs that are started in one turn. */
const PER_TURN = 4;

export class SpawnTurns {
  #left = PER_TURN;
  #scheduled = false;
  #waiting: (() => void)[] = [];

  /** Resolves when a program may be started. */
  take(): Promise<void> {
    if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(this.#nextTurn);
    }
    if (this.#left > 0) {
      this.#left--;
      return Promise.resolve();
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  readonly #nextTurn = (): void => {
    const ready = this.#waiting.slice(0, PER_TURN);
    this.#waiting = this.#waiting.slice(PER_TURN);
    this.#left = PER_TURN - ready.length;
    this.#scheduled = ready.length > 0;
    if (this.#scheduled) setImmediate(this.#nextTurn);
    for (const resolve of ready) resolve();
  };
}
