/**
 * Resource sets: concrete resources, such as cores 2-5 of rank 9 (RFC 20, version 1).
 *
 * A set is a list of execution targets, each rank once, with what may be known of the whole: when it is valid, how many
 * slots it has, and the scheduler's own data. Sets never change; every operation makes another one. The order of the
 * list is the order of operations, as in Flux: it shows in `describe`, while R itself is written by rank.
 *
 * What an operation drops is part of its contract: only those documented to keep times, slots and scheduling do.
 */

import { FluxError } from '../errno.ts';
import type { JsonObject } from '../json.ts';
import { Hostlist } from './hostlist.ts';
import { IdSet } from './idset.ts';
import {
  countOf,
  describeResources,
  intersectResources,
  isBare,
  joinProperties,
  joinResources,
  noProperties,
  oncePerPair,
  oncePerTable,
  type ResourceNode,
  type Resources,
  renumberResources,
  subtractResources,
} from './resource-node.ts';

/** What is known of a set as a whole. */
export interface ResourceSetDetails {
  /** Seconds since 1970, 0 when unset; when set, the resources are valid from then on. */
  readonly starttime?: number;
  /** Seconds since 1970, 0 when unset; when set, the resources are valid until then. */
  readonly expiration?: number;
  /** How many slots an allocation has, 0 when it is none. */
  readonly nslots?: number;
  /** The scheduler's own data, which nobody else reads. */
  readonly scheduling?: JsonObject | undefined;
}

/** Ranks with the same resources. */
export interface ResourceGroup {
  readonly ranks: IdSet;
  readonly resources: Resources;
}

export class ResourceSet {
  static readonly empty = new ResourceSet([]);

  readonly nodes: readonly ResourceNode[];
  readonly starttime: number;
  readonly expiration: number;
  readonly nslots: number;
  readonly scheduling: JsonObject | undefined;
  readonly #byRank = new Map<number, ResourceNode>();

