/**
 * The objects of one commit: what was read once stays, though it may be forgotten elsewhere before the rest has come; and
 * what is missing is noted.
 */

import { FluxError } from '../../core/errno.ts';
import type { AnyDirectory, Objects } from './objects.ts';

export class HeldObjects {
  readonly #directories = new Map<string, AnyDirectory>();
  readonly #blobs = new Map<string, Uint8Array>();
  readonly #missing = new Set<string>();
  #objects: Objects | undefined;

  /** Reads from these from now on; nothing is missing of them so far. */
  readFrom(objects: Objects): void {
    this.#objects = objects;
    this.#missing.clear();
  }

  /** What was asked for and was not here; undefined when all was. */
  get missing(): readonly string[] | undefined {
    return this.#missing.size ? [...this.#missing] : undefined;
  }

  /**
   * A directory; undefined when it is missing.
   *
   * @throws FluxError ENOTRECOVERABLE: the blob is none
   */
  directory(blobref: string): AnyDirectory | undefined {
    const directory = this.peekDirectory(blobref);
    if (!directory) this.#missing.add(blobref);
    return directory;
  }

  /** As `directory`, for what is not needed by all means: it is not noted when it is missing. */
  peekDirectory(blobref: string): AnyDirectory | undefined {
    const directory = this.#directories.get(blobref) ?? this.#readDirectory(blobref);
    if (directory) this.#directories.set(blobref, directory);
    return directory;
  }

  #readDirectory(blobref: string): AnyDirectory | undefined {
    try {
      return this.#objects?.directory(blobref);
    } catch (error) {
      if (!(error instanceof FluxError) || error.code !== 'EINVAL') throw error;
      throw new FluxError('ENOTRECOVERABLE', `${blobref} is no directory: ${error.message}`, { cause: error });
    }
  }

  /** The bytes of a blob; undefined when they are missing. */
  blob(blobref: string): Uint8Array | undefined {
    const bytes = this.#blobs.get(blobref) ?? this.#objects?.blob(blobref);
    if (bytes) this.#blobs.set(blobref, bytes);
    else this.#missing.add(blobref);
    return bytes;
  }
}
