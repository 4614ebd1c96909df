/** What a job has, as R (RFC 20) and as people read it. */

import { Hostlist } from '../../core/formats/hostlist.ts';
import { IdSet } from '../../core/formats/idset.ts';
import { type JsonObject, type JsonValue, real } from '../../core/json.ts';
import type { Pool, PoolNode, Share } from './pool.ts';

/** Ranks that have the same. */
interface Group {
  readonly ranks: number[];
  readonly cores: string;
  readonly gpus: string;
}

/** Nodes with what of them is meant. */
export type Shares = Iterable<readonly [node: number, share: Share]>;

interface Member {
  readonly node: PoolNode;
  readonly share: Share;
}

/** The nodes of a set of shares by rank, and put together where they have the same. */
export class SharedResources {
  readonly #members: readonly Member[];
  readonly #groups: readonly Group[];

  constructor(pool: Pool, shares: Shares) {
    const members = Array.from(shares, ([number, share]): Member => ({ node: pool.nodes[number]!, share }));
    this.#members = members.length > 1 ? members.sort((a, b) => a.node.rank - b.node.rank) : members;
    this.#groups = groupsOf(this.#members);
  }

  /** `rank[0-1]/core[0-3],gpu0 rank2/core0` */
  describe(): string {
    return this.#groups
      .map(({ ranks, cores, gpus }) => {
        const shown = `rank${bracketed(encodeRanks(ranks))}/core${bracketed(cores)}`;
        return gpus ? `${shown},gpu${bracketed(gpus)}` : shown;
      })
      .join(' ');
  }

  /** The `R_lite` of R. */
  get R_lite(): JsonValue {
    return this.#groups.map(({ ranks, cores, gpus }) => ({
      rank: encodeRanks(ranks),
      children: gpus ? { core: cores, gpu: gpus } : { core: cores },
    }));
  }

  /** The `nodelist` of R; undefined when the hosts have no names. */
  get nodelist(): readonly string[] | undefined {
    const names = this.#members.map(({ node }) => node.hostname ?? '');
    if (names.length === 1) return names[0] === '' ? undefined : [names[0]!];
    return names.some((name) => name === '') ? undefined : [Hostlist.from(names).encode()];
  }

  /**
   * The `properties` of R; undefined when there are none.
   *
   * @param isLocal those that are the instance's own, too, whose names begin with `+` (RFC 20)
   */
  properties(isLocal: boolean): JsonObject | undefined {
    const ranks = new Map<string, number[]>();
    for (const { node } of this.#members)
      for (const [name] of node.properties) {
        if (name.startsWith('+') && !isLocal) continue;
        const list = ranks.get(name);
        if (list) list.push(node.rank);
        else ranks.set(name, [node.rank]);
      }
    if (ranks.size === 0) return undefined;
    const names = [...ranks.keys()].sort();
    return Object.fromEntries(names.map((name) => [name, encodeRanks(ranks.get(name)!)]));
  }
}

/** When an allocation is valid, and how many slots it has. */
export interface AllocationTimes {
  readonly starttime: number;
  /** Seconds since 1970; 0 when it has no end. */
  readonly expiration: number;
  readonly slots: number;
}

/** The R of a job, with its keys in the order in which flux-core's scheduler writes them. */
export function encodeAllocation(pool: Pool, resources: SharedResources, times: AllocationTimes): JsonObject {
  const { R_lite, nodelist } = resources;
  const properties = resources.properties(false);
  return {
    version: 1,
    execution: {
      R_lite,
      starttime: real(times.starttime),
      expiration: real(times.expiration),
      nslots: times.slots,
      ...(nodelist && { nodelist }),
      ...(properties && { properties }),
    },
    ...(pool.scheduling && { scheduling: pool.scheduling }),
  };
}

/** A part of the pool as R; what is not all of it has no hosts, as `sched.resource-status` shows it. */
export function encodePart(pool: Pool, shares: Shares, part: 'all' | 'allocated' | 'down'): JsonObject {
  const resources = new SharedResources(pool, shares);
  const properties = part === 'down' ? undefined : resources.properties(true);
  const nodelist = part === 'all' ? resources.nodelist : undefined;
  return {
    version: 1,
    execution: {
      R_lite: resources.R_lite,
      starttime: real(pool.starttime),
      expiration: real(pool.expiration),
      ...(nodelist && { nodelist }),
      ...(properties && { properties }),
    },
    ...(part === 'all' && pool.scheduling && { scheduling: pool.scheduling }),
  };
}

function groupsOf(members: readonly Member[]): readonly Group[] {
  const groups = new Map<string, Group>();
  for (const { node, share } of members) {
    const cores = node.coreIds.encode(share.cores);
    const gpus = share.gpus.length ? node.gpuIds.encode(share.gpus) : '';
    const key = `${cores}/${gpus}`;
    const group = groups.get(key);
    if (group) group.ranks.push(node.rank);
    else groups.set(key, { ranks: [node.rank], cores, gpus });
  }
  return [...groups.values()];
}

function encodeRanks(ranks: readonly number[]): string {
  return ranks.length === 1 ? String(ranks[0]) : IdSet.from(ranks).encode();
}

/** Ids as people read them: more than one in brackets. */
function bracketed(ids: string): string {
  return /[-,]/.test(ids) ? `[${ids}]` : ids;
}
