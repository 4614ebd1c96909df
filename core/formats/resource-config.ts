/**
 * Resource sets from configuration: the `[[resource.config]]` tables, each giving hosts the same cores, GPUs and
 * properties (flux-config-resource(5)).
 *
 * Ranks are given to hosts in the order they first appear; later tables add to a host's resources.
 */

import { FluxError } from '../errno.ts';
import { Hostlist } from './hostlist.ts';
import { IdSet } from './idset.ts';
import { encodeJson, jsonTypeName } from './jansson.ts';
import { NameTable } from './name-table.ts';
import { isBare, joinProperties, joinResources, oncePerPair, type ResourceNode, resourcesOf } from './resource-node.ts';
import { propertyNameFault } from './resource-properties.ts';
import { ResourceSet } from './resource-set.ts';

const KEYS = ['hosts', 'cores', 'gpus', 'properties'];

/**
 * The resource set of a configuration, the array of `[[resource.config]]` tables as parsed from TOML.
 *
 * Throws FluxError EINVAL that names the table and what is wrong in it, or the hosts that got no resources.
 */
export function resourceSetFromConfig(config: unknown): ResourceSet {
  if (!Array.isArray(config)) throw new FluxError('EINVAL', 'resource config must be an array');
  const nodes = new Map<string, ResourceNode>();
  const joinIds = oncePerPair(joinResources);
  const joinNames = oncePerPair(joinProperties);
  for (const [index, table] of config.entries()) {
    const { hosts, resources, properties } = readTable(table, index);
    for (const hostname of hosts) {
      const node = nodes.get(hostname);
      nodes.set(hostname, {
        rank: node?.rank ?? nodes.size,
        hostname,
        resources: node ? within(index, () => joinIds(node.resources, resources)) : resources,
        properties: node ? joinNames(node.properties, properties) : properties,
      });
    }
  }
  if (!nodes.size) throw new FluxError('EINVAL', 'no hosts configured');
  const bare = [...nodes.values()].filter((node) => isBare(node.resources)).map((node) => node.hostname!);
  if (bare.length) throw new FluxError('EINVAL', `resource.config: ${Hostlist.from(bare)} assigned no resources`);
  return new ResourceSet([...nodes.values()]);
}

function readTable(value: unknown, index: number) {
  if (jsonTypeName(value) !== 'object') throw fault(index, `Expected object, got ${jsonTypeName(value)}`);
  const table = value as Readonly<Record<string, unknown>>;
  if (!Object.hasOwn(table, 'hosts')) throw fault(index, 'Object item not found: hosts');
  for (const key of ['hosts', 'cores', 'gpus']) {
    if (Object.hasOwn(table, key) && typeof table[key] !== 'string') {
      throw fault(index, `Expected string, got ${jsonTypeName(table[key])}`);
    }
  }
  const unknown = Object.keys(table).filter((key) => !KEYS.includes(key));
  if (unknown.length) throw fault(index, `${unknown.length} object item(s) left unpacked: ${unknown.join(', ')}`);
  const { hosts, cores, gpus, properties } = table as Readonly<Record<string, string | undefined>>;
  return {
    properties: readProperties(properties ?? [], index),
    hosts: readHosts(hosts!, index),
    resources: resourcesOf([
      ...(cores === undefined ? [] : [['core', readIds('cores', cores, index)] as const]),
      ...(gpus === undefined ? [] : [['gpu', readIds('gpus', gpus, index)] as const]),
    ]),
  };
}

function readHosts(text: string, index: number): Hostlist {
  let hosts: Hostlist;
  try {
    hosts = Hostlist.parse(text);
  } catch (cause) {
    throw fault(index, `invalid hostlist '${text}'`, cause);
  }
  if (!hosts.count) throw fault(index, 'empty hostlist specified');
  return hosts;
}

function readIds(key: string, text: string, index: number): IdSet {
  try {
    return IdSet.parse(text);
  } catch (cause) {
    throw fault(index, `invalid idset ${key}='${text}'`, cause);
  }
}

function readProperties(value: unknown, index: number): NameTable<true> {
  if (!Array.isArray(value)) throw fault(index, 'properties must be an array');
  const properties = new NameTable<true>();
  for (const name of value) {
    if (typeof name !== 'string' || propertyNameFault(name)) {
      throw fault(index, `invalid property "${encodeJson(name)}"`);
    }
    properties.insert(name, true);
  }
  return properties;
}

function within<T>(index: number, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw fault(index, (cause as FluxError).message, cause);
  }
}

function fault(index: number, sentence: string, cause?: unknown): FluxError {
  return new FluxError('EINVAL', `config[${index}]: ${sentence}`, { cause });
}
