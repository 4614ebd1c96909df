/** Who waits for a namespace to reach a version: the lowest version first, without looking at the others. */

import type { Request } from '../../core/handle/methods.ts';
import { SetMap } from '../../core/set-map.ts';

interface Wait {
  readonly rootseq: number;
  readonly request: Request;
  readonly list: VersionWaits;
}

/** The waits of all namespaces by who asked, for when that client is gone. */
export class WaitsBySender {
  readonly #waits = new SetMap<string, Wait>();

  add(wait: Wait): void {
    this.#waits.add(wait.request.sender, wait);
  }

  delete(wait: Wait): void {
    this.#waits.delete(wait.request.sender, wait);
  }

  /** A client is gone. */
  drop(sender: string): void {
    for (const wait of this.#waits.take(sender)) wait.list.remove(wait);
  }
}

export class VersionWaits {
  readonly #bySender: WaitsBySender;
  // The highest version first, and of one version the latest: those whose turn is next are at the end.
  readonly #waits: Wait[] = [];

  constructor(bySender: WaitsBySender) {
    this.#bySender = bySender;
  }

  get count(): number {
    return this.#waits.length;
  }

  add(rootseq: number, request: Request): void {
    const wait = { rootseq, request, list: this };
    this.#waits.splice(this.#position(rootseq), 0, wait);
    this.#bySender.add(wait);
  }

  /** Takes out the requests that wait for this version or a lower one. */
  take(rootseq: number): Request[] {
    const taken: Request[] = [];
    for (let wait = this.#waits.at(-1); wait && wait.rootseq <= rootseq; wait = this.#waits.at(-1)) {
      this.#waits.pop();
      this.#bySender.delete(wait);
      taken.push(wait.request);
    }
    return taken;
  }

  remove(wait: Wait): void {
    const at = this.#waits.indexOf(wait, this.#position(wait.rootseq));
    if (at >= 0) this.#waits.splice(at, 1);
  }

  /** Index of the first wait for this version or a lower one. */
  #position(rootseq: number): number {
    let low = 0;
    let high = this.#waits.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#waits[middle]!.rootseq > rootseq) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
