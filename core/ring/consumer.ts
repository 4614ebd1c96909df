/**
 * The reading side of a ring; see `layout.ts` for the memory and why it is safe.
 *
 * Records are copied out a batch at a time, in one copy, and the room is given back before anything is done with them.
 * So a message may be kept for as long as anybody likes, and a slow handler does not hold the ring.
 */

import { align, DATA_OFFSET, FRAGMENT, LENGTH_MASK, PADDING, RECORD_HEADER_BYTES, Word } from './layout.ts';

/**
 * Takes one message: `source[start … end)`. The receiver owns these bytes and the record header's before them
 * (`start - RECORD_HEADER_BYTES … start`), which it may write over.
 */
export type RecordSink = (source: Buffer, start: number, end: number, to: number, from: number) => void;

export class RingConsumer {
  readonly #words: Int32Array;
  readonly #data: Buffer;
  readonly #capacity: number;
  readonly #mask: number;
  #head: number;
  // The fragments so far of a message that came in several records.
  #fragments: Buffer[] = [];

  constructor(memory: SharedArrayBuffer) {
    this.#capacity = memory.byteLength - DATA_OFFSET;
    this.#mask = this.#capacity - 1;
    this.#words = new Int32Array(memory, 0, DATA_OFFSET / 4);
    this.#data = Buffer.from(memory, DATA_OFFSET, this.#capacity);
    this.#head = Atomics.load(this.#words, Word.head);
  }

  /** Whether a poll would find records. */
  get hasRecords(): boolean {
    return Atomics.load(this.#words, Word.tail) !== this.#head;
  }

  /**
   * Takes what lies in the ring, up to its end or about `bytesMax`, and hands each message to `sink`.
   *
   * @returns the bytes taken; 0 when nothing was there
   */
  poll(sink: RecordSink, bytesMax: number): number {
    // Observes Producer.publish's store of TAIL: the records before it are whole.
    const depth = (Atomics.load(this.#words, Word.tail) - this.#head) >>> 0;
    if (depth === 0) return 0;
    const at = this.#head & this.#mask;
    const bytes = Math.min(depth, this.#capacity - at, Math.max(bytesMax, this.#capacity / 4));
    const batch = Buffer.allocUnsafe(bytes);
    this.#data.copy(batch, 0, at, at + bytes);
    const taken = wholeRecords(batch);
    this.#head = (this.#head + taken) | 0;
    // Gives the room back; observed by Producer.claim's load of HEAD.
    Atomics.store(this.#words, Word.head, this.#head);
    this.#deliver(batch, taken, sink);
    return taken;
  }

  /** Whether the producer wants to be told of room; see Producer.starve. Asking clears the wish. */
  takeStarved(): boolean {
    return Atomics.load(this.#words, Word.starved) === 1 && Atomics.exchange(this.#words, Word.starved, 0) === 1;
  }

  #deliver(batch: Buffer, taken: number, sink: RecordSink): void {
    for (let at = 0; at < taken; ) {
      const word = batch.readUInt32LE(at);
      const length = word & LENGTH_MASK;
      if (word >= PADDING) return;
      const start = at + RECORD_HEADER_BYTES;
      const end = start + length;
      at += align(RECORD_HEADER_BYTES + length);
      const to = batch.readUInt32LE(start - 8);
      const from = batch.readUInt32LE(start - 4);
      if (word & FRAGMENT || this.#fragments.length)
        this.#joinFragment(batch.subarray(start, end), (word & FRAGMENT) !== 0, to, from, sink);
      else sink(batch, start, end, to, from);
    }
  }

  #joinFragment(fragment: Buffer, more: boolean, to: number, from: number, sink: RecordSink): void {
    if (this.#fragments.length === 0) this.#fragments.push(Buffer.allocUnsafe(RECORD_HEADER_BYTES));
    this.#fragments.push(fragment);
    if (more) return;
    const whole = Buffer.concat(this.#fragments);
    this.#fragments = [];
    sink(whole, RECORD_HEADER_BYTES, whole.length, to, from);
  }
}

/** Bytes of the records that lie whole in a batch; a padding record is always whole. */
function wholeRecords(batch: Buffer): number {
  let at = 0;
  while (at + 4 <= batch.length) {
    const word = batch.readUInt32LE(at);
    const bytes = word >= PADDING ? word & LENGTH_MASK : align(RECORD_HEADER_BYTES + (word & LENGTH_MASK));
    if (at + bytes > batch.length) break;
    at += bytes;
  }
  return at;
}
