/**
 * The events of an instance in one of its processes: each is handed on once, in order, without a gap, however it comes.
 *
 * Events come by two ways: published by the process of rank 0 to all (`feed`), or over the link from the parent process.
 * What comes twice is dropped; what is missing is asked of the parent process, which keeps the last ones. What a process
 * sends its neighbours says how far it is, so that one who is behind notices even if no other event follows.
 */

import type { Clock, Timer } from '../broker/service.ts';

/** Events, and bytes of them, that are kept for those who miss some. */
const KEPT_MAX = 8192;
const KEPT_BYTES_MAX = 16 * 1024 * 1024;
/** Seconds that an event that others have seen may be on its way. */
const GRACE = 0.01;
/** Seconds until what is missing is asked for again. */
const AGAIN = 0.25;

export interface EventFeedHost {
  readonly clock: Clock;
  /** Takes the next event: its frame. */
  deliver(frame: Buffer): void;
  /** Asks the parent process for events. */
  ask(first: number, last: number): void;
}

export class EventFeed {
  readonly #host: EventFeedHost;
  // Frames of events #firstKept … #sequence.
  #kept: Buffer[] = [];
  #keptBytes = 0;
  #sequence = 0;
  // What came before its turn.
  readonly #early = new Map<number, Buffer>();
  #wanted = 0;
  #hasJoined: boolean;
  #timer: Timer | undefined;

  /** @param hasJoined whether `start` need not tell first which events have been */
  constructor(host: EventFeedHost, hasJoined = true) {
    this.#host = host;
    this.#hasJoined = hasJoined;
  }

  /** Number of the last event that was handed on. */
  get sequence(): number {
    return this.#sequence;
  }

  /** This process joins after that event; returns how many were handed on that had come before. */
  start(sequence: number): number {
    this.#hasJoined = true;
    if (this.#sequence === 0) this.#sequence = sequence;
    this.want(sequence);
    for (const early of [...this.#early.keys()]) if (early <= this.#sequence) this.#early.delete(early);
    const next = this.#early.get(this.#sequence + 1);
    return next ? this.receive(this.#sequence + 1, next) : 0;
  }

  /** Takes an event, as a frame of its own; returns how many were handed on. */
  receive(sequence: number, frame: Buffer): number {
    if (sequence <= this.#sequence) return 0;
    if (sequence > this.#sequence + 1 || !this.#hasJoined) {
      // What there is no room for is asked for when its turn comes.
      if (this.#early.size < KEPT_MAX) this.#early.set(sequence, frame);
      this.want(sequence - 1);
      return 0;
    }
    let count = 0;
    for (let next: Buffer | undefined = frame; next; next = this.#early.get(this.#sequence + 1)) {
      this.#sequence++;
      this.#early.delete(this.#sequence);
      this.#keep(next);
      this.#host.deliver(next);
      count++;
    }
    if (this.#sequence >= this.#wanted) {
      this.#timer?.cancel();
      this.#timer = undefined;
    }
    return count;
  }

  #keep(frame: Buffer): void {
    this.#kept.push(frame);
    this.#keptBytes += frame.length;
    // Dropped in halves, so that it costs the same for each however many there are.
    while (this.#kept.length > KEPT_MAX || this.#keptBytes > KEPT_BYTES_MAX) {
      const dropped = this.#kept.splice(0, Math.ceil(this.#kept.length / 2));
      for (const { length } of dropped) this.#keptBytes -= length;
    }
  }

  /** Somebody has seen this event: it is asked for if it does not come. */
  want(sequence: number): void {
    this.#wanted = Math.max(this.#wanted, sequence);
    if (this.#hasJoined && this.#wanted > this.#sequence)
      this.#timer ??= this.#host.clock.after(GRACE, () => this.#ask());
  }

  #ask(): void {
    this.#host.ask(this.#sequence + 1, this.#wanted);
    this.#timer = this.#host.clock.after(AGAIN, () => this.#ask());
  }

  /** Number of the first event that is kept, or will be. */
  get firstKept(): number {
    return this.#sequence - this.#kept.length + 1;
  }

  /**
   * The frames of events, for a process that misses them; what this process has not yet is left out.
   *
   * @returns undefined when some are not kept any more
   */
  again(first: number, last: number): readonly Buffer[] | undefined {
    const { firstKept } = this;
    if (first < firstKept) return first > this.#sequence ? [] : undefined;
    return this.#kept.slice(first - firstKept, Math.max(first, last + 1) - firstKept);
  }

  stop(): void {
    this.#timer?.cancel();
  }
}
