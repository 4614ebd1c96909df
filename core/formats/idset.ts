/**
 * Idsets: sets of non-negative integer ids, written `0-3,7` (RFC 22).
 *
 * A set never changes once made; `add` and its like return another set, so sets can be shared freely.
 * Inside, a set is the ascending list of the ids at which membership changes:
 *
 *     [0, 4, 7, 8]   holds 0-3 and 7: in at 0, out at 4, in at 7, out at 8
 *
 * so an id is a member when an odd number of changes lie at or below it, whatever the size of its ranges.
 */

import { FluxError } from '../errno.ts';

/** The largest id: flux's sets have a universe of 2^31 ids. */
export const ID_MAX = 2 ** 31 - 1;

/** How a set is written: with ranges (`1-3`, the default) or without (`1,2,3`), and in brackets or not. */
export interface IdSetStyle {
  readonly ranges?: boolean;
  /** Brackets are put around sets of two and more ids only. */
  readonly brackets?: boolean;
}

export class IdSet implements Iterable<number> {
  static readonly empty = new IdSet(new Uint32Array(0));

  readonly #changes: Uint32Array;
  #count: number | undefined;

  private constructor(changes: Uint32Array) {
    this.#changes = changes;
  }

  /**
   * Reads an idset string: ascending ids and ranges, `0,2-4,9` or `[0,2-4,9]`; empty text is the empty set.
   *
   * Throws FluxError EINVAL that names the part which is no range or out of order (RFC 22).
   */
  static parse(text: string): IdSet {
    const changes: number[] = [];
    for (const part of trimBrackets(text).split(',')) {
      if (part === '') continue;
      const [first, last] = parseRange(part);
      if (changes.length && first < changes.at(-1)!) throw new FluxError('EINVAL', `range '${part}' is out of order`);
      appendRange(changes, first, last + 1);
    }
    return new IdSet(Uint32Array.from(changes));
  }

  /** The set of the ids given, in any order, repeated or not; throws FluxError EINVAL for what is no id. */
  static from(ids: Iterable<number>): IdSet {
    const sorted = Uint32Array.from(Array.from(ids, checkId)).sort();
    const changes: number[] = [];
    for (const id of sorted) appendRange(changes, id, id + 1);
    return new IdSet(Uint32Array.from(changes));
  }

  /** The set of the ids from `first` to `last`, both included; throws FluxError EINVAL when `first` is above `last`. */
  static range(first: number, last: number): IdSet {
    return IdSet.empty.addRange(first, last);
  }

  /** The ids of all ranges given, each [first, last] with first <= last; they may overlap and come in any order. */
  static ofRanges(ranges: Iterable<readonly [first: number, last: number]>): IdSet {
    const changes: number[] = [];
    for (const [first, last] of [...ranges].sort((a, b) => a[0] - b[0])) {
      if (checkId(last) < checkId(first)) throw backwards(first, last);
      appendRange(changes, first, last + 1);
    }
    return new IdSet(Uint32Array.from(changes));
  }

  /** How many ids the set holds. */
  get count(): number {
    if (this.#count === undefined) {
      this.#count = 0;
      for (const [first, last] of this.ranges()) this.#count += last - first + 1;
    }
    return this.#count;
  }

  /** The lowest id, or undefined when the set is empty. */
  get first(): number | undefined {
    return this.#changes[0];
  }

  /** The highest id, or undefined when the set is empty. */
  get last(): number | undefined {
    const end = this.#changes.at(-1);
    return end === undefined ? undefined : end - 1;
  }

