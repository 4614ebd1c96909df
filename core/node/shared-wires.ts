/** The wires of a process that its links in the tree and the debug ring share: one socket takes the connections of both. */

import { frameType } from '../overlay/node-frames.ts';
import { isRingType } from '../overlay/ring-frames.ts';
import type { ServerEvents, WireEvents, Wires } from './wires.ts';

export type RingServer = Pick<ServerEvents, 'accept' | 'probe'>;

/** The wires as the tree has them: a connection whose first frame is one of the ring's is the ring's. */
export function shareWires(wires: Wires, ring: RingServer): Wires {
  return {
    serve: (tree) =>
      wires.serve({
        subscribed: () => tree.subscribed(),
        probe: () => {
          ring.probe();
          tree.probe();
        },
        accept: (wire) => {
          let events: WireEvents | undefined;
          return {
            onFrame: (frame) => {
              events ??= (isRingType(frameType(frame)) ? ring : tree).accept(wire);
              events.onFrame(frame);
            },
            onLost: (why) => events?.onLost(why),
          };
        },
      }),
    connect: (uri, events) => wires.connect(uri, events),
    publish: (frame) => wires.publish(frame),
    follow: (uri, onFrame, interrupted) => wires.follow(uri, onFrame, interrupted),
    close: () => wires.close(),
  };
}
