/** Properties of resource sets: names given to ranks, which jobs may ask for or avoid (RFC 20, RFC 31). */

import { FluxError } from '../errno.ts';
import { IdSet } from './idset.ts';
import { NameTable } from './name-table.ts';
import { oncePerTable, type ResourceNode } from './resource-node.ts';
import type { ResourceSet } from './resource-set.ts';

/** Which ranks have each property, in the order R lists them. */
export function propertiesOf(set: ResourceSet): Map<string, IdSet> {
  const ranks = new NameTable<number[]>();
  for (const node of set.byRank()) {
    for (const [name] of node.properties) {
      const list = ranks.get(name);
      if (list) list.push(node.rank);
      else ranks.insert(name, [node.rank]);
    }
  }
  return new Map(Array.from(ranks, ([name, list]) => [name, IdSet.from(list)]));
}

/**
 * The set with properties given to ranks, each an idset's text, keeping all that is known of it.
 *
 * Throws FluxError EINVAL for a name or idset that is none, ENOENT for a rank that the set lacks.
 */
export function withProperties(
  set: ResourceSet,
  properties: Iterable<readonly [name: string, ranks: string]>,
): ResourceSet {
  const nodes = new Map(set.nodes.map((node) => [node.rank, node]));
  for (const [name, ranks] of Array.from(properties, parseProperty)) {
    const unknown = ranks.difference(set.ranks);
    if (unknown.count) {
      const noun = unknown.count === 1 ? 'rank' : 'ranks';
      throw new FluxError('ENOENT', `${noun} ${unknown} not found in target resource list`);
    }
    const insert = oncePerTable((table: ResourceNode['properties']) => table.clone().insert(name, true));
    for (const rank of ranks) {
      const node = nodes.get(rank)!;
      nodes.set(rank, { ...node, properties: insert(node.properties) });
    }
  }
  return set.withNodes([...nodes.values()]);
}

function parseProperty([name, text]: readonly [string, string]): [name: string, ranks: IdSet] {
  const char = propertyNameFault(name);
  if (char) throw new FluxError('EINVAL', `invalid character '${char}' in property "${name}"`);
  try {
    return [name, IdSet.parse(text)];
  } catch (cause) {
    throw new FluxError('EINVAL', `invalid idset '${text}' specified for property "${name}"`, { cause });
  }
}

/** The first character of a property's name that it must not have, if any (RFC 20; `!` is let pass, as Flux does). */
export function propertyNameFault(name: string): string | undefined {
  return /[\^&'"`|()]/.exec(name)?.[0];
}
