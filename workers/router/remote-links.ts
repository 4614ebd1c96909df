/** What the main thread tells the ranks of a thread of other processes: which are there, lost, or take nothing. */

import type { Methods } from '../../core/handle/methods.ts';
import { unpack } from '../../core/message/unpack.ts';
import type { Link } from '../../core/overlay/link.ts';
import type { Overlay } from '../../core/overlay/overlay.ts';
import type { RealMachines } from '../machines.ts';

export interface RemoteLinksHost {
  /** Of all ranks of the thread. */
  overlays(): Iterable<Overlay>;
  /** The process of each rank. */
  readonly nodeOfRank: Int32Array;
  readonly machines: RealMachines;
}

/** Calls back with each rank that has neighbours in a process, and the links to these. */
export function eachNeighbour(
  overlays: Iterable<Overlay>,
  nodeOfRank: Int32Array,
  node: number,
  action: (overlay: Overlay, links: readonly Link[]) => void,
): void {
  for (const overlay of overlays) {
    const { parent, children } = overlay;
    const links = [...(parent ? [parent] : []), ...children.values()].filter(({ rank }) => nodeOfRank[rank] === node);
    if (links.length) action(overlay, links);
  }
}

export function remoteLinkMethods({ overlays, nodeOfRank, machines }: RemoteLinksHost): Methods {
  const each = (node: number, action: (overlay: Overlay, links: readonly Link[]) => void) =>
    eachNeighbour(overlays(), nodeOfRank, node, action);
  return {
    'node.machine': {
      handler: (request) => {
        const { node, machine } = request.unpack({ node: 'i', machine: 'o' });
        machines.learn(node, unpack(machine, { hostname: 's', cores: 'i', gpus: 'i' }));
        return undefined;
      },
    },
    'link.joined': {
      handler: (request) => {
        each(request.unpack({ node: 'i' }).node, (overlay, links) => overlay.linksUp(links));
        return undefined;
      },
    },
    'link.stuck': {
      handler: (request) => {
        const { node, isStuck } = request.unpack({ node: 'i', isStuck: 'b' });
        each(node, (_, links) => {
          for (const link of links) link.isStuck = isStuck;
        });
        return undefined;
      },
    },
    'link.lost': {
      handler: (request) => {
        const { node, why } = request.unpack({ node: 'i', why: 's' });
        each(node, (overlay, links) => overlay.linksDown(links, why));
        return undefined;
      },
    },
  };
}
