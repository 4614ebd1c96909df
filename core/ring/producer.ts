/**
 * The writing side of a ring; see `layout.ts` for the memory and why it is safe.
 *
 * `claim` finds room, the caller writes its message straight into the ring, `commit` makes it a record (or `abort` gives
 * the room back), and `publish` shows all committed records to the consumer at once.
 */

import {
  align,
  DATA_OFFSET,
  FRAGMENT,
  LENGTH_MASK,
  PADDING,
  RECORD_HEADER_BYTES,
  RECORD_PARTS,
  Word,
} from './layout.ts';

export class RingProducer {
  /** The ring's data; `claim` tells where in it a message goes. */
  readonly data: Buffer;
  /** Bytes of the longest message that goes into one record. */
  readonly recordBytesMax: number;
  readonly #words: Int32Array;
  readonly #records: Int32Array;
  readonly #capacity: number;
  readonly #mask: number;
  // Where the next record begins, published or not.
  #tail: number;
  #published: number;
  // The consumer's position as last seen; it may have moved on since, never back.
  #head: number;
  #claimed = 0;
  #messages = 0;

  constructor(memory: SharedArrayBuffer) {
    this.#capacity = memory.byteLength - DATA_OFFSET;
    this.#mask = this.#capacity - 1;
    this.data = Buffer.from(memory, DATA_OFFSET, this.#capacity);
    this.recordBytesMax = this.#capacity / RECORD_PARTS - RECORD_HEADER_BYTES;
    this.#words = new Int32Array(memory, 0, DATA_OFFSET / 4);
    this.#records = new Int32Array(memory, DATA_OFFSET, this.#capacity / 4);
    this.#tail = Atomics.load(this.#words, Word.tail);
    this.#published = this.#tail;
    this.#head = Atomics.load(this.#words, Word.head);
  }

  /** Whether committed records wait to be published. */
  get hasUnpublished(): boolean {
    return this.#tail !== this.#published;
  }

  /**
   * Room for a message of `bytes` bytes: its offset in `data`, or -1 when the ring is too full now.
   *
   * Nothing is changed for the consumer until `commit` and `publish`.
   */
  claim(bytes: number): number {
    if (bytes > this.recordBytesMax) throw new RangeError(`record of ${bytes} bytes exceeds ${this.recordBytesMax}`);
    const needed = align(RECORD_HEADER_BYTES + bytes);
    const at = this.#tail & this.#mask;
    const untilEnd = this.#capacity - at;
    const padding = needed > untilEnd ? untilEnd : 0;
    if (!this.#hasRoom(needed + padding)) return -1;
    if (padding) {
      this.#records[at >> 2] = PADDING | padding;
      this.#tail = (this.#tail + padding) | 0;
    }
    this.#claimed = bytes;
    return (this.#tail & this.#mask) + RECORD_HEADER_BYTES;
  }

  #hasRoom(bytes: number): boolean {
    if (((this.#tail - this.#head) >>> 0) + bytes <= this.#capacity) return true;
    // Observes Consumer.poll's store of HEAD: the records before it have been copied out.
    this.#head = Atomics.load(this.#words, Word.head);
    return ((this.#tail - this.#head) >>> 0) + bytes <= this.#capacity;
  }

  /** Makes the claimed room a record. `more`: the next record goes on with this message. */
  commit(to: number, from: number, more = false): void {
    const at = (this.#tail & this.#mask) >> 2;
    this.#records[at] = (this.#claimed & LENGTH_MASK) | (more ? FRAGMENT : 0);
    this.#records[at + 1] = to;
    this.#records[at + 2] = from;
    this.#tail = (this.#tail + align(RECORD_HEADER_BYTES + this.#claimed)) | 0;
    if (!more) this.#messages = (this.#messages + 1) | 0;
  }

  /** Gives the claimed room back. */
  abort(): void {
    this.#claimed = 0;
  }

  /** Shows the consumer every committed record. */
  publish(): void {
    this.#published = this.#tail;
    Atomics.store(this.#words, Word.messages, this.#messages);
    // Publishes the records' bytes; observed by Consumer.poll's load of TAIL.
    Atomics.store(this.#words, Word.tail, this.#tail);
  }

  /**
   * Asks the consumer to ring this thread's doorbell when there is room again.
   *
   * Store STARVED, then look at HEAD once more (in `claim`); the consumer stores HEAD, then looks at STARVED. One of the
   * two sees the other, so a wish for room is never lost.
   */
  starve(): void {
    Atomics.add(this.#words, Word.full, 1);
    Atomics.store(this.#words, Word.starved, 1);
  }

  /** Whether the wish for room stands. Before it sleeps a thread looks here as it looks at its rings, or a doorbell that
   * rang while it was awake would be missed. */
  get isStarving(): boolean {
    return Atomics.load(this.#words, Word.starved) === 1;
  }
}
