/**
 * The resources of one execution target: which cores, GPUs and other things a broker rank controls (RFC 20).
 *
 * Nodes and their tables never change once made. Nodes with the same resources share one table, and what is computed
 * from tables is computed once for each pair of them, so a set of 16k like nodes costs little more than one of two.
 */

import { FluxError } from '../errno.ts';
import { IdSet } from './idset.ts';
import { NameTable } from './name-table.ts';

/** Ids by type of resource; `core` is always there, if empty. */
export type Resources = NameTable<IdSet>;

export interface ResourceNode {
  readonly rank: number;
  readonly hostname: string | undefined;
  readonly resources: Resources;
  /** Property names; the values say nothing. */
  readonly properties: NameTable<true>;
}

export const noProperties: NameTable<true> = new NameTable();

/** Resources of the types and ids given, in the order given; throws FluxError EEXIST when one has an id twice. */
export function resourcesOf(ids: Iterable<readonly [type: string, ids: IdSet]>): Resources {
  const resources: Resources = new NameTable<IdSet>().insert('core', IdSet.empty);
  for (const [type, set] of ids) addIds(resources, type, set);
  return resources;
}

function addIds(resources: Resources, type: string, ids: IdSet): void {
  const present = resources.get(type);
  if (present?.intersects(ids)) throw new FluxError('EEXIST', `${type}${present.intersect(ids)} is there already`);
  if (present) resources.replace(type, present.union(ids));
  else resources.insert(type, ids);
}

/** Whether there is no id of any type. */
export function isBare(resources: Resources): boolean {
  for (const [, ids] of resources) if (ids.count) return false;
  return true;
}

/** How many ids of a type there are. */
export function countOf(resources: Resources, type: string): number {
  return resources.get(type)?.count ?? 0;
}

/** The properties of both tables. */
export function joinProperties(a: NameTable<true>, b: NameTable<true>): NameTable<true> {
  if (!b.size) return a;
  const result = a.clone();
  for (const [name] of b) result.insert(name, true);
  return result;
}

/** The ids of both tables; throws FluxError EEXIST when they share one. */
export function joinResources(a: Resources, b: Resources): Resources {
  const result = a.clone();
  for (const [type, ids] of b) addIds(result, type, ids);
  return result;
}

/** The ids of `a` that `b` lacks; a type with none left goes, but for cores. */
export function subtractResources(a: Resources, b: Resources): Resources {
  const result = a.reinserted.clone();
  for (const [type, ids] of b) {
    const present = result.get(type);
    if (!present) continue;
    const rest = present.difference(ids);
    if (rest.count || type === 'core') result.replace(type, rest);
    else result.delete(type);
  }
  return result;
}

/** The ids that are in both tables. */
export function intersectResources(a: Resources, b: Resources): Resources {
  const common: [string, IdSet][] = [];
  for (const [type, ids] of a) {
    const both = ids.intersect(b.get(type) ?? IdSet.empty);
    if (both.count) common.push([type, both]);
  }
  return resourcesOf(common);
}

/** The same numbers of ids counted from 0; GPUs keep theirs, for that is how tasks are told which to use. */
export function renumberResources(resources: Resources): Resources {
  const result = resources.clone();
  for (const [type, { count }] of resources) {
    if (count && type !== 'gpu') result.replace(type, IdSet.range(0, count - 1));
  }
  return result;
}

/** The resources as people read them, cores first: `core[0-3],gpu0`. */
export function describeResources(resources: Resources): string {
  return [...resources]
    .filter(([, ids]) => ids.count)
    .sort(([a], [b]) => Number(b === 'core') - Number(a === 'core') || (a < b ? -1 : 1))
    .map(([type, ids]) => type + ids.encode({ brackets: true }))
    .join(',');
}

/** A function of one table, computed once for each. */
export function oncePerTable<A extends object, R>(compute: (a: A) => R): (a: A) => R {
  const results = new Map<A, R>();
  return (a) => {
    const known = results.get(a);
    if (known !== undefined) return known;
    const result = compute(a);
    results.set(a, result);
    return result;
  };
}

/** A function of two tables, computed once for each pair. */
export function oncePerPair<A extends object, B extends object, R>(compute: (a: A, b: B) => R): (a: A, b: B) => R {
  const byFirst = oncePerTable((a: A) => oncePerTable((b: B) => compute(a, b)));
  return (a, b) => byFirst(a)(b);
}
