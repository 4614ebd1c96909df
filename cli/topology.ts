/** The tree of an instance's ranks, as the overlay service of rank 0 tells it. */

import { FluxError } from '../core/errno.ts';
import { IdSet } from '../core/formats/idset.ts';
import type { Handle } from '../core/handle/handle.ts';

interface Subtree {
  readonly rank: number;
  readonly children: readonly Subtree[];
}

export class Topology {
  readonly #subtrees = new Map<number, Subtree>();
  readonly #parents = new Map<number, number>();

  private constructor(root: Subtree) {
    const stack = [root];
    for (let subtree = stack.pop(); subtree; subtree = stack.pop()) {
      this.#subtrees.set(subtree.rank, subtree);
      for (const child of subtree.children) {
        this.#parents.set(child.rank, subtree.rank);
        stack.push(child);
      }
    }
  }

  static async fetch(handle: Handle): Promise<Topology> {
    return new Topology(await handle.rpc<Subtree>('overlay.topology', { rank: 0 }, { nodeid: 0 }));
  }

  get size(): number {
    return this.#subtrees.size;
  }

  /** The rank above; undefined for the root. */
  parentOf(rank: number): number | undefined {
    if (!this.#subtrees.has(rank)) throw new FluxError('EINVAL', `this instance has no rank ${rank}`);
    return this.#parents.get(rank);
  }

  childrenOf(rank: number): number[] {
    return this.#subtrees.get(rank)?.children.map((child) => child.rank) ?? [];
  }

  /** All ranks below a rank. */
  descendantsOf(rank: number): IdSet {
    const ranks: number[] = [];
    const stack = this.childrenOf(rank);
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      ranks.push(next);
      stack.push(...this.childrenOf(next));
    }
    return IdSet.from(ranks);
  }

  /** These ranks and all ranks above them. */
  withAncestors(ranks: Iterable<number>): Set<number> {
    const all = new Set<number>();
    for (const rank of ranks) {
      for (let next: number | undefined = rank; next !== undefined && !all.has(next); next = this.#parents.get(next))
        all.add(next);
    }
    return all;
  }
}
