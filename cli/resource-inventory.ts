/** Resource sets (RFC 20) as the resource service and the scheduler tell of them. */

import { FluxError } from '../core/errno.ts';
import { Hostlist } from '../core/formats/hostlist.ts';
import { IdSet } from '../core/formats/idset.ts';
import { parseResourceSet } from '../core/formats/resource-json.ts';
import { propertiesOf } from '../core/formats/resource-properties.ts';
import { ResourceSet } from '../core/formats/resource-set.ts';
import type { Handle } from '../core/handle/handle.ts';
import { type JsonObject, type JsonValue, real, stringifyJson } from '../core/json.ts';
import { isObject } from '../core/message/unpack.ts';

export const schedStates = ['up', 'down', 'allocated', 'free', 'all'] as const;
export type SchedState = (typeof schedStates)[number];

/** A resource set, its nodes by rank, each with a host's name; `null` and nothing are the empty set. */
export function readResourceSet(R: JsonValue | undefined): ResourceSet {
  if (R === undefined || R === null) return ResourceSet.empty;
  const set = parseResourceSet(stringifyJson(R));
  return set.withNodes(
    set.byRank().map(({ hostname, ...node }) => ({ ...node, hostname: hostname ?? `rank${node.rank}` })),
  );
}

/** What the scheduler has: everything, what is down, and what is allocated to jobs. */
export class SchedResources {
  readonly all: ResourceSet;
  readonly down: ResourceSet;
  readonly allocated: ResourceSet;
  /** The names of all properties, in the order that they were told of. */
  readonly properties: readonly string[];

  constructor(all: ResourceSet, down: ResourceSet, allocated: ResourceSet, properties: readonly string[]) {
    this.all = all;
    this.down = down;
    this.allocated = allocated;
    this.properties = properties;
  }

  /** Reads an answer of `resource.sched-status`; throws FluxError EINVAL for what is no resource set. */
  static read(answer: JsonValue): SchedResources {
    if (!isObject(answer)) throw new FluxError('EINVAL', 'the resources are not a JSON object');
    const { all, down, allocated } = answer;
    const properties = [all, down, allocated].flatMap(propertyNames);
    return new SchedResources(readResourceSet(all), readResourceSet(down), readResourceSet(allocated), [
      ...new Set(properties),
    ]);
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
    return new SchedResources(all!, down!, allocated!, this.properties);
  }

  /** The names of a set's properties, in the order that they were told of. */
  propertiesOf(set: ResourceSet): string[] {
    const present = propertiesOf(set);
    return this.properties.filter((name) => present.has(name));
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
  const hosts = Hostlist.from(nodes.map(({ hostname }) => hostname ?? ''));
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
