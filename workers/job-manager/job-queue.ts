/**
 * Jobs in the order in which they want resources: by priority, the highest first, and among equals by id.
 *
 * A list of sorted pieces: to find a place is two binary searches, and what moves on insertion is one piece.
 */

import type { Job } from './job.ts';

/** Jobs in a piece before it is cut in two. */
const PIECE_MAX = 512;

/** Below 0 when `a` comes before `b`. */
function compare(a: Job, b: Job): number {
  if (a.queuedPriority !== b.queuedPriority) return b.queuedPriority - a.queuedPriority;
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

/** Whether a job that is in a queue comes before another one. */
export function comesBefore(a: Job, b: Job): boolean {
  return compare(a, b) < 0;
}

/** How many of the first items come before what `isBefore` is asked about. */
function search<T>(items: readonly T[], isBefore: (item: T) => boolean): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isBefore(items[middle]!)) low = middle + 1;
    else high = middle;
  }
  return low;
}

export class JobQueue implements Iterable<Job> {
  /** None of them is empty. */
  readonly #pieces: Job[][] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get first(): Job | undefined {
    return this.#pieces[0]?.[0];
  }

  get last(): Job | undefined {
    return this.#pieces.at(-1)?.at(-1);
  }

  /** Puts a job in; its place goes by the priority that it has now. */
  insert(job: Job): void {
    job.queuedPriority = job.priority;
    this.#size++;
    if (this.#pieces.length === 0) {
      this.#pieces.push([job]);
      return;
    }
    const at = Math.min(this.#pieceOf(job), this.#pieces.length - 1);
    const piece = this.#pieces[at]!;
    piece.splice(
      search(piece, (each) => compare(each, job) < 0),
      0,
      job,
    );
    if (piece.length > PIECE_MAX) this.#pieces.splice(at + 1, 0, piece.splice(piece.length >> 1));
  }

  /** Takes a job out; false when it is not in. */
  remove(job: Job): boolean {
    const at = this.#pieceOf(job);
    const piece = this.#pieces[at];
    if (!piece) return false;
    const index = search(piece, (each) => compare(each, job) < 0);
    if (piece[index] !== job) return false;
    piece.splice(index, 1);
    if (piece.length === 0) this.#pieces.splice(at, 1);
    this.#size--;
    return true;
  }

  /** Puts a job that is in where its priority now wants it. */
  reorder(job: Job): void {
    if (job.priority !== job.queuedPriority && this.remove(job)) this.insert(job);
  }

  /** The piece that holds a job, or would: the first whose last job does not come before it. */
  #pieceOf(job: Job): number {
    return search(this.#pieces, (piece) => compare(piece.at(-1)!, job) < 0);
  }

  *[Symbol.iterator](): Iterator<Job> {
    for (const piece of this.#pieces) yield* piece;
  }

  /** From the last to the first. */
  *backwards(): Iterable<Job> {
    for (let at = this.#pieces.length - 1; at >= 0; at--) yield* this.#pieces[at]!.toReversed();
  }
}
