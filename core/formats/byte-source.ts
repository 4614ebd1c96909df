/** Bytes that come in chunks, taken in pieces of another size. */

export class ByteSource {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array();

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** The next `length` bytes, fewer at the end, undefined behind it. They are a view where one chunk has them all. */
  async take(length: number): Promise<Uint8Array | undefined> {
    if (length <= this.#chunk.length && length) return this.#cut(length);
    const parts: Uint8Array[] = [];
    for (let missing = length; missing > 0; ) {
      if (!this.#chunk.length && !(await this.#fill())) break;
      const part = this.#cut(missing);
      parts.push(part);
      missing -= part.length;
    }
    if (parts.length === 0) return undefined;
    return parts.length === 1 ? parts[0] : Buffer.concat(parts);
  }

  /** Passes over bytes; resolves to how many there were. */
  async skip(length: number): Promise<number> {
    let left = length;
    while (left > 0 && (this.#chunk.length || (await this.#fill()))) left -= this.#cut(left).length;
    return length - left;
  }

  #cut(most: number): Uint8Array {
    const part = this.#chunk.subarray(0, most);
    this.#chunk = this.#chunk.subarray(part.length);
    return part;
  }

  async #fill(): Promise<boolean> {
    const { done, value } = await this.#chunks.next();
    if (done) return false;
    this.#chunk = value;
    return true;
  }
}
