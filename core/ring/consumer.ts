/**
 * The reading side of a ring; see `layout.ts` for the memory and why it is safe.
 *
 * Records are copied out a batch at a time, in one copy, and the room is given back before anything is done with them; the
 * fragments of a large message each go straight to their place in it. So a message may be kept for as long as anybody
 * likes, and a slow handler does not hold the ring.
 */

import { copyBytes } from './copy.ts';
import type { LargeBuffers } from './large-buffers.ts';
import {
  align,
  DATA_OFFSET,
  FRAGMENT,
  LENGTH_MASK,
  PADDING,
  RECORD_HEADER_BYTES,
  TOTAL_BYTES,
  Word,
} from './layout.ts';

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
  readonly #buffers: LargeBuffers | undefined;
  #head: number;
  // A message that comes in several records, with room for a record's header in front, and how much of that is there.
  #joined: Buffer | undefined;
  #joinedBytes = 0;

  /** Large messages come in room taken from `buffers`, for who has done with one to give it back there. */
  constructor(memory: SharedArrayBuffer, buffers?: LargeBuffers) {
    this.#capacity = memory.byteLength - DATA_OFFSET;
    this.#buffers = buffers;
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
    if (this.#joined || isFragment(this.#data.readUInt32LE(at))) return this.#takeFragment(at, sink);
    const bytes = Math.min(depth, this.#capacity - at, Math.max(bytesMax, this.#capacity / 4));
    const batch = Buffer.allocUnsafe(bytes);
    copyBytes(this.#data, at, at + bytes, batch, 0);
    const taken = wholeRecords(batch);
    this.#giveBack(taken);
    deliver(batch, taken, sink);
    return taken;
  }

  #giveBack(bytes: number): void {
    this.#head = (this.#head + bytes) | 0;
    // Observed by Producer.claim's load of HEAD.
    Atomics.store(this.#words, Word.head, this.#head);
  }

  /** Takes one fragment, or the padding before it, straight to its place in the message. */
  #takeFragment(at: number, sink: RecordSink): number {
    const word = this.#data.readUInt32LE(at);
    const length = word & LENGTH_MASK;
    if (word >= PADDING) {
      this.#giveBack(length);
      return length;
    }
    const to = this.#data.readUInt32LE(at + 4);
    const from = this.#data.readUInt32LE(at + 8);
    let start = at + RECORD_HEADER_BYTES;
    const end = start + length;
    if (!this.#joined) {
      const bytes = RECORD_HEADER_BYTES + this.#data.readUInt32LE(start);
      this.#joined = this.#buffers?.take(bytes) ?? Buffer.allocUnsafe(bytes);
      this.#joinedBytes = RECORD_HEADER_BYTES;
      start += TOTAL_BYTES;
    }
    copyBytes(this.#data, start, end, this.#joined, this.#joinedBytes);
    this.#joinedBytes += end - start;
    const taken = align(RECORD_HEADER_BYTES + length);
    this.#giveBack(taken);
    if (!isFragment(word)) {
      const whole = this.#joined;
      this.#joined = undefined;
      sink(whole, RECORD_HEADER_BYTES, whole.length, to, from);
    }
    return taken;
  }

  /** Whether the producer wants to be told of room; see Producer.starve. Asking clears the wish. */
  takeStarved(): boolean {
    return Atomics.load(this.#words, Word.starved) === 1 && Atomics.exchange(this.#words, Word.starved, 0) === 1;
  }
}

function isFragment(word: number): boolean {
  return word < PADDING && (word & FRAGMENT) !== 0;
}

function deliver(batch: Buffer, taken: number, sink: RecordSink): void {
  for (let at = 0; at < taken; ) {
    const word = batch.readUInt32LE(at);
    if (word >= PADDING) return;
    const start = at + RECORD_HEADER_BYTES;
    const end = start + (word & LENGTH_MASK);
    at = align(end);
    sink(batch, start, end, batch.readUInt32LE(start - 8), batch.readUInt32LE(start - 4));
  }
}

/** Bytes of the records that lie whole in a batch, up to the first fragment; a padding record is always whole. */
function wholeRecords(batch: Buffer): number {
  let at = 0;
  while (at + 4 <= batch.length) {
    const word = batch.readUInt32LE(at);
    const bytes = word >= PADDING ? word & LENGTH_MASK : align(RECORD_HEADER_BYTES + (word & LENGTH_MASK));
    if (isFragment(word) || at + bytes > batch.length) break;
    at += bytes;
  }
  return at;
}
