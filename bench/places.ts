/** Which processes an instance is in. */

import type { Handle } from '../core/handle/handle.ts';

/** The ranks of an instance, and the first of them in each of its processes. */
export async function processesOf(handle: Handle): Promise<{ readonly size: number; readonly firstRanks: number[] }> {
  const size = Number(await handle.attribute('size'));
  const ranks = Array.from({ length: size }, (_, rank) => rank);
  const pids = await Promise.all(ranks.map((nodeid) => handle.attribute('broker.pid', { nodeid })));
  return { size, firstRanks: ranks.filter((rank) => pids.indexOf(pids[rank]!) === rank) };
}
