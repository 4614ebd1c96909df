/**
 * Readers on one connection of which some are slower than what comes for them.
 *
 * While such a one reads at all, the connection waits for it, as a pipe does. One that has stopped must not keep what comes for
 * the others: the connection goes on, and the reader is cut off when too much has piled up for it.
 */

/** What can be seen of a reader. */
export interface Reader {
  /** Bytes that wait for it. */
  readonly backlog: number;
  /** A figure that is another one as soon as it has read something. */
  readonly progress: number;
}

export interface SlowReadersOptions<R> {
  /** Bytes that may wait for a reader before the connection does. */
  readonly holdBytes: number;
  /** Bytes that may wait for a reader that has stopped. */
  readonly cutBytes: number;
  /** Milliseconds without progress from which on a reader has stopped. */
  readonly patienceMs: number;
  /** The connection is to wait, or to go on. */
  readonly hold: (isHeld: boolean) => void;
  /** A reader is to be cut off. */
  readonly cut: (reader: R) => void;
}

interface Watch {
  progress: number;
  /** When progress was last seen. */
  since: number;
  hasStopped: boolean;
}

export class SlowReaders<R extends Reader> {
  readonly #options: SlowReadersOptions<R>;
  readonly #watched = new Map<R, Watch>();
  #timer: NodeJS.Timeout | undefined;
  #isHeld = false;

  constructor(options: SlowReadersOptions<R>) {
    this.#options = options;
  }

  /** Something was sent to a reader. */
  sent(reader: R): void {
    const { holdBytes, cutBytes } = this.#options;
    const watch = this.#watched.get(reader);
    if (!watch) {
      if (reader.backlog <= holdBytes) return;
      this.#watched.set(reader, { progress: reader.progress, since: performance.now(), hasStopped: false });
      this.#timer ??= setInterval(() => this.#look(), this.#options.patienceMs / 4);
      this.#update();
    } else if (watch.hasStopped && reader.backlog > cutBytes) {
      // What it was sent since somebody last looked does not count against one that has gone on.
      if (watch.progress === reader.progress) this.#options.cut(reader);
    }
  }

  /** A reader has read all that was sent. */
  drained(reader: R): void {
    if (this.#watched.delete(reader)) this.#update();
  }

  /** A reader is gone. */
  gone(reader: R): void {
    this.drained(reader);
  }

  #look(): void {
    const now = performance.now();
    for (const [reader, watch] of this.#watched) {
      if (reader.backlog <= this.#options.holdBytes / 2) this.#watched.delete(reader);
      else if (reader.progress !== watch.progress)
        this.#watched.set(reader, { progress: reader.progress, since: now, hasStopped: false });
      else if (now - watch.since >= this.#options.patienceMs) watch.hasStopped = true;
    }
    this.#update();
  }

  #update(): void {
    if (!this.#watched.size) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
    const isHeld = [...this.#watched.values()].some(({ hasStopped }) => !hasStopped);
    if (isHeld === this.#isHeld) return;
    this.#isHeld = isHeld;
    this.#options.hold(isHeld);
  }
}
