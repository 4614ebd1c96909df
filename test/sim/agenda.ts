/**
 * Virtual time: what will happen, in order of its time. Nothing else moves the clock, so an hour passes as fast as its
 * events can be handled.
 */

import type { Clock, Timer } from '../../core/broker/service.ts';

interface Entry {
  readonly time: number;
  /** Tells entries of the same time apart: first come, first served. */
  readonly sequence: number;
  readonly action: () => void;
  readonly owner: string | undefined;
  canceled: boolean;
}

/** Seconds since the epoch at which every run starts. */
const START = 1_800_000_000;
/** What a callback "now" waits for: the end of the turn, so that messages may come before it. */
const TURN = 1e-6;

export class Agenda {
  // A binary heap by (time, sequence).
  readonly #heap: Entry[] = [];
  readonly #timers = new Set<Entry>();
  #sequence = 0;
  #time = 0;

  /** Seconds since the run began. */
  get time(): number {
    return this.#time;
  }

  /** Time of what happens next; Infinity when nothing will. */
  get nextTime(): number {
    this.#dropCanceled();
    return this.#heap[0]?.time ?? Number.POSITIVE_INFINITY;
  }

  /** Who has set timers that have not fired. */
  timerOwners(): string[] {
    return [...this.#timers].map(({ owner }) => owner ?? 'nobody');
  }

  /** Lets something happen at a time. */
  at(time: number, action: () => void): void {
    this.#push({ time, sequence: this.#sequence++, action, owner: undefined, canceled: false });
  }

  /** A clock whose timers bear a name. */
  clock(owner: string): Clock {
    return {
      now: () => START + this.#time,
      monotonic: () => this.#time,
      after: (seconds, callback) => this.#after(seconds, callback, owner),
    };
  }

  #after(seconds: number, callback: () => void, owner: string): Timer {
    const action = () => {
      this.#timers.delete(entry);
      callback();
    };
    const time = this.#time + Math.max(seconds, TURN);
    const entry: Entry = { time, sequence: this.#sequence++, action, owner, canceled: false };
    this.#timers.add(entry);
    this.#push(entry);
    return {
      cancel: () => {
        entry.canceled = true;
        this.#timers.delete(entry);
      },
    };
  }

  /** Moves the clock to what is next and does it; false when nothing is. */
  step(): boolean {
    this.#dropCanceled();
    const entry = this.#pop();
    if (!entry) return false;
    this.#time = entry.time;
    entry.action();
    return true;
  }

  /** Moves the clock on to a time before which nothing happens. */
  skipTo(time: number): void {
    if (time > this.nextTime) throw new Error(`something happens at ${this.nextTime}, before ${time}`);
    this.#time = Math.max(this.#time, time);
  }

  #dropCanceled(): void {
    while (this.#heap[0]?.canceled) this.#pop();
  }

  #isBefore(a: Entry, b: Entry): boolean {
    return a.time < b.time || (a.time === b.time && a.sequence < b.sequence);
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!this.#isBefore(entry, heap[above]!)) break;
      heap[at] = heap[above]!;
      at = above;
    }
    heap[at] = entry;
  }

  #pop(): Entry | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (!last || last === first) return first;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below + 1 < heap.length && this.#isBefore(heap[below + 1]!, heap[below]!)) below++;
      if (below >= heap.length || !this.#isBefore(heap[below]!, last)) break;
      heap[at] = heap[below]!;
      at = below;
    }
    heap[at] = last;
    return first;
  }
}
