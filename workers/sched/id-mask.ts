/**
 * Which of a node's cores, or GPUs, are free: a bit for each, in words of 32. Bit n stands for the node's n-th id, so a
 * node with few cores of high ids needs few words.
 */

import { IdSet } from '../../core/formats/idset.ts';

/** Words of 32 bits; what a job has of one node, for example. */
export type Mask = readonly number[];

/** The free ids of all nodes. */
export class FreeMasks {
  readonly #words: number;
  readonly #masks: Uint32Array;

  /** @param counts how many ids each node has, all of them free */
  constructor(counts: readonly number[]) {
    this.#words = counts.reduce((max, count) => Math.max(max, (count + 31) >>> 5), 0);
    this.#masks = new Uint32Array(counts.length * this.#words);
    for (const [node, count] of counts.entries()) this.#masks.set(fullMask(count), node * this.#words);
  }

  /** Takes the lowest `count` that are free; there are as many. */
  take(node: number, count: number): Mask {
    const mask: number[] = [];
    const first = node * this.#words;
    let left = count;
    for (let word = 0; left > 0 && word < this.#words; word++) {
      let rest = this.#masks[first + word]!;
      const before = rest;
      if (countBits(rest) <= left) rest = 0;
      else for (let n = left; n > 0; n--) rest &= rest - 1;
      const taken = (before ^ rest) >>> 0;
      left -= countBits(taken);
      this.#masks[first + word] = rest;
      mask.push(taken);
    }
    return mask;
  }

  /** Takes those of `wanted` that are free, and returns them. */
  takeThese(node: number, wanted: Mask): Mask {
    const first = node * this.#words;
    return wanted.map((bits, word) => {
      const taken = (bits & this.#masks[first + word]!) >>> 0;
      this.#masks[first + word]! &= ~taken;
      return taken;
    });
  }

  give(node: number, mask: Mask): void {
    const first = node * this.#words;
    for (const [word, bits] of mask.entries()) this.#masks[first + word]! |= bits;
  }

  /** Those of `count` ids that are not free. */
  taken(node: number, count: number): Mask {
    const first = node * this.#words;
    return fullMask(count).map((all, word) => (~this.#masks[first + word]! & all) >>> 0);
  }
}

/** The mask of the first `count` ids. */
function fullMask(count: number): Mask {
  const words = new Array<number>((count + 31) >>> 5).fill(0xffffffff);
  if (count & 31) words[words.length - 1] = 2 ** (count & 31) - 1;
  return words;
}

export function countIds(mask: Mask): number {
  let count = 0;
  for (const bits of mask) count += countBits(bits);
  return count;
}

function countBits(bits: number): number {
  let n = bits - ((bits >>> 1) & 0x55555555);
  n = (n & 0x33333333) + ((n >>> 2) & 0x33333333);
  return Math.imul((n + (n >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** The ids of a kind of node, which masks stand for. */
export class IdTable {
  readonly ids: readonly number[];
  #positions: Map<number, number> | undefined;
  /** The last set that was written: nodes of a job often have the same. */
  #written: { readonly mask: Mask; readonly text: string } | undefined;

  constructor(ids: IdSet) {
    this.ids = [...ids];
  }

  /** The mask of all ids. */
  get all(): Mask {
    return fullMask(this.ids.length);
  }

  /** The ids of a mask as R writes them. */
  encode(mask: Mask): string {
    if (!this.#written || !sameMask(this.#written.mask, mask)) this.#written = { mask, text: this.#encode(mask) };
    return this.#written.text;
  }

  #encode(mask: Mask): string {
    const ids: number[] = [];
    for (const [word, bits] of mask.entries())
      for (let left = bits; left !== 0; left &= left - 1)
        ids.push(this.ids[word * 32 + 31 - Math.clz32(left & -left)]!);
    return ids.length === 1 ? String(ids[0]) : IdSet.from(ids).encode();
  }

  /** The mask of ids; those that are not in the table are left out. */
  mask(ids: IdSet): Mask {
    this.#positions ??= new Map(this.ids.map((id, position) => [id, position]));
    const mask: number[] = new Array((this.ids.length + 31) >>> 5).fill(0);
    for (const id of ids) {
      const position = this.#positions.get(id);
      if (position !== undefined) mask[position >>> 5] = (mask[position >>> 5]! | (1 << (position & 31))) >>> 0;
    }
    return mask;
  }
}

function sameMask(a: Mask, b: Mask): boolean {
  if (a.length !== b.length) return false;
  for (let word = 0; word < a.length; word++) if (a[word] !== b[word]) return false;
  return true;
}
