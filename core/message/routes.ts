/**
 * The route stack of a message (RFC 3): one id per hop, the most recent on top.
 *
 * On the wire the top comes first, each id as a size-prefixed part. Ids that came from the wire stay there until they are
 * popped; ids pushed here are kept beside them. So a hop that pushes or pops one id never decodes the others.
 */

import { partLength, readPartSize, writePart } from './parts.ts';

const noBytes = Buffer.alloc(0);

/** An id that was pushed, on top of others. It is never changed, so that copies of a stack share all that they have. */
interface Pushed {
  readonly id: string;
  readonly below: Pushed | undefined;
}

export class RouteStack {
  // Pushed here, the top; all of them lie above what is in #bytes.
  #pushed: Pushed | undefined;
  #bytes: Buffer;
  #start: number;
  #end: number;

  /** The ids in `bytes[start … end)`, as they came from the wire. */
  constructor(bytes: Buffer = noBytes, start = 0, end = 0) {
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
  }

  push(id: string): void {
    this.#pushed = { id, below: this.#pushed };
  }

  /** Takes the top id off; undefined when the stack is empty. */
  pop(): string | undefined {
    if (this.#pushed) {
      const { id, below } = this.#pushed;
      this.#pushed = below;
      return id;
    }
    if (this.#start === this.#end) return undefined;
    const [offset, size] = readPartSize(this.#bytes, this.#start, this.#end);
    this.#start = offset + size;
    return this.#bytes.toString('latin1', offset, offset + size);
  }

  /** The top id: the hop that handed the message over. */
  get top(): string | undefined {
    if (this.#pushed) return this.#pushed.id;
    if (this.#start === this.#end) return undefined;
    const [offset, size] = readPartSize(this.#bytes, this.#start, this.#end);
    return this.#bytes.toString('latin1', offset, offset + size);
  }

  /** The bottom id: who sent the message first (RFC 6, Disconnection). */
  get sender(): string | undefined {
    if (this.#start === this.#end) return this.#bottomPushed();
    let [offset, size] = readPartSize(this.#bytes, this.#start, this.#end);
    while (offset + size < this.#end) [offset, size] = readPartSize(this.#bytes, offset + size, this.#end);
    return this.#bytes.toString('latin1', offset, offset + size);
  }

  #bottomPushed(): string | undefined {
    let pushed = this.#pushed;
    while (pushed?.below) pushed = pushed.below;
    return pushed?.id;
  }

  get isEmpty(): boolean {
    return !this.#pushed && this.#start === this.#end;
  }

  /** All ids, the sender first. */
  ids(): string[] {
    const ids: string[] = [];
    for (let pushed = this.#pushed; pushed; pushed = pushed.below) ids.push(pushed.id);
    for (let at = this.#start; at < this.#end; ) {
      const [offset, size] = readPartSize(this.#bytes, at, this.#end);
      ids.push(this.#bytes.toString('latin1', offset, offset + size));
      at = offset + size;
    }
    return ids.reverse();
  }

  /** The ids as `ping` shows them: the first eight characters of each, the sender first. */
  toString(): string {
    return this.ids()
      .map((id) => id.slice(0, 8))
      .join('!');
  }

  clone(): RouteStack {
    const copy = new RouteStack(this.#bytes, this.#start, this.#end);
    copy.#pushed = this.#pushed;
    return copy;
  }

  /** Bytes of all ids on the wire, without the delimiter. */
  get encodedLength(): number {
    let length = this.#end - this.#start;
    for (let pushed = this.#pushed; pushed; pushed = pushed.below) length += partLength(pushed.id.length);
    return length;
  }

  /** Writes the ids at `offset`, the top first, and returns the offset behind them. */
  encodeInto(target: Buffer, offset: number): number {
    for (let pushed = this.#pushed; pushed; pushed = pushed.below) offset = writePart(target, offset, pushed.id);
    return offset + this.#bytes.copy(target, offset, this.#start, this.#end);
  }
}
