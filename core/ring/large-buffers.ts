/**
 * Room for large messages that only pass through a thread, used again and again: what V8 has outside of its heap makes it
 * collect garbage each 64 MiB, however little there is to collect.
 */

/** Less is not worth keeping. */
const BYTES_MIN = 64 * 1024;
const BYTES_MAX = 8 * 1024 * 1024;
/** Bytes that wait for the next message. */
const FREE_BYTES_MAX = 32 * 1024 * 1024;

export class LargeBuffers {
  // By the binary logarithm of their size.
  readonly #free: ArrayBuffer[][] = [];
  #freeBytes = 0;
  // What nobody gives back is the garbage collector's.
  readonly #lent = new WeakSet<ArrayBufferLike>();

  /** Room for so many bytes, with anything in it. */
  take(bytes: number): Buffer {
    if (bytes < BYTES_MIN || bytes > BYTES_MAX) return Buffer.allocUnsafe(bytes);
    const size = Math.ceil(Math.log2(bytes));
    const memory = this.#free[size]?.pop();
    if (memory) this.#freeBytes -= memory.byteLength;
    const taken = memory ?? (Buffer.allocUnsafeSlow(2 ** size).buffer as ArrayBuffer);
    this.#lent.add(taken);
    return Buffer.from(taken, 0, bytes);
  }

  /** Whether room was taken here and not given back. */
  isLent({ buffer }: Buffer): boolean {
    return this.#lent.has(buffer);
  }

  /** Nobody reads any more what is in room that was taken here; room of another kind is left alone. */
  give({ buffer }: Buffer): void {
    if (!this.#lent.delete(buffer)) return;
    if (this.#freeBytes + buffer.byteLength > FREE_BYTES_MAX) return;
    this.#freeBytes += buffer.byteLength;
    const size = Math.log2(buffer.byteLength);
    this.#free[size] ??= [];
    this.#free[size].push(buffer as ArrayBuffer);
  }
}
