/**
 * A directory as the store has it: its blob, and where in that each entry stands. A change copies what is before and
 * behind it, and writes nothing else anew.
 */

import { compareNames, type Dir, encodeEntry, makeDir, type Treeobj } from '../../core/formats/treeobj.ts';

/** What a name is to stand for; without an object it is to go. */
export type Change = readonly [name: string, object: Treeobj | undefined];

const HEAD = Buffer.from('{"data":{');
const TAIL = Buffer.from('},"type":"dir","ver":1}');
const COMMA = 0x2c;

export class Directory {
  static readonly empty = new Directory([], [], Buffer.concat([HEAD, TAIL]), Uint32Array.of(HEAD.length));

  /** In the order of their bytes. */
  readonly names: readonly string[];
  /** What the names stand for. */
  readonly objects: readonly Treeobj[];
  /** The blob. */
  readonly bytes: Buffer;
  /** Where in the blob each entry begins; before that is the comma or brace that ends the one before. */
  readonly starts: Uint32Array;

  constructor(names: readonly string[], objects: readonly Treeobj[], bytes: Buffer, starts: Uint32Array) {
    this.names = names;
    this.objects = objects;
    this.bytes = bytes;
    this.starts = starts;
  }

  /** The directory of a tree object. */
  static from({ data }: Dir): Directory {
    const names = Object.keys(data).sort(compareNames);
    return Directory.empty.with(names.map((name) => [name, data[name]]));
  }

  get size(): number {
    return this.names.length;
  }

  /** What a name stands for; undefined when there is no such entry. */
  get(name: string): Treeobj | undefined {
    const at = this.#place(name, 0);
    return this.names[at] === name ? this.objects[at] : undefined;
  }

  /** The names and what they stand for, sorted. */
  *entries(): Generator<readonly [name: string, object: Treeobj]> {
    for (let i = 0; i < this.size; i++) yield [this.names[i]!, this.objects[i]!];
  }

  toTreeobj(): Dir {
    return makeDir(Object.fromEntries(this.entries()));
  }

  /** This directory with other entries. The changes are sorted by name, and none has the name of another. */
  with(changes: readonly Change[]): Directory {
    const copy = new Copy(this, changes);
    let from = 0;
    for (let i = 0; i < changes.length; i++) {
      const name = changes[i]![0];
      const at = this.#place(name, from);
      copy.keep(from, at);
      copy.add(i);
      from = this.names[at] === name ? at + 1 : at;
    }
    copy.keep(from, this.size);
    return copy.finish();
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
  readonly #old: Directory;
  readonly #changes: readonly Change[];
  /** The changes as they stand in a blob. */
  readonly #texts: readonly string[];
  readonly #names: string[];
  readonly #objects: Treeobj[];
  readonly #starts: Uint32Array;
  readonly #bytes: Buffer;
  #size = 0;
  #end = HEAD.length;

  constructor(old: Directory, changes: readonly Change[]) {
    this.#old = old;
    this.#changes = changes;
    this.#texts = changes.map(([name, object]) => (object ? encodeEntry(name, object) : ''));
    const room = this.#texts.reduce((sum, text) => sum + Buffer.byteLength(text) + 1, old.bytes.length);
    this.#bytes = Buffer.allocUnsafe(room);
    HEAD.copy(this.#bytes);
    const sizeMax = old.size + changes.length;
    this.#names = new Array(sizeMax);
    this.#objects = new Array(sizeMax);
    this.#starts = new Uint32Array(sizeMax + 1);
    this.#starts[0] = HEAD.length;
  }

  /** The old entries from one to before another. */
  keep(from: number, to: number): void {
    if (from === to) return;
    const { names, objects, starts, bytes } = this.#old;
    const shift = this.#end - starts[from]!;
    bytes.copy(this.#bytes, this.#end, starts[from], starts[to]);
    for (let i = from; i < to; i++) this.#push(names[i]!, objects[i]!, starts[i + 1]! + shift);
  }

  /** An entry as a change has it. */
  add(change: number): void {
    const [name, object] = this.#changes[change]!;
    if (object) this.#push(name, object, this.#end + this.#bytes.write(this.#texts[change]!, this.#end) + 1);
  }

  #push(name: string, object: Treeobj, end: number): void {
    this.#names[this.#size] = name;
    this.#objects[this.#size] = object;
    this.#starts[++this.#size] = end;
    this.#bytes[end - 1] = COMMA;
    this.#end = end;
  }

  finish(): Directory {
    const size = this.#size;
    this.#names.length = size;
    this.#objects.length = size;
    // Nothing follows the last entry's comma.
    const end = this.#end - (size ? 1 : 0);
    const bytes = this.#bytes.subarray(0, end + TAIL.copy(this.#bytes, end));
    return new Directory(this.#names, this.#objects, bytes, this.#starts.subarray(0, size + 1));
  }
}