  /** The set of these nodes; throws FluxError EEXIST when two of them have the same rank. */
  constructor(nodes: readonly ResourceNode[], details: ResourceSetDetails = {}) {
    this.nodes = nodes;
    this.starttime = details.starttime ?? 0;
    this.expiration = details.expiration ?? 0;
    this.nslots = details.nslots ?? 0;
    this.scheduling = details.scheduling;
    for (const node of nodes) this.#byRank.set(node.rank, node);
    if (this.#byRank.size < nodes.length) throw new FluxError('EEXIST', 'a rank is twice in the resource set');
  }

  /**
   * The set that gives each of `ranks` the same resources and, in order, one of the hosts.
   * Throws FluxError EINVAL unless there are as many hosts as ranks.
   */
  static uniform(ranks: IdSet, hosts: Hostlist, resources: Resources): ResourceSet {
    if (hosts.count !== ranks.count) throw new FluxError('EINVAL', `${hosts.count} hosts for ${ranks.count} ranks`);
    const names = hosts.expand();
    return new ResourceSet(
      Array.from(ranks, (rank, i) => ({ rank, hostname: names[i], resources, properties: noProperties })),
    );
  }

  node(rank: number): ResourceNode | undefined {
    return this.#byRank.get(rank);
  }

  get ranks(): IdSet {
    return IdSet.from(this.#byRank.keys());
  }

  /** The nodes' hosts by rank, or undefined when one has no name. */
  get nodelist(): Hostlist | undefined {
    const names = this.byRank().map((node) => node.hostname);
    return names.every((name) => name !== undefined) ? Hostlist.from(names) : undefined;
  }

  /** The nodes ordered by rank. */
  byRank(): readonly ResourceNode[] {
    return this.nodes.toSorted((a, b) => a.rank - b.rank);
  }

  /** How many resources of a type there are: `core`, `gpu`, or another that R has. */
  count(type: string): number {
    return this.nodes.reduce((count, node) => count + countOf(node.resources, type), 0);
  }

  /** The nodes that have resources, put together when these are the same, in the order of `nodes` given. */
  groups(nodes: readonly ResourceNode[] = this.nodes): ResourceGroup[] {
    const groups = new Map<string, { ranks: number[]; resources: Resources }>();
    const keyOf = oncePerTable((resources: Resources) =>
      JSON.stringify(Array.from(resources, ([type, ids]) => `${type}:${ids}`).sort()),
    );
    for (const { rank, resources } of nodes) {
      const group = groups.get(keyOf(resources));
      if (group) group.ranks.push(rank);
      else groups.set(keyOf(resources), { ranks: [rank], resources });
    }
    return Array.from(groups.values())
      .filter(({ resources }) => !isBare(resources))
      .map(({ ranks, resources }) => ({ ranks: IdSet.from(ranks), resources }));
  }

  /** The set as people read it: `rank[0-1]/core[0-3] rank2/core0,gpu0`. */
  describe(): string {
    return this.groups()
      .map(({ ranks, resources }) => `rank${ranks.encode({ brackets: true })}/${describeResources(resources)}`)
      .join(' ');
  }

  /**
   * This set with the others behind it, keeping what is known of this one; the first scheduling data found stays.
   * Throws FluxError EEXIST when two of the sets share a resource, EINVAL when one of the others has a rank without any.
   */
  append(...others: readonly ResourceSet[]): ResourceSet {
    const nodes = new Map(this.#byRank);
    const join = oncePerPair(joinResources);
    const joinNames = oncePerPair(joinProperties);
    for (const node of others.flatMap((other) => other.nodes.map(copyOf))) {
      if (isBare(node.resources)) throw new FluxError('EINVAL', `rank ${node.rank} has no resources`);
      const present = nodes.get(node.rank);
      const resources = present ? join(present.resources, node.resources) : node.resources;
      const properties = present ? joinNames(present.properties, node.properties) : node.properties;
      nodes.set(node.rank, { ...(present ?? node), resources, properties });
    }
    const scheduling = [this, ...others].find((set) => set.scheduling)?.scheduling;
    return new ResourceSet([...nodes.values()], { ...this, scheduling });
  }

  /** What this set has and `other` lacks, keeping scheduling data; a rank of both goes behind those of this set alone. */
  diff(other: ResourceSet): ResourceSet {
    const copy = ResourceSet.empty.append(this);
    const nodes = new Map(copy.#byRank);
    const subtract = oncePerPair(subtractResources);
    for (const { rank, resources } of other.nodes) {
      const node = nodes.get(rank);
      if (!node || !nodes.delete(rank)) continue;
      const rest = { ...copyOf(node), resources: subtract(node.resources, resources) };
      if (!isBare(rest.resources)) nodes.set(rank, rest);
    }
    return new ResourceSet([...nodes.values()], { scheduling: copy.scheduling });
  }

  /** What either set has, keeping scheduling data. */
  union(other: ResourceSet): ResourceSet {
    return this.diff(other).append(other);
  }

  /** This set with what only `other` has behind it, keeping what is known of this one. */
  add(other: ResourceSet): ResourceSet {
    return this.append(other.diff(this));
  }

  /** What both sets have on ranks whose hosts do not differ, keeping scheduling data but no properties. */
  intersect(other: ResourceSet): ResourceSet {
    const nodes: ResourceNode[] = [];
    const intersect = oncePerPair(intersectResources);
    for (const { rank, hostname, resources } of other.nodes) {
      const node = this.node(rank);
      if (!node || (node.hostname && hostname && node.hostname !== hostname)) continue;
      const common = intersect(node.resources, resources);
      if (!isBare(common)) nodes.push({ rank, hostname: node.hostname, resources: common, properties: noProperties });
    }
    return new ResourceSet(nodes, nodes.length ? { scheduling: this.scheduling } : {});
  }

  /** The nodes of these ranks, keeping scheduling data; ranks that the set lacks are passed over. */
  select(ranks: IdSet): ResourceSet {
    const nodes = Array.from(ranks.intersect(this.ranks), (rank) => copyOf(this.#byRank.get(rank)!));
    return new ResourceSet(nodes, nodes.length ? { scheduling: this.scheduling } : {});
  }

  /** The nodes that pass a test, such as a job's constraint (RFC 31), keeping scheduling data. */
  filter(test: (node: ResourceNode) => boolean): ResourceSet {
    const nodes = this.nodes.filter(test).map(copyOf);
    return new ResourceSet(nodes, nodes.length ? { scheduling: this.scheduling } : {});
  }

  /** The set without these ranks, keeping all that is known of it. */
  exclude(ranks: IdSet): ResourceSet {
    return this.withNodes(this.nodes.filter((node) => !ranks.has(node.rank)));
  }

  /** The set with ranks and ids counted anew from 0, GPUs excepted, keeping all that is known of it. */
  remap(): ResourceSet {
    const renumber = oncePerTable(renumberResources);
    return this.withNodes(this.byRank().map((node, rank) => ({ ...node, rank, resources: renumber(node.resources) })));
  }

  /**
   * The set with each node's rank the position of its host in `hosts`, keeping all that is known of it.
   *
   * Throws FluxError EOVERFLOW when there are more hosts than nodes, ENOSPC when there are fewer, and ENOENT when a host
   * is not in the set (as often as in the list).
   */
  rerank(hosts: Hostlist): ResourceSet {
    const count = this.nodes.length;
    if (hosts.count > count) {
      throw new FluxError('EOVERFLOW', `Number of hosts (${hosts.count}) is greater than node count (${count})`);
    }
    if (hosts.count < count) {
      throw new FluxError('ENOSPC', `Number of hosts (${hosts.count}) is less than node count (${count})`);
    }
    // Hosts may have several ranks; these are taken from the list's end, so the nodes are served in reverse.
    const ranks = collect(hosts.expand().entries());
    const nodes = this.nodes.toReversed().map((node) => ({ ...node, rank: ranks.get(node.hostname)?.pop() ?? -1 }));
    const [missing] = Array.from(ranks).find(([, left]) => left.length) ?? [];
    if (missing !== undefined) throw new FluxError('ENOENT', `Host ${missing} not found in resources`);
    return this.withNodes(nodes.reverse());
  }

  /** The set with these hosts given to its nodes by rank; throws FluxError EINVAL unless there are as many as nodes. */
  withHosts(hosts: Hostlist): ResourceSet {
    if (hosts.count !== this.nodes.length) {
      throw new FluxError('EINVAL', `nodelist has ${hosts.count} hosts for ${this.nodes.length} ranks`);
    }
    const names = hosts.expand();
    return this.withNodes(this.byRank().map((node, i) => ({ ...node, hostname: names[i] })));
  }

  /** All ranks on the hosts given; throws FluxError ENOENT that names the hosts which have none. */
  ranksOf(hosts: Hostlist): IdSet {
    const ranks = collect(this.nodes.map(({ rank, hostname }) => [rank, hostname]));
    const missing = hosts.expand().filter((host) => !ranks.has(host));
    if (missing.length) throw new FluxError('ENOENT', `invalid hosts: ${Hostlist.from(missing)}`);
    return IdSet.from(hosts.expand().flatMap((host) => ranks.get(host)!));
  }

  /** Other nodes with all that is known of this set. */
  withNodes(nodes: readonly ResourceNode[]): ResourceSet {
    return new ResourceSet(nodes, this);
  }
}

/** A copy as Flux makes it, whose tables list their names in another order. */
function copyOf(node: ResourceNode): ResourceNode {
  return { ...node, resources: node.resources.reinserted, properties: node.properties.reinserted };
}

/** The ranks of each host, in the order they come. */
function collect(
  hosts: Iterable<readonly [rank: number, host: string | undefined]>,
): Map<string | undefined, number[]> {
  const ranks = new Map<string | undefined, number[]>();
  for (const [rank, host] of hosts) {
    const list = ranks.get(host);
    if (list) list.push(rank);
    else ranks.set(host, [rank]);
  }
  return ranks;
}
