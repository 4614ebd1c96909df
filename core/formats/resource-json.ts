/**
 * R, the JSON form of resource sets, version 1 (RFC 20).
 *
 *     {"version": 1, "execution": {"R_lite": [{"rank": "0-3", "children": {"core": "0-7", "gpu": "0"}}, …],
 *       "nslots": 4, "starttime": 0.0, "expiration": 0.0, "nodelist": ["node[0-3]"], "properties": {"big": "2-3"}},
 *      "scheduling": {…}}
 *
 * An error that Flux has no sentence for carries the error that led to it as `cause`.
 */

import { FluxError } from '../errno.ts';
import { type JsonObject, Real } from '../json.ts';
import { Hostlist } from './hostlist.ts';
import { IdSet } from './idset.ts';
import { encodeJson, jsonTypeName, parseJson } from './jansson.ts';
import { joinResources, noProperties, oncePerPair, type ResourceNode, resourcesOf } from './resource-node.ts';
import { propertiesOf, withProperties } from './resource-properties.ts';
import { ResourceSet } from './resource-set.ts';

/** More ranks than this are taken for a mistake, as more hosts are in a hostlist's range. */
const RANKS_MAX = 2 ** 20;

/** Reads R as text; throws FluxError EINVAL that says what is wrong with it. */
export function parseResourceSet(text: string): ResourceSet {
  return resourceSetFromJson(parseJson(text));
}

/** Reads R as a JSON value; throws FluxError EINVAL, or ENOENT for a property of a rank that R lacks. */
export function resourceSetFromJson(value: unknown): ResourceSet {
  const R = objectIn(value);
  const version = integerIn(itemOf(R, 'version'));
  const execution = objectIn(itemOf(R, 'execution'));
  const entries = itemOf(execution, 'R_lite');
  const { nodelist, properties, nslots, starttime, expiration } = execution;
  const details = {
    nslots: Math.max(nslots === undefined ? 0 : integerIn(nslots), 0),
    starttime: Math.max(starttime === undefined ? 0 : numberIn(starttime), 0),
    expiration: Math.max(expiration === undefined ? 0 : numberIn(expiration), 0),
    scheduling: R.scheduling === undefined ? undefined : (R.scheduling as JsonObject),
  };
  if (version !== 1) throw new FluxError('EINVAL', `invalid version=${version}`);

  let set = new ResourceSet(nodesOf(arrayIn(entries, 'R_lite')), details);
  if (nodelist !== undefined) set = tell('nodelist', () => set.withHosts(hostsOf(arrayIn(nodelist, 'nodelist'))));
  if (properties !== undefined) set = withProperties(set, Object.entries(propertiesIn(properties)));
  return set;
}

function nodesOf(entries: readonly unknown[]): ResourceNode[] {
  const nodes = new Map<number, ResourceNode>();
  const join = oncePerPair(joinResources);
  for (const entry of entries.map(objectIn)) {
    const ranks = stringIn(itemOf(entry, 'rank'));
    const children = Object.entries(objectIn(itemOf(entry, 'children')));
    tell(`rank ${ranks}`, () => {
      const resources = resourcesOf(children.map(([type, ids]) => [type, IdSet.parse(stringIn(ids))]));
      const set = IdSet.parse(ranks);
      if (nodes.size + set.count > RANKS_MAX) throw new FluxError('EINVAL', `more than ${RANKS_MAX} ranks`);
      for (const rank of set) {
        const present = nodes.get(rank);
        nodes.set(rank, {
          rank,
          hostname: undefined,
          resources: present ? join(present.resources, resources) : resources,
          properties: noProperties,
        });
      }
    });
  }
  return [...nodes.values()];
}

function hostsOf(entries: readonly unknown[]): Hostlist {
  return entries.reduce<Hostlist>((hosts, entry) => hosts.append(Hostlist.parse(stringIn(entry))), Hostlist.empty);
}

/** Flux fails without a word here; this says where, and marks it by the cause. */
function tell<T>(where: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new FluxError('EINVAL', `${where}: ${(cause as FluxError).message}`, { cause });
  }
}

function propertiesIn(value: unknown): Record<string, string> {
  if (jsonTypeName(value) !== 'object') throw new FluxError('EINVAL', 'properties must be an object');
  for (const ranks of Object.values(value as object)) {
    if (typeof ranks !== 'string') {
      throw new FluxError('EINVAL', `properties values '${encodeJson(ranks)}' not a string`);
    }
  }
  return value as Record<string, string>;
}

type Members = Readonly<Record<string, unknown>>;

function itemOf(members: Members, key: string): unknown {
  if (!Object.hasOwn(members, key)) throw new FluxError('EINVAL', `Object item not found: ${key}`);
  return members[key];
}

function expected(type: string, value: unknown): FluxError {
  return new FluxError('EINVAL', `Expected ${type}, got ${jsonTypeName(value)}`);
}

function objectIn(value: unknown): Members {
  if (jsonTypeName(value) !== 'object') throw expected('object', value);
  return value as Members;
}

function arrayIn(value: unknown, name: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new FluxError('EINVAL', `${name} must be an array`);
  return value;
}

function stringIn(value: unknown): string {
  if (typeof value !== 'string') throw expected('string', value);
  return value;
}

function integerIn(value: unknown): number {
  if (jsonTypeName(value) !== 'integer') throw expected('integer', value);
  return value as number;
}

function numberIn(value: unknown): number {
  if (value instanceof Real) return value.value;
  if (typeof value !== 'number') throw expected('real or integer', value);
  return value;
}

/** R as a JSON value, its times as reals. */
export function resourceSetToJson(set: ResourceSet): JsonObject {
  const { nodelist, nslots, starttime, expiration, scheduling } = set;
  const properties = [...propertiesOf(set)];
  return {
    version: 1,
    execution: {
      R_lite: set.groups(set.byRank()).map(({ ranks, resources }) => ({
        rank: ranks.encode(),
        children: Object.fromEntries(
          Array.from(resources, ([type, ids]) => [type, ids.count ? ids.encode() : undefined]),
        ),
      })),
      nslots: nslots || undefined,
      starttime: new Real(starttime),
      expiration: new Real(expiration),
      nodelist: nodelist && [nodelist.encode()],
      properties: properties.length
        ? Object.fromEntries(properties.map(([name, ranks]) => [name, ranks.encode()]))
        : undefined,
    },
    scheduling,
  };
}

/** R as text, byte for byte as Flux writes it. */
export function encodeResourceSet(set: ResourceSet): string {
  return encodeJson(resourceSetToJson(set));
}
