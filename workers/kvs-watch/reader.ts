/**
 * Who takes what watchers answer: a client, or one for whom another service watches. While it does not take what it is
 * sent, its watchers do nothing: nobody stores answers for it, and no other waits.
 */

import type { Pausable } from '../rexec/slow-readers.ts';

export class Reader implements Pausable {
  /** The ids on the way to it. */
  readonly way: string;
  /** Its watchers. */
  count = 0;
  #isSlow = false;
  #waiting: (() => void)[] = [];

  constructor(way: string) {
    this.way = way;
  }

  get isSlow(): boolean {
    return this.#isSlow;
  }

  pause(): void {
    this.#isSlow = true;
  }

  resume(): void {
    this.#isSlow = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const goOn of waiting) goOn();
  }

  /** Calls back once it takes what it is sent, at once when it does. */
  whenReady(goOn: () => void): void {
    if (this.#isSlow) this.#waiting.push(goOn);
    else goOn();
  }
}
