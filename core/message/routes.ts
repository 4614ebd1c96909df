/**
 * The route stack of a message (RFC 3): one id per hop, the most recent on top.
 *
 * On the wire the top comes first, each id as a size-prefixed part. Ids that came from the wire stay there until they are
 * popped; ids pushed here are kept beside them. So a hop that pushes or pops one id never decodes the others.
 */

import { partLength, readPartSize, writePart } from './parts.ts';

const noBytes = Buffer.alloc(0);

export class RouteStack {
  // Pushed here, the top last; all of them lie above what is in #bytes.
  #pushed: string[];
  #bytes: Buffer;
  #start: number;
  #end: number;

  constructor(pushed: string[] = [], bytes: Buffer = noBytes, start = 0, end = 0) {
    this.#pushed = pushed;
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
  }

  push(id: string): void {
    this.#pushed.push(id);
  }

  /** Takes the top id off; undefined when the stack is empty. */
  pop(): string | undefined {
    if (this.#pushed.length) return this.#pushed.pop();
    if (this.#start === this.#end) return undefined;
    const [offset, size] = readPartSize(this.#bytes, this.#start, this.#end);
    this.#start = offset + size;
    return this.#bytes.toString('latin1', offset, offset + size);
  }

  /** The top id: the hop that handed the message over. */
  get top(): string | undefined {
    if (this.#pushed.length) return this.#pushed.at(-1);
    if (this.#start === this.#end) return undefined;
    const [offset, size] = readPartSize(this.#bytes, this.#start, this.#end);
    return this.#bytes.toString('latin1', offset, offset + size);
  }

  /** The bottom id: who sent the message first (RFC 6, Disconnection). */
  get sender(): string | undefined {
    if (this.#start === this.#end) return this.#pushed[0];
    let [offset, size] = readPartSize(this.#bytes, this.#start, this.#end);
    while (offset + size < this.#end) [offset, size] = readPartSize(this.#bytes, offset + size, this.#end);
    return this.#bytes.toString('latin1', offset, offset + size);
  }

  get isEmpty(): boolean {
    return this.#pushed.length === 0 && this.#start === this.#end;
  }

  /** All ids, the sender first. */
  ids(): string[] {
    const older: string[] = [];
    for (let at = this.#start; at < this.#end; ) {
      const [offset, size] = readPartSize(this.#bytes, at, this.#end);
      older.push(this.#bytes.toString('latin1', offset, offset + size));
      at = offset + size;
    }
    return older.reverse().concat(this.#pushed);
  }

  /** The ids as `ping` shows them: the first eight characters of each, the sender first. */
  toString(): string {
    return this.ids()
      .map((id) => id.slice(0, 8))
      .join('!');
  }

  clone(): RouteStack {
    return new RouteStack(this.#pushed.slice(), this.#bytes, this.#start, this.#end);
  }

  /** Bytes of all ids on the wire, without the delimiter. */
  get encodedLength(): number {
    let length = this.#end - this.#start;
    for (const id of this.#pushed) length += partLength(id.length);
    return length;
  }

  /** Writes the ids at `offset`, the top first, and returns the offset behind them. */
  encodeInto(target: Buffer, offset: number): number {
    for (let i = this.#pushed.length - 1; i >= 0; i--) offset = writePart(target, offset, this.#pushed[i]!);
    return offset + this.#bytes.copy(target, offset, this.#start, this.#end);
  }
}