  has(id: number): boolean {
    return isOdd(countThrough(this.#changes, id));
  }

  /** The lowest id above `id`, or undefined when there is none. */
  next(id: number): number | undefined {
    const below = countThrough(this.#changes, id + 1);
    return isOdd(below) ? id + 1 : this.#changes[below];
  }

  /** The highest id below `id`, or undefined when there is none. */
  previous(id: number): number | undefined {
    const below = countThrough(this.#changes, id - 1);
    if (isOdd(below)) return id - 1;
    return below === 0 ? undefined : this.#changes[below - 1]! - 1;
  }

  /** The ids, ascending. */
  *[Symbol.iterator](): Generator<number> {
    for (const [first, last] of this.ranges()) for (let id = first; id <= last; id++) yield id;
  }

  /** The longest runs of consecutive ids, ascending, as [first, last]. */
  *ranges(): Generator<readonly [first: number, last: number]> {
    for (let i = 0; i < this.#changes.length; i += 2) yield [this.#changes[i]!, this.#changes[i + 1]! - 1];
  }

  add(id: number): IdSet {
    return this.has(id) ? this : this.addRange(id, id);
  }

  remove(id: number): IdSet {
    return this.has(id) ? this.removeRange(id, id) : this;
  }

  /** This set and the ids from `first` to `last`, both included; throws FluxError EINVAL unless first <= last. */
  addRange(first: number, last: number): IdSet {
    return this.#setRange(first, last, true);
  }

  /** This set without the ids from `first` to `last`, both included; throws FluxError EINVAL unless first <= last. */
  removeRange(first: number, last: number): IdSet {
    return this.#setRange(first, last, false);
  }

  #setRange(first: number, last: number, member: boolean): IdSet {
    if (checkId(last) < checkId(first)) throw backwards(first, last);
    const changes = this.#changes;
    const head = countThrough(changes, first - 1);
    const tail = countThrough(changes, last + 1);
    // A change is needed at an edge exactly where the membership on its outer side differs from the new one.
    const middle: number[] = [];
    if (isOdd(head) !== member) middle.push(first);
    if (isOdd(tail) !== member) middle.push(last + 1);
    const result = new Uint32Array(head + middle.length + changes.length - tail);
    result.set(changes.subarray(0, head));
    result.set(middle, head);
    result.set(changes.subarray(tail), head + middle.length);
    return new IdSet(result);
  }

  union(other: IdSet): IdSet {
    return this.#combine(other, (here, there) => here || there);
  }

  intersect(other: IdSet): IdSet {
    return this.#combine(other, (here, there) => here && there);
  }

  /** The ids of this set that `other` lacks. */
  difference(other: IdSet): IdSet {
    return this.#combine(other, (here, there) => here && !there);
  }

  #combine(other: IdSet, keep: (here: boolean, there: boolean) => boolean): IdSet {
    const a = this.#changes;
    const b = other.#changes;
    const result = new Uint32Array(a.length + b.length);
    let length = 0;
    let i = 0;
    let j = 0;
    while (i < a.length || j < b.length) {
      const id = Math.min(a[i] ?? Infinity, b[j] ?? Infinity);
      if (a[i] === id) i++;
      if (b[j] === id) j++;
      if (keep(isOdd(i), isOdd(j)) !== isOdd(length)) result[length++] = id;
    }
    return new IdSet(result.slice(0, length));
  }

  /** Whether the two sets share an id. */
  intersects(other: IdSet): boolean {
    return this.intersect(other).first !== undefined;
  }

  equals(other: IdSet): boolean {
    return (
      this.#changes.length === other.#changes.length && this.#changes.every((id, index) => id === other.#changes[index])
    );
  }

  /** The set as text: `0,2-4,9`, or in another style. */
  encode({ ranges = true, brackets = false }: IdSetStyle = {}): string {
    const parts: string[] = [];
    if (ranges) for (const [first, last] of this.ranges()) parts.push(first === last ? `${first}` : `${first}-${last}`);
    else for (const id of this) parts.push(`${id}`);
    const text = parts.join(',');
    return brackets && this.count > 1 ? `[${text}]` : text;
  }

  toString(): string {
    return this.encode();
  }
}

function isOdd(n: number): boolean {
  return (n & 1) === 1;
}

/** How many of the ascending `changes` are at or below `id`. */
function countThrough(changes: Uint32Array, id: number): number {
  let low = 0;
  let high = changes.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (changes[middle]! <= id) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Adds the ids from `first` up to `end`, not included; `first` is not below the first id of the last range. */
function appendRange(changes: number[], first: number, end: number): void {
  if (changes.length && first <= changes.at(-1)!) changes.push(Math.max(end, changes.pop()!));
  else changes.push(first, end);
}

function checkId(id: number): number {
  if (!Number.isInteger(id) || id < 0 || id > ID_MAX) throw new FluxError('EINVAL', `${id} is not an id`);
  return id;
}

function backwards(first: number, last: number): FluxError {
  return new FluxError('EINVAL', `idset range ${first}-${last} is backwards`);
}

function trimBrackets(text: string): string {
  const inner = text.length >= 2 && text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  if (/[[\]]/.test(inner)) throw new FluxError('EINVAL', 'mismatched or nested brackets');
  return inner;
}

function parseRange(part: string): [first: number, last: number] {
  const match = /^(0|[1-9][0-9]*)(?:-([1-9][0-9]*))?$/.exec(part);
  const first = match ? parseId(match[1]!) : undefined;
  const last = match?.[2] === undefined ? first : parseId(match[2]);
  if (first === undefined || last === undefined || (match?.[2] !== undefined && last <= first)) {
    throw new FluxError('EINVAL', `error parsing range '${part}'`);
  }
  if (last > ID_MAX) throw new FluxError('EINVAL', `error appending '${part}': set universe size would exceed maximum`);
  return [first, last];
}

/** Flux reads 64 bits and keeps 32, so 4294967296 is id 0; a number of more than 64 bits is none. */
function parseId(digits: string): number | undefined {
  if (digits.length < 10) return Number(digits);
  if (digits.length > 20) return undefined;
  const value = BigInt(digits);
  return value < 2n ** 64n ? Number(BigInt.asUintN(32, value)) : undefined;
}
