/** Which process of an instance hosts which ranks. */

import { FluxError } from '../errno.ts';
import { IdSet } from '../formats/idset.ts';
import type { Topology } from './topology.ts';

/** A process of the instance, as all of them know it. */
export interface NodeFacts {
  /** The ranks that it hosts, as an idset (RFC 22). */
  readonly ranks: string;
}

/** What the machine of a process has. */
export interface MachineFacts {
  readonly hostname: string;
  readonly cores: number;
  readonly gpus: number;
}

/** Plain data, the same in all processes but for `own`. */
export interface Placement {
  /** Index of this process. */
  readonly own: number;
  /** All processes; the first hosts rank 0. */
  readonly nodes: readonly NodeFacts[];
}

/**
 * The process of each rank.
 *
 * @throws FluxError EINVAL: a rank has none, or two
 */
export function nodesOfRanks(nodes: readonly Pick<NodeFacts, 'ranks'>[], size: number): Int32Array {
  const nodeOfRank = new Int32Array(size).fill(-1);
  for (const [node, { ranks }] of nodes.entries()) {
    for (const rank of IdSet.parse(ranks)) {
      if (rank >= size) throw new FluxError('EINVAL', `rank ${rank} is none of an instance of ${size} ranks`);
      if (nodeOfRank[rank] !== -1)
        throw new FluxError('EINVAL', `rank ${rank} is claimed by process ${nodeOfRank[rank]} and process ${node}`);
      nodeOfRank[rank] = node;
    }
  }
  const without = nodeOfRank.indexOf(-1);
  if (without >= 0) throw new FluxError('EINVAL', `rank ${without} is hosted by no process`);
  return nodeOfRank;
}

/** Ranks of which rank 0 can be the parent of all without a level between: there a shape by processes gains nothing. */
const FLAT_SIZE_MAX = 33;

/** The shape of the tree when nobody asks for one: where there are many ranks, those of a process are neighbours. */
export function usualTopology(nodes: readonly NodeFacts[], size: number): string {
  return size > FLAT_SIZE_MAX && nodes.length > 1 && nodes.length < size ? 'procs:32' : 'kary:32';
}

/**
 * Checks that no process is above itself by way of others: they would wait for each other.
 *
 * @throws FluxError EINVAL: two that are
 */
export function checkPlacement(nodes: readonly NodeFacts[], topology: Pick<Topology, 'size' | 'parent'>): void {
  const nodeOfRank = nodesOfRanks(nodes, topology.size);
  const above = nodes.map(() => new Set<number>());
  for (let rank = 1; rank < topology.size; rank++) {
    const [own, parent] = [nodeOfRank[rank]!, nodeOfRank[topology.parent(rank)!]!];
    if (own !== parent) above[own]!.add(parent);
  }
  // Takes away, again and again, processes above which there are none any more.
  const below = nodes.map((): number[] => []);
  for (const [own, parents] of above.entries()) for (const parent of parents) below[parent]!.push(own);
  const free = above.flatMap((parents, node) => (parents.size ? [] : [node]));
  for (let node = free.pop(); node !== undefined; node = free.pop())
    for (const child of below[node]!) if (above[child]!.delete(node) && above[child]!.size === 0) free.push(child);
  const stuck = above.findIndex((parents) => parents.size > 0);
  if (stuck < 0) return;
  const [other] = above[stuck]!;
  const both = `the process of ranks ${nodes[other!]!.ranks} and that of ranks ${nodes[stuck]!.ranks}`;
  throw new FluxError('EINVAL', `${both} would be above each other; the tree 'procs:32' fits any processes`);
}

/** The processes that host the parents of a process's ranks, that of the first of them first. */
export function parentNodes({ own, nodes }: Placement, topology: Topology): number[] {
  const nodeOfRank = nodesOfRanks(nodes, topology.size);
  const parents = new Set<number>();
  for (const rank of IdSet.parse(nodes[own]!.ranks)) {
    const parent = topology.parent(rank);
    if (parent !== undefined && nodeOfRank[parent] !== own) parents.add(nodeOfRank[parent]!);
  }
  return [...parents];
}
