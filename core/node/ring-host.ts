/** What the debug ring of a process is connected with in it: the threads, which ask by it and are asked. */

import { FluxError } from '../errno.ts';
import type { Methods } from '../handle/methods.ts';
import { nodesOfRanks } from '../overlay/placement.ts';
import { clock } from './clock.ts';
import type { Instance } from './instance.ts';
import type { Plan } from './plan.ts';
import type { RingLinks, RingLinksHost } from './ring-links.ts';
import type { ThreadControl } from './thread-control.ts';

/** What threads and the main thread hand each other frames of the ring by. */
export const RING_FRAME = 'ring.frame';
/** What threads ask the main thread what it knows of the ring by. */
export const RING_LIST = 'ring.list';

export function ringHost(
  { id, placement, size }: Instance,
  plan: Plan,
  control: ThreadControl,
  events: Pick<RingLinksHost, 'isCongested' | 'log'>,
): RingLinksHost {
  return {
    ...events,
    clock,
    instanceId: id,
    placement,
    nodeOfRank: nodesOfRanks(placement.nodes, size),
    deliver: (rank, frame) => control.notify(plan.threadOfRank[rank]!, RING_FRAME, frame),
  };
}

/** What threads ask of the ring. */
export function ringMethods(ring: () => RingLinks): Methods {
  return {
    [RING_FRAME]: {
      raw: true,
      handler: (request) => {
        const { bytes } = request.message;
        if (!bytes) throw new FluxError('EPROTO', 'a frame of the ring without bytes');
        // Its header is written over on its way.
        ring().send(Buffer.from(bytes));
        return undefined;
      },
    },
    [RING_LIST]: { handler: () => ring().describe() },
  };
}
