/**
 * Nodes by what is free on them: one bucket for each pair of free cores and free GPUs, each a set of nodes. A change
 * moves a node from one bucket to another, and nodes come out in the order in which a policy prefers them.
 */

import { BitSet } from './bit-set.ts';

/** Which nodes are taken first: those with the most that is free, those with the least, or those with the lowest number. */
export type FitOrder = 'worst-fit' | 'best-fit' | 'first-fit';

export const fitOrders: readonly FitOrder[] = ['worst-fit', 'best-fit', 'first-fit'];

interface Bucket {
  readonly cores: number;
  readonly gpus: number;
  readonly nodes: BitSet;
}

export class FreeIndex {
  readonly #bound: number;
  /** How many keys a number of cores has: one for each number of GPUs. */
  readonly #stride: number;
  readonly #buckets = new Map<number, Bucket>();
  /** Keys of the buckets that hold a node. */
  readonly #keys: BitSet;
  /** Where each node is; -1 when it is in none. */
  readonly #keyOf: Int32Array;
  #size = 0;

  /** For nodes numbered from 0 up to `bound`, none of which has more cores and GPUs than these. */
  constructor(bound: number, maxCores: number, maxGpus: number) {
    this.#bound = bound;
    this.#stride = maxGpus + 1;
    this.#keys = new BitSet((maxCores + 1) * this.#stride);
    this.#keyOf = new Int32Array(bound).fill(-1);
  }

  /** How many nodes there are. */
  get size(): number {
    return this.#size;
  }

  /** Puts a node where it belongs with so much free. */
  set(node: number, cores: number, gpus: number): void {
    const key = cores * this.#stride + gpus;
    if (this.#keyOf[node] === key) return;
    this.remove(node);
    let bucket = this.#buckets.get(key);
    if (!bucket) {
      bucket = { cores, gpus, nodes: new BitSet(this.#bound) };
      this.#buckets.set(key, bucket);
    }
    bucket.nodes.add(node);
    this.#keys.add(key);
    this.#keyOf[node] = key;
    this.#size++;
  }

  remove(node: number): void {
    const key = this.#keyOf[node]!;
    if (key < 0) return;
    const { nodes } = this.#buckets.get(key)!;
    nodes.delete(node);
    if (nodes.size === 0) this.#keys.delete(key);
    this.#keyOf[node] = -1;
    this.#size--;
  }

  /** Visits the nodes that have at least so much free, in order, until `visit` returns false. */
  visit(order: FitOrder, cores: number, gpus: number, visit: (node: number) => boolean): void {
    if (order === 'first-fit') this.#visitByNumber(cores, gpus, visit);
    else if (order === 'best-fit') {
      for (let key = this.#keys.next(cores * this.#stride + gpus); key >= 0; key = this.#keys.next(key + 1))
        if (!visitBucket(this.#buckets.get(key)!, gpus, visit)) return;
    } else {
      const least = cores * this.#stride + gpus;
      for (let key = this.#keys.previous(this.#lastKey); key >= least; key = this.#keys.previous(key - 1))
        if (!visitBucket(this.#buckets.get(key)!, gpus, visit)) return;
    }
  }

  /** The nodes of several buckets merged; there are few pairs of numbers. */
  #visitByNumber(cores: number, gpus: number, visit: (node: number) => boolean): void {
    const buckets = this.#fitting(cores, gpus);
    const nexts = buckets.map(({ nodes }) => nodes.next(0));
    while (nexts.length) {
      let least = 0;
      for (let i = 1; i < nexts.length; i++) if (nexts[i]! < nexts[least]!) least = i;
      const node = nexts[least]!;
      if (!visit(node)) return;
      const next = buckets[least]!.nodes.next(node + 1);
      if (next >= 0) nexts[least] = next;
      else {
        nexts.splice(least, 1);
        buckets.splice(least, 1);
      }
    }
  }

  #fitting(cores: number, gpus: number): Bucket[] {
    const buckets: Bucket[] = [];
    for (let key = this.#keys.next(cores * this.#stride); key >= 0; key = this.#keys.next(key + 1)) {
      const bucket = this.#buckets.get(key)!;
      if (bucket.gpus >= gpus) buckets.push(bucket);
    }
    return buckets;
  }

  /** How many nodes have at least so much free; more than `enough` need not be counted. */
  countNodes(cores: number, gpus: number, enough = Infinity): number {
    return this.#sum(cores, gpus, enough, () => 1);
  }

  /** How many slots of so many cores and GPUs are free; more than `enough` need not be counted. */
  countSlots(cores: number, gpus: number, enough = Infinity): number {
    return this.#sum(cores, gpus, enough, (bucket) => slotsIn(bucket.cores, bucket.gpus, cores, gpus));
  }

  #sum(cores: number, gpus: number, enough: number, each: (bucket: Bucket) => number): number {
    let sum = 0;
    for (
      let key = this.#keys.previous(this.#lastKey);
      key >= cores * this.#stride;
      key = this.#keys.previous(key - 1)
    ) {
      const bucket = this.#buckets.get(key)!;
      if (bucket.gpus >= gpus) sum += bucket.nodes.size * each(bucket);
      if (sum >= enough) break;
    }
    return sum;
  }

  get #lastKey(): number {
    return this.#keys.bound - 1;
  }
}

function visitBucket(bucket: Bucket, gpus: number, visit: (node: number) => boolean): boolean {
  if (bucket.gpus < gpus) return true;
  const { nodes } = bucket;
  for (let node = nodes.next(0); node >= 0; node = nodes.next(node + 1)) if (!visit(node)) return false;
  return true;
}

/** How many slots fit on what a node has free. */
export function slotsIn(freeCores: number, freeGpus: number, cores: number, gpus: number): number {
  const byCores = Math.floor(freeCores / cores);
  return gpus > 0 ? Math.min(byCores, Math.floor(freeGpus / gpus)) : byCores;
}
