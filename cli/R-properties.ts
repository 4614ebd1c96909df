import { withProperties } from '../core/formats/resource-properties.ts';
import type { ResourceSet } from '../core/formats/resource-set.ts';

/** Gives properties to ranks of a set; each is `NAME`, for all of them, or `NAME:IDSET`. */
export function assignProperties(set: ResourceSet, properties: readonly string[]): ResourceSet {
  const all = set.ranks.encode();
  const ranks = properties.map((property): [string, string] => {
    const colon = property.indexOf(':');
    return colon < 0 ? [property, all] : [property.slice(0, colon), property.slice(colon + 1)];
  });
  return withProperties(set, new Map(ranks));
}
