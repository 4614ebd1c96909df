/**
 * The shape of the tree that ranks form: who is whose parent, and which way leads to whom.
 *
 * Shapes (attribute tbon.topo): `kary:K` with fanout K (0: all ranks below rank 0), `mincrit[:K]` with K routers in the
 * middle of three levels, `binomial`, `custom` as the configuration's [bootstrap] hosts say, and `procs:K`: the ranks of
 * each process are a `kary:K` tree of their own, and so are the first ranks of the processes, so that each process but one
 * has one link towards rank 0.
 */

import { FluxError } from '../errno.ts';

const NO_PARENT = -1;
/** Fanout that `mincrit` without a number stays below, if it can. */
const MINCRIT_FANOUT_MAX = 1024;

/** A host of the configuration's [bootstrap] table, in order of rank. */
export interface CustomHost {
  readonly host: string;
  readonly parent?: string | undefined;
}

/** What some shapes go by. */
export interface TopologyFacts {
  readonly hosts?: readonly CustomHost[];
  /** The process of each rank; one has all when absent. */
  readonly nodeOfRank?: Int32Array | undefined;
}

export class Topology {
  readonly size: number;
  readonly #parents: Int32Array;
  readonly #levels: Int32Array;
  readonly #descendants: Int32Array;
  // Children of rank r: #children[#firstChild[r] … #firstChild[r + 1]), or #changed where some have come or gone.
  readonly #firstChild: Int32Array;
  readonly #children: Int32Array;
  readonly #changed = new Map<number, Int32Array>();
  readonly maxLevel: number;

  /** `parents[r]` is the parent of rank r; rank 0 has none and is above all. */
  private constructor(parents: Int32Array) {
    const size = parents.length;
    this.size = size;
    this.#parents = parents;
    this.#levels = new Int32Array(size).fill(-1);
    this.#levels[0] = 0;
    for (let rank = 1; rank < size; rank++) this.#findLevel(rank);
    this.maxLevel = this.#levels.reduce((max, level) => Math.max(max, level), 0);

    this.#firstChild = new Int32Array(size + 1);
    for (let rank = 1; rank < size; rank++) this.#firstChild[parents[rank]! + 1]!++;
    for (let rank = 0; rank < size; rank++) this.#firstChild[rank + 1]! += this.#firstChild[rank]!;
    const next = this.#firstChild.slice();
    this.#children = new Int32Array(Math.max(0, size - 1));
    for (let rank = 1; rank < size; rank++) this.#children[next[parents[rank]!]!++] = rank;

    this.#descendants = new Int32Array(size);
    const byLevel = Array.from({ length: size }, (_, rank) => rank).sort((a, b) => this.#levels[b]! - this.#levels[a]!);
    for (const rank of byLevel) if (rank) this.#descendants[parents[rank]!]! += this.#descendants[rank]! + 1;
  }

  /**
   * The tree of `size` ranks that a tbon.topo value names.
   *
   * @throws FluxError EINVAL: unknown shape, bad number, or hosts that form no tree
   */
  static create(uri: string, size: number, { hosts = [], nodeOfRank }: TopologyFacts = {}): Topology {
    const [shape, argument] = splitOnce(uri);
    const parents = new Int32Array(size);
    parents[0] = NO_PARENT;
    switch (shape) {
      case 'kary':
        fillKary(parents, parseCount('kary', argument));
        break;
      case 'mincrit':
        fillMincrit(parents, argument ? parseCount('mincrit', argument) : chooseRouters(size));
        break;
      case 'binomial':
        refuseArgument('binomial', argument);
        fillBinomial(parents);
        break;
      case 'procs':
        fillProcs(parents, parseCount('procs', argument), nodeOfRank);
        break;
      case 'custom':
        refuseArgument('custom', argument);
        fillCustom(parents, hosts);
        break;
      default:
        throw new FluxError('EINVAL', `unknown topology scheme '${shape}'`);
    }
    return new Topology(parents);
  }

  #findLevel(rank: number): number {
    const path: number[] = [];
    let at = rank;
    while (this.#levels[at]! < 0) {
      path.push(at);
      at = this.#parents[at]!;
    }
    let level = this.#levels[at]!;
    for (const each of path.reverse()) this.#levels[each] = ++level;
    return level;
  }

  /** The parent of a rank; undefined for rank 0. */
  parent(rank: number): number | undefined {
    return rank === 0 ? undefined : this.#parents[rank];
  }

  /** In order of rank. */
  children(rank: number): Int32Array {
    return this.#changed.get(rank) ?? this.#children.subarray(this.#firstChild[rank], this.#firstChild[rank + 1]);
  }

  level(rank: number): number {
    return this.#levels[rank]!;
  }

  /** How many ranks lie below a rank. */
  descendants(rank: number): number {
    return this.#descendants[rank]!;
  }

