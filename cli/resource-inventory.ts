/** Resource sets (RFC 20) as the resource service and the scheduler tell of them. */

import { FluxError } from '../core/errno.ts';
import { Hostlist } from '../core/formats/hostlist.ts';
import { IdSet } from '../core/formats/idset.ts';
import { resourceSetFromJson } from '../core/formats/resource-json.ts';
import type { ResourceNode } from '../core/formats/resource-node.ts';
import { propertiesOf } from '../core/formats/resource-properties.ts';
import { ResourceSet } from '../core/formats/resource-set.ts';
import type { Handle } from '../core/handle/handle.ts';
import { type JsonObject, type JsonValue, real, stringifyJson } from '../core/json.ts';
import { isObject } from '../core/message/unpack.ts';

export const schedStates = ['up', 'down', 'allocated', 'free', 'all'] as const;
export type SchedState = (typeof schedStates)[number];

/** Reads a resource set; `null` and nothing are the empty one. */
export function readResourceSet(R: JsonValue | undefined): ResourceSet {
  return R === undefined || R === null ? ResourceSet.empty : resourceSetFromJson(R);
}

/** What a node is called that R may give no host. */
export function hostOf({ hostname, rank }: ResourceNode): string {
  return hostname ?? `rank${rank}`;
}

/** The hosts of a set, by rank. */
export function hostsByRank(set: ResourceSet): Hostlist {
  return Hostlist.from(set.byRank().map(hostOf));
}

/** The names of properties as each set that was told of has them. */
type PropertyOrder = Readonly<Record<'all' | 'down' | 'allocated', readonly string[]>>;

/** What the scheduler has: everything, what is down, and what is allocated to jobs. */
export class SchedResources {
  readonly all: ResourceSet;
  readonly down: ResourceSet;
  readonly allocated: ResourceSet;
  readonly #properties: PropertyOrder;

  private constructor(all: ResourceSet, down: ResourceSet, allocated: ResourceSet, properties: PropertyOrder) {
    this.all = all;
    this.down = down;
    this.allocated = allocated;
    this.#properties = properties;
  }

  /** Reads an answer of `resource.sched-status`; throws FluxError EINVAL for what is no resource set. */
  static read(answer: JsonValue): SchedResources {
    if (!isObject(answer)) throw new FluxError('EINVAL', 'the resources are not a JSON object');
    const { all, down, allocated } = answer;
    const [known, ...own] = [all, down, allocated].map(propertyNames);
    const [ofDown, ofAllocated] = own.map((names) => [...new Set([...names, ...known!])]);
    return new SchedResources(readResourceSet(all), readResourceSet(down), readResourceSet(allocated), {
      all: known!,
      down: ofDown!,
      allocated: ofAllocated!,
    });
  }

  get up(): ResourceSet {
    return this.all.diff(this.down);
  }

  get free(): ResourceSet {
    return this.up.diff(this.allocated);
  }

  /** Only these ranks. */
  select(ranks: IdSet): SchedResources {
    const [all, down, allocated] = [this.all, this.down, this.allocated].map((set) => keepTimes(set, ranks));
    return new SchedResources(all!, down!, allocated!, this.#properties);
  }

  /** The names of the properties of resources in a state, in the order that these were told of. */
  propertiesOf(state: SchedState, set: ResourceSet): string[] {
    const present = propertiesOf(set);
    const order = state === 'down' || state === 'allocated' ? this.#properties[state] : this.#properties.all;
    return order.filter((name) => present.has(name));
  }
}

function keepTimes(set: ResourceSet, ranks: IdSet): ResourceSet {
  return set.withNodes(set.nodes.filter(({ rank }) => ranks.has(rank)));
}

function propertyNames(R: JsonValue | undefined): string[] {
  const execution = isObject(R) ? R.execution : undefined;
  const properties = isObject(execution) ? execution.properties : undefined;
  return isObject(properties) ? Object.keys(properties) : [];
}

/** Asks the scheduler, by way of the resource service where that answers for it. */
export async function fetchSchedResources(handle: Handle): Promise<SchedResources> {
  const topic = process.env.FLUX_RESOURCE_LIST_RPC || 'resource.sched-status';
  const ask = (name: string) => handle.rpc<JsonObject>(name, undefined, { nodeid: 0 });
  const answer = await ask(topic).catch((error: FluxError) => {
    if (error.code !== 'ENOSYS') throw error;
    return ask('sched.resource-status');
  });
  return SchedResources.read(answer);
}

/**
 * The ranks that `--include` means: an idset, or a hostlist, of whose hosts each stands for the first rank that it has.
 * What the set does not have is passed over.
 *
 * @throws FluxError EINVAL: it is neither
 */
export function includedRanks(targets: string, set: ResourceSet): IdSet {
  const ranks = parseTargets(targets, '--include');
  if (ranks instanceof IdSet) return ranks;
  const nodes = set.byRank();
  const hosts = hostsByRank(set);
  return IdSet.from(ranks.expand().flatMap((host) => nodes[hosts.find(host) ?? -1]?.rank ?? []));
}

/** An idset, or else a hostlist; throws FluxError EINVAL when a text is neither. */
export function parseTargets(targets: string, what: string): IdSet | Hostlist {
  try {
    return IdSet.parse(targets);
  } catch {
    try {
      return Hostlist.parse(targets);
    } catch {
      throw new FluxError('EINVAL', `${what}: '${targets}' is neither an idset nor a hostlist`);
    }
  }
}

/** What people read of a set: `rank[0-1]/core[0-3] rank2/core0,gpu0`. */
export function describeByRank(set: ResourceSet): string {
  return set.withNodes(set.byRank()).describe();
}

/** R with blanks behind commas and colons, and properties by name, as flux-core's Python library writes it. */
export function encodeSpaced(set: ResourceSet): string {
  const { nodelist, starttime, expiration } = set;
  const properties = [...propertiesOf(set)].sort(([a], [b]) => (a < b ? -1 : 1));
  const R: JsonObject = {
    version: 1,
    execution: {
      R_lite: set.groups(set.byRank()).map(({ ranks, resources }) => ({
        rank: ranks.encode(),
        children: {
          core: resources.get('core')?.encode() ?? '',
          gpu: resources.get('gpu')?.count ? resources.get('gpu')!.encode() : undefined,
        },
      })),
      starttime: real(starttime),
      expiration: real(expiration),
      nodelist: nodelist && [nodelist.encode()],
      properties: properties.length
        ? Object.fromEntries(properties.map(([name, ranks]) => [name, ranks.encode()]))
        : undefined,
    },
  };
  return stringifyJson(R).replace(/"(?:[^"\\]|\\.)*"|[,:]/g, (token) => (token.length === 1 ? `${token} ` : token));
}
