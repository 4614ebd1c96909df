/**
 * A client with its watchers. While it does not take what it is sent, its watchers do nothing: nobody stores answers for
 * it, and no other client waits.
 */

import type { Pausable } from '../rexec/slow-readers.ts';
import type { Watcher } from './watcher.ts';

export class Client implements Pausable {
  /** The id that is the same for all its requests. */
  readonly id: string;
  /** By the matchtag of their request. */
  readonly watchers = new Map<number, Watcher>();
  #isSlow = false;
  #waiting: (() => void)[] = [];

  constructor(id: string) {
    this.id = id;
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
