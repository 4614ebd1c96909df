/** Puts blobs into the content store, many at a time. */

import { asFluxError, FluxError } from '../core/errno.ts';
import { type HashName, makeBlobref } from '../core/formats/blobref.ts';
import type { Content } from '../core/handle/content.ts';

/** Bytes on their way at a time, whatever the number of requests. */
const WINDOW_BYTES = 32 * 1024 * 1024;

export class BlobWriter {
  readonly #content: Content;
  readonly #hash: HashName;
  readonly #window: number;
  #requests = 0;
  #bytes = 0;
  #failure: FluxError | undefined;
  #wake: (() => void) | undefined;
  /** How many blobs have been stored. */
  stored = 0;

  /** @param window requests at a time */
  constructor(content: Content, hash: HashName, window: number) {
    this.#content = content;
    this.#hash = hash;
    this.#window = window;
  }

  /**
   * Sends a blob on its way when there is room, and resolves to its blobref. The bytes must not change.
   *
   * @throws FluxError what this or an earlier blob could not be stored for
   */
  async store(bytes: Uint8Array): Promise<string> {
    const isFull = () => this.#requests === this.#window || this.#bytes + bytes.length > WINDOW_BYTES;
    while (this.#requests && isFull()) await this.#turn();
    this.#throwFailure();
    const blobref = makeBlobref(this.#hash, bytes);
    void this.#send(bytes, blobref);
    return blobref;
  }

  /** Resolves when all blobs are stored; rejects when one could not be. */
  async drain(): Promise<void> {
    while (this.#requests) await this.#turn();
    this.#throwFailure();
  }

  async #send(bytes: Uint8Array, blobref: string): Promise<void> {
    this.#requests++;
    this.#bytes += bytes.length;
    try {
      const stored = await this.#content.store(bytes);
      if (stored !== blobref) throw new FluxError('EPROTO', `the content store took ${blobref} for ${stored}`);
      this.stored++;
    } catch (error) {
      this.#failure ??= asFluxError(error);
    }
    this.#requests--;
    this.#bytes -= bytes.length;
    this.#wake?.();
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #throwFailure(): void {
    if (this.#failure) throw new FluxError(this.#failure.errno, `error storing a blob: ${this.#failure.message}`);
  }
}
