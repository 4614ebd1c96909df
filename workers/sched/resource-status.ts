/** Who has what of the pool, and what is not up: the answer to `sched.resource-status`. */

import type { JsonObject } from '../../core/json.ts';
import type { Pool, Share } from './pool.ts';
import { encodePart } from './resource-text.ts';

export function resourceStatus(pool: Pool): JsonObject {
  const { free } = pool;
  const allocated = sharesOf(pool, (node) => {
    const share = pool.taken(node);
    return share.coreCount || share.gpuCount ? share : undefined;
  });
  const down = sharesOf(pool, (node) => (free.isUp(node) ? undefined : pool.whole(node)));
  return {
    all: encodePart(pool, wholeNodes(pool), 'all'),
    allocated: encodePart(pool, allocated, 'allocated'),
    down: encodePart(pool, down, 'down'),
  };
}

/** All of all nodes. */
export function wholeNodes(pool: Pool): [node: number, share: Share][] {
  return sharesOf(pool, (node) => pool.whole(node));
}

/** A share of each node that is there, where there is one. */
function sharesOf({ nodes, free }: Pool, share: (node: number) => Share | undefined): [node: number, share: Share][] {
  const shares: [number, Share][] = [];
  for (const node of nodes.keys()) {
    const part = free.isGone(node) ? undefined : share(node);
    if (part) shares.push([node, part]);
  }
  return shares;
}
