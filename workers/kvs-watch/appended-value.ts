/**
 * A value that is read while it grows: of each state, what the reader does not have yet.
 *
 * The KVS joins small blobs of a value to larger ones. So the reader remembers which blobs it has and how many bytes are
 * in each; where a state has others instead, they must begin with these bytes.
 */

import { FluxError } from '../../core/errno.ts';
import { blobrefToDigest, makeBlobref } from '../../core/formats/blobref.ts';
import type { Eventually } from './source.ts';

export interface AppendedValueHost {
  load(blobref: string): Eventually<Uint8Array>;
  /** Takes the next piece of the value. */
  take(bytes: Uint8Array): void;
  /** Resolves after other work of the thread, when more can be taken. */
  pause(): Promise<void>;
}

/** A blob that the reader has. */
interface Blob {
  readonly blobref: string;
  readonly size: number;
}

/** Bytes after which it pauses. */
const TURN_BYTES = 1 << 20;

export class AppendedValue {
  readonly #host: AppendedValueHost;
  #blobs: Blob[] = [];
  // What the reader has of blobs that a newer state has no more, and must have at the same place.
  #known: Blob[] = [];
  #turnBytes = 0;

  constructor(host: AppendedValueHost) {
    this.#host = host;
  }

  /** Notes a blob that the reader has by other ways. */
  begin(blobref: string, size: number): void {
    this.#blobs.push({ blobref, size });
  }

  /**
   * Hands over what a state of the value has that the reader does not have.
   *
   * @param blobrefs the state's blobs
   * @throws FluxError EINVAL: it is no state that follows the last one; ENOENT, EIO: a blob cannot be read. Or rejects
   *   with it.
   */
  read(blobrefs: readonly string[]): Eventually<void> {
    const other = this.#blobs.findIndex(({ blobref }, index) => blobref !== blobrefs[index]);
    if (other >= 0) this.#known = this.#blobs.splice(other).filter(({ size }) => size > 0);
    return this.#readFrom(blobrefs);
  }

  #readFrom(blobrefs: readonly string[]): Eventually<void> {
    while (this.#blobs.length < blobrefs.length) {
      if (this.#turnBytes >= TURN_BYTES) {
        this.#turnBytes = 0;
        return this.#host.pause().then(() => this.#readFrom(blobrefs));
      }
      const blobref = blobrefs[this.#blobs.length]!;
      const bytes = this.#host.load(blobref);
      if (bytes instanceof Promise) {
        return bytes.then((loaded) => {
          this.#take(blobref, loaded);
          return this.#readFrom(blobrefs);
        });
      }
      this.#take(blobref, bytes);
    }
    if (this.#known.length) throw new FluxError('EINVAL', 'value of key watched with WATCH_APPEND shortened');
  }

  #take(blobref: string, bytes: Uint8Array): void {
    this.#blobs.push({ blobref, size: bytes.length });
    this.#turnBytes += bytes.length;
    if (!this.#known.length) {
      this.#host.take(bytes);
      return;
    }
    const start = this.#skipKnown(blobref, bytes);
    if (start < bytes.length) this.#host.take(bytes.subarray(start));
  }

  /** Where in a blob that which the reader does not have begins. */
  #skipKnown(blobref: string, bytes: Uint8Array): number {
    const { hash } = blobrefToDigest(blobref);
    let start = 0;
    while (start < bytes.length && this.#known.length) {
      const { blobref: expected, size } = this.#known.shift()!;
      if (makeBlobref(hash, bytes.subarray(start, start + size)) !== expected)
        throw new FluxError('EINVAL', 'value of key watched with WATCH_APPEND overwritten');
      start += size;
    }
    return start;
  }
}
