/**
 * Where a request goes from a rank (RFC 3, Request Routing).
 */

import { NODEID_ANY } from '../message/message.ts';
import type { Topology } from '../overlay/topology.ts';

export type NextHop =
  | { readonly to: 'service' }
  | { readonly to: 'parent' }
  | { readonly to: 'child'; readonly rank: number }
  /** No service of that name on the way, or no such rank. */
  | { readonly to: 'nobody'; readonly error: 'ENOSYS' | 'EHOSTUNREACH' };

const service: NextHop = { to: 'service' };
const parent: NextHop = { to: 'parent' };
const noService: NextHop = { to: 'nobody', error: 'ENOSYS' };
const noRank: NextHop = { to: 'nobody', error: 'EHOSTUNREACH' };

/**
 * The next hop of a request.
 *
 * @param rank where the request is now
 * @param nodeid rank it is for; with `upstream` the rank that sent it
 * @param hasService whether this rank has the service that its topic names
 */
export function nextHop(
  topology: Topology,
  rank: number,
  nodeid: number,
  upstream: boolean,
  hasService: boolean,
): NextHop {
  if (upstream && nodeid === rank) return rank === 0 ? noRank : parent;
  if (upstream || nodeid === NODEID_ANY) return hasService ? service : rank === 0 ? noService : parent;
  if (nodeid === rank) return hasService ? service : noService;
  if (nodeid >= topology.size) return noRank;
  const child = topology.childToward(rank, nodeid);
  return child === undefined ? parent : { to: 'child', rank: child };
}
