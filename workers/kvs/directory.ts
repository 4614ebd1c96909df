/**
 * A directory as the store has it: its blob, and where in that each entry stands. A change copies what is before and
 * behind it, and writes nothing else anew. Entries become objects when they are asked for: all of them as objects would
 * take several times the memory.
 */

import { compareNames, type Dir, encodeEntry, type Treeobj } from '../../core/formats/treeobj.ts';

/** What a name is to stand for; without an object it is to go. */
export type Change = readonly [name: string, object: Treeobj | undefined];

interface Parts {
  /** In the order of their bytes. */
  readonly names: string[];
  /** The blob. */
  readonly bytes: Buffer;
  /** Where in the blob each entry begins; before that is the comma or brace that ends the one before. */
  readonly starts: Uint32Array;
  /** What the names stand for, as far as it was asked for or put here. */
  readonly objects: (Treeobj | undefined)[];
}

const HEAD = Buffer.from('{"data":{');
const TAIL = Buffer.from('},"type":"dir","ver":1}');
const COMMA = 0x2c;

export class Directory {
  static readonly empty = new Directory({
    names: [],
    bytes: Buffer.concat([HEAD, TAIL]),
    starts: Uint32Array.of(HEAD.length),
    objects: [],
  });

  /** In the order of their bytes. */
  readonly names: readonly string[];
  /** The blob. */
  readonly bytes: Buffer;
  readonly #parts: Parts;

  private constructor(parts: Parts) {
    this.names = parts.names;
    this.bytes = parts.bytes;
    this.#parts = parts;
  }

  /** The directory of a tree object. */
  static from({ data }: Dir): Directory {
    const names = Object.keys(data).sort(compareNames);
    const directory = Directory.empty.with(names.map((name) => [name, data[name]]));
    directory.#parts.objects.fill(undefined);
    return directory;
  }

  get size(): number {
    return this.names.length;
  }

  /** What a name stands for; undefined when there is no such entry. */
  get(name: string): Treeobj | undefined {
    const { names, bytes, starts, objects } = this.#parts;
    const at = this.#place(name, 0);
    if (names[at] !== name) return undefined;
    objects[at] ??= JSON.parse(`{${bytes.toString('utf8', starts[at], starts[at + 1]! - 1)}}`)[name];
    return objects[at];
  }

  /** The names and what they stand for, sorted. */
  entries(): (readonly [name: string, object: Treeobj])[] {
    const { data } = this.toTreeobj();
    return this.names.map((name) => [name, data[name]!]);
  }

  toTreeobj(): Dir {
    return JSON.parse(this.bytes.toString());
  }

  /** This directory with other entries. The changes are sorted by name, and none has the name of another. */
  with(changes: readonly Change[]): Directory {
    const copy = new Copy(this.#parts, changes);
    let from = 0;
    for (let i = 0; i < changes.length; i++) {
      const name = changes[i]![0];
      const at = this.#place(name, from);
      copy.keep(from, at);
      copy.add(i);
      from = this.names[at] === name ? at + 1 : at;
    }
    copy.keep(from, this.size);
    return new Directory(copy.finish());
  }

  /** Where a name is or would be, if not before `from`. */
  #place(name: string, from: number): number {
    let low = from;
    let high = this.names.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareNames(this.names[middle]!, name) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** A directory in the making: runs of an old one, and changes. */
class Copy {
  readonly #old: Parts;
  readonly #changes: readonly Change[];
  /** The changes as they stand in a blob. */
  readonly #texts: readonly string[];
  readonly #new: Parts;
  #size = 0;
  #end = HEAD.length;

  constructor(old: Parts, changes: readonly Change[]) {
    this.#old = old;
    this.#changes = changes;
    this.#texts = changes.map(([name, object]) => (object ? encodeEntry(name, object) : ''));
    const sizeMax = old.names.length + changes.length;
    const room = this.#texts.reduce((sum, text) => sum + Buffer.byteLength(text) + 1, old.bytes.length);
    this.#new = {
      names: new Array(sizeMax),
      bytes: Buffer.allocUnsafe(room),
      starts: new Uint32Array(sizeMax + 1),
      objects: new Array(sizeMax),
    };
    HEAD.copy(this.#new.bytes);
    this.#new.starts[0] = HEAD.length;
  }

  /** The old entries from one to before another. */
  keep(from: number, to: number): void {
    if (from === to) return;
    const { names, bytes, starts, objects } = this.#old;
    const shift = this.#end - starts[from]!;
    bytes.copy(this.#new.bytes, this.#end, starts[from], starts[to]);
    for (let i = from; i < to; i++) this.#push(names[i]!, objects[i], starts[i + 1]! + shift);
  }

  /** An entry as a change has it. */
  add(change: number): void {
    const [name, object] = this.#changes[change]!;
    if (!object) return;
    const length = this.#new.bytes.write(this.#texts[change]!, this.#end);
    this.#push(name, object, this.#end + length + 1);
  }

  #push(name: string, object: Treeobj | undefined, end: number): void {
    const { names, bytes, starts, objects } = this.#new;
    names[this.#size] = name;
    objects[this.#size] = object;
    starts[++this.#size] = end;
    bytes[end - 1] = COMMA;
    this.#end = end;
  }

  finish(): Parts {
    const { names, bytes, starts, objects } = this.#new;
    names.length = this.#size;
    objects.length = this.#size;
    // Nothing follows the last entry's comma.
    const end = this.#end - (this.#size ? 1 : 0);
    const length = end + TAIL.copy(bytes, end);
    return { names, bytes: bytes.subarray(0, length), starts: starts.subarray(0, this.#size + 1), objects };
  }
}