  /** The child of `rank` on the way to `target`; undefined when `target` does not lie below `rank`. */
  childToward(rank: number, target: number): number | undefined {
    if (target <= 0 || target >= this.size) return undefined;
    let at = target;
    for (let up = this.#levels[target]! - this.#levels[rank]! - 1; up > 0; up--) at = this.#parents[at]!;
    return this.#parents[at] === rank ? at : undefined;
  }

  /** All ranks of the subtree below and with `rank`. */
  subtree(rank: number): number[] {
    const ranks = [rank];
    for (let i = 0; i < ranks.length; i++) ranks.push(...this.children(ranks[i]!));
    return ranks;
  }

  /** Whether `rank` is `top`, or lies below it. */
  isInSubtree(rank: number, top: number): boolean {
    return rank === top || this.childToward(top, rank) !== undefined;
  }

  /**
   * Moves a rank, with all below it, below another one.
   *
   * @throws FluxError EINVAL: no such ranks, or it would be below itself
   */
  reparent(rank: number, parent: number): void {
    const isRank = (each: number) => Number.isInteger(each) && each >= 0 && each < this.size;
    if (!isRank(rank) || !isRank(parent) || rank === 0)
      throw new FluxError(
        'EINVAL',
        `rank ${rank} can't be moved below rank ${parent} in an instance of ${this.size} ranks`,
      );
    if (this.isInSubtree(parent, rank))
      throw new FluxError('EINVAL', `rank ${rank} can't be moved below rank ${parent}, which is part of its subtree`);
    const old = this.#parents[rank]!;
    const moved = this.#descendants[rank]! + 1;
    for (let at = old; at !== NO_PARENT; at = this.#parents[at]!) this.#descendants[at]! -= moved;
    for (let at = parent; at !== NO_PARENT; at = this.#parents[at]!) this.#descendants[at]! += moved;
    this.#changed.set(
      old,
      this.children(old).filter((child) => child !== rank),
    );
    this.#parents[rank] = parent;
    this.#changed.set(parent, Int32Array.of(...this.children(parent), rank).sort());
    const down = this.#levels[parent]! + 1 - this.#levels[rank]!;
    if (down) for (const each of this.subtree(rank)) this.#levels[each]! += down;
  }

  /** Ranks that others depend on: rank 0 and every rank with children. */
  routers(): number[] {
    return Array.from({ length: this.size }, (_, rank) => rank).filter(
      (rank) => rank === 0 || this.children(rank).length > 0,
    );
  }
}

function splitOnce(uri: string): [string, string | undefined] {
  const colon = uri.indexOf(':');
  return colon < 0 ? [uri, undefined] : [uri.slice(0, colon), uri.slice(colon + 1)];
}

function parseCount(shape: string, text: string | undefined): number {
  const count = Number(text);
  if (!text || !/^\d+$/.test(text) || count > 0x7fffffff)
    throw new FluxError('EINVAL', `${shape} k value must be an integer >= 0, not '${text ?? ''}'`);
  return count;
}

function refuseArgument(shape: string, argument: string | undefined): void {
  if (argument) throw new FluxError('EINVAL', `${shape} topology takes no '${argument}'`);
}

function fillKary(parents: Int32Array, k: number): void {
  if (k === 0) return;
  for (let rank = 1; rank < parents.length; rank++) parents[rank] = Math.floor((rank - 1) / k);
}

/** Ranks 1 … k are routers below rank 0; the others are dealt out to them. */
function fillMincrit(parents: Int32Array, k: number): void {
  if (k === 0) return;
  for (let rank = k + 1; rank < parents.length; rank++) parents[rank] = ((rank - k - 1) % k) + 1;
}

/** The fewest routers, two or more, that keep their fanout in bounds; none where rank 0 can serve all. */
function chooseRouters(size: number): number {
  if (size <= MINCRIT_FANOUT_MAX + 1) return 0;
  let k = 2;
  while (Math.ceil((size - 1 - k) / k) > MINCRIT_FANOUT_MAX) k++;
  return k;
}

/** The tree of 2^k nodes joins two trees of 2^(k-1): rank r hangs below r without its highest bit. */
function fillBinomial(parents: Int32Array): void {
  for (let rank = 1; rank < parents.length; rank++) parents[rank] = rank - 2 ** Math.floor(Math.log2(rank));
}

/** Processes in the order of their first ranks, of which each is the root of its process's tree. */
function fillProcs(parents: Int32Array, k: number, nodeOfRank: Int32Array = new Int32Array(parents.length)): void {
  const ranksOf = new Map<number, number[]>();
  for (const [rank, node] of nodeOfRank.entries()) {
    const ranks = ranksOf.get(node);
    if (ranks) ranks.push(rank);
    else ranksOf.set(node, [rank]);
  }
  const fill = (ranks: readonly number[]) => {
    for (let i = 1; i < ranks.length; i++) parents[ranks[i]!] = ranks[k === 0 ? 0 : Math.floor((i - 1) / k)]!;
  };
  for (const ranks of ranksOf.values()) fill(ranks);
  fill([...ranksOf.values()].map(([first]) => first!));
}

function fillCustom(parents: Int32Array, hosts: readonly CustomHost[]): void {
  const rankOf = new Map<string, number>();
  // Of several brokers on a host the first is meant.
  for (const [rank, { host }] of hosts.entries()) if (!rankOf.has(host)) rankOf.set(host, rank);
  for (const [rank, { host, parent }] of hosts.entries()) {
    if (parent === undefined) continue;
    if (rank === 0) throw new FluxError('EINVAL', `[bootstrap] hosts: rank 0 (${host}) may not have a parent`);
    if (rank >= parents.length)
      throw new FluxError('EINVAL', `[bootstrap] hosts: ${hosts.length} hosts for ${parents.length} ranks`);
    const parentRank = rankOf.get(parent);
    if (parentRank === undefined || parentRank >= parents.length)
      throw new FluxError('EINVAL', `[bootstrap] hosts: parent '${parent}' of ${host} (rank ${rank}) is no host`);
    parents[rank] = parentRank;
    for (let at = parentRank; at > 0; at = parents[at]!)
      if (at === rank)
        throw new FluxError(
          'EINVAL',
          `[bootstrap] hosts: parent '${parent}' of ${host} (rank ${rank}) closes a circle`,
        );
  }
}
