/**
 * The memory of one ring: a SharedArrayBuffer that one thread writes and one thread reads.
 *
 *     byte
 *        0  TAIL      position behind the last published record      written by the producer
 *        4  MESSAGES  messages published                              producer
 *        8  FULL      times a message found no room                   producer
 *       12  STARVED   1: the producer has a queue and wants room      set by the producer, cleared by the consumer
 *       64  HEAD      position of the first record not yet taken      consumer
 *      128  data      capacity bytes, a power of two
 *
 * The words of the two sides lie on cache lines of their own. Positions count bytes, only grow (modulo 2^32) and are
 * masked on use; TAIL - HEAD is what lies in the ring.
 *
 * A record, aligned to 4 bytes, never wraps:
 *
 *     +--------------------+-----------------+-------------------+------------------
 *     | kind and length    | to endpoint     | from endpoint     | message, or a
 *     | u32                | u32             | u32               | fragment of one
 *     +--------------------+-----------------+-------------------+------------------
 *
 * Length counts the bytes behind the endpoints. Kind: PADDING closes the ring before its end (its length counts all its
 * bytes, and it has no endpoints); FRAGMENT says that the next record goes on with the same message. In front of the
 * first fragment's bytes is the length of the whole message, a u32.
 *
 * What is published: everything between HEAD and TAIL. The producer writes records with plain stores and then stores
 * TAIL; the consumer loads TAIL and then reads them with plain loads. The consumer copies records out with plain loads
 * and then stores HEAD; the producer loads HEAD and then overwrites them. JavaScript's atomics are sequentially
 * consistent, so these two pairs order all the plain accesses.
 */

const WORD = Int32Array.BYTES_PER_ELEMENT;

/** Indices into a ring's Int32Array. */
export const Word = { tail: 0, messages: 1, full: 2, starved: 3, head: 64 / WORD } as const;

export const DATA_OFFSET = 128;
export const RECORD_HEADER_BYTES = 12;
/** The length of the whole message, in its first fragment. */
export const TOTAL_BYTES = 4;
/** A ring takes one record of at most this part of its capacity, so that padding and record always fit an empty ring. */
export const RECORD_PARTS = 8;
export const CAPACITY_MIN = 256;
export const CAPACITY_MAX = 2 ** 30;

export const PADDING = 0x80000000;
export const FRAGMENT = 0x40000000;
export const LENGTH_MASK = 0x3fffffff;

export function align(bytes: number): number {
  return (bytes + 3) & ~3;
}

/**
 * The memory of a new ring.
 *
 * @throws RangeError when the capacity is no power of two within the limits
 */
export function createRing(capacity: number): SharedArrayBuffer {
  if (capacity < CAPACITY_MIN || capacity > CAPACITY_MAX || (capacity & (capacity - 1)) !== 0)
    throw new RangeError(
      `ring capacity of ${capacity} bytes is no power of two between ${CAPACITY_MIN} and ${CAPACITY_MAX}`,
    );
  return new SharedArrayBuffer(DATA_OFFSET + capacity);
}

export interface RingStats {
  readonly capacity: number;
  /** Bytes published and not yet taken. */
  readonly depth: number;
  readonly bytes: number;
  readonly messages: number;
  readonly full: number;
}

/** What a ring says of itself, read by anybody at any time; bytes and messages count modulo 2^32. */
export function ringStats(memory: SharedArrayBuffer): RingStats {
  const words = new Int32Array(memory, 0, DATA_OFFSET / WORD);
  const head = Atomics.load(words, Word.head);
  const tail = Atomics.load(words, Word.tail);
  return {
    capacity: memory.byteLength - DATA_OFFSET,
    depth: (tail - head) >>> 0,
    bytes: tail >>> 0,
    messages: Atomics.load(words, Word.messages) >>> 0,
    full: Atomics.load(words, Word.full) >>> 0,
  };
}
