/** What the links of a process are connected with in it: its threads by the mailbox, and its ranks. */

import { randomUUID } from 'node:crypto';
import { parseDuration } from '../formats/duration.ts';
import type { JsonObject } from '../json.ts';
import { nodesOfRanks, parentNodes } from '../overlay/placement.ts';
import { rewireTimeout } from '../overlay/policy.ts';
import { endpoint } from '../ring/endpoint.ts';
import type { LargeBuffers } from '../ring/large-buffers.ts';
import type { Mailbox } from '../ring/mailbox.ts';
import { clock } from './clock.ts';
import { type Instance, topologyOf } from './instance.ts';
import type { NodeLinksHost } from './node-links.ts';
import { eventEndpoints, MAIN, type Plan, rankIndex, remoteRankIndex } from './plan.ts';

/** What the process does with what its links tell. */
export interface LinkEvents
  extends Pick<NodeLinksHost, 'isCongested' | 'setHeldUp' | 'joined' | 'lost' | 'note' | 'log'> {
  tellRouters(topic: string, payload: JsonObject): void;
  /** Tells the threads that run programs, or follow the KVS for those who watch it. */
  tellThreads(topic: string, payload: JsonObject): void;
}

export function linkHost(
  instance: Instance,
  plan: Plan,
  mailbox: Mailbox,
  buffers: LargeBuffers,
  { tellRouters, tellThreads, ...events }: LinkEvents,
): NodeLinksHost {
  const attributes = new Map(instance.attributes);
  const seconds = (name: string) => parseDuration(attributes.get(name)!);
  const nodeOfRank = nodesOfRanks(instance.placement.nodes, instance.size);
  const eventTargets = eventEndpoints(plan, MAIN);
  return {
    ...events,
    clock,
    instanceId: instance.id,
    placement: instance.placement,
    nodeOfRank,
    parentNode: parentNodes(instance.placement, topologyOf(instance))[0],
    processId: randomUUID(),
    rewireTimeout: rewireTimeout((name) => attributes.get(name) ?? undefined),
    keepAlive: seconds('tbon.torpid_min'),
    timeout: seconds('tbon.tcp_user_timeout'),
    deliver: (to, from, source, start, end) => {
      const thread = plan.threadOfRank[to] ?? MAIN;
      if (thread === MAIN) return;
      const [far, near] = [endpoint(thread, rankIndex(to)), endpoint(MAIN, remoteRankIndex(from))];
      mailbox.sendBytes(far, near, source, start, end);
    },
    deliverEvent: (source, start) => {
      for (const to of eventTargets) mailbox.sendBytes(to, endpoint(MAIN, 0), source, start, source.length);
    },
    release: (source) => buffers.give(source),
    setStuck: (node, isStuck) => tellRouters('link.stuck', { node, isStuck }),
    setReader: (reader) => tellThreads('reader.slow', reader),
  };
}
