/** Ranks and the hosts they run on, by the attribute `hostlist`. */

import { FluxError } from '../core/errno.ts';
import { Hostlist } from '../core/formats/hostlist.ts';
import { IdSet } from '../core/formats/idset.ts';
import type { Handle } from '../core/handle/handle.ts';

/** The hosts of the instance, by rank. */
export async function fetchHosts(handle: Handle): Promise<Hostlist> {
  return Hostlist.parse(await handle.attribute('hostlist'));
}

/** The first rank of the host of this name, or the rank that the text is; undefined when it is neither. */
export function rankOf(target: string, hosts: Hostlist): number | undefined {
  return hosts.find(target) ?? (/^\d+$/.test(target) ? Number(target) : undefined);
}

/**
 * The same, of a target that has to be one of the two; whether the instance has so many ranks is for others to say.
 *
 * @throws FluxError EINVAL: it is neither
 */
export function requireRank(target: string, hosts: Hostlist): number {
  const rank = rankOf(target, hosts);
  if (rank === undefined) throw new FluxError('EINVAL', `'${target}' is neither a rank nor a host of this instance`);
  return rank;
}

/**
 * The ranks that a target means: an idset, or a hostlist whose hosts are all in the instance.
 *
 * @throws FluxError ENOENT, EINVAL
 */
export function ranksOf(target: string, hosts: Hostlist): IdSet {
  return parseIdset(target) ?? IdSet.from(hosts.index(Hostlist.parse(target)));
}

/**
 * A target the other way round: the hosts of an idset, or the ranks of a hostlist.
 *
 * @throws FluxError ENOENT, EINVAL
 */
export function translateTarget(target: string, hosts: Hostlist): string {
  const ranks = parseIdset(target);
  return ranks ? hostsOf(ranks, hosts) : ranksOf(target, hosts).encode();
}

/**
 * The hosts of ranks, as a hostlist.
 *
 * @throws FluxError ENOENT for a rank the instance does not have
 */
export function hostsOf(ranks: IdSet, hosts: Hostlist): string {
  if ((ranks.last ?? 0) >= hosts.count) throw new FluxError('ENOENT', `there is no rank ${ranks.last}`);
  return hosts.pick(ranks).encode();
}

function parseIdset(text: string): IdSet | undefined {
  try {
    return IdSet.parse(text);
  } catch {
    return undefined;
  }
}
