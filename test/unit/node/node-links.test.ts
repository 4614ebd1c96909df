// The links of a process to its neighbours, over wires that only note what is sent. test/sim has them all together.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeGoodbye, encodeWelcome } from '../../../core/node/hello.ts';
import { NodeLinks, type NodeLinksHost } from '../../../core/node/node-links.ts';
import type { WireEvents } from '../../../core/node/wires.ts';
import { FrameType, frameType } from '../../../core/overlay/node-frames.ts';

const clock = { now: () => 0, monotonic: () => 0, after: () => ({ cancel: () => {} }) };

/** Process 1 of two, which has connected to process 0. */
function connect() {
  const sent: number[] = [];
  const lost: string[] = [];
  let above: WireEvents | undefined;
  const wires = {
    serve: () => {},
    connect: (_: string, events: WireEvents) => {
      above = events;
      return { send: (frame: Buffer) => void sent.push(frameType(frame)), close: () => {} };
    },
    follow: () => {},
    publish: () => {},
    close: () => {},
  };
  const host: NodeLinksHost = {
    clock,
    instanceId: 'i',
    processId: 'p',
    rewireTimeout: undefined,
    placement: { own: 1, nodes: [{ ranks: '0' }, { ranks: '1' }] },
    nodeOfRank: Int32Array.of(0, 1),
    parentNode: 0,
    keepAlive: 5,
    timeout: 20,
    deliver: () => {},
    deliverEvent: () => {},
    release: () => {},
    isCongested: () => false,
    setHeldUp: () => {},
    setStuck: () => {},
    joined: () => {},
    lost: (_, why) => lost.push(why),
    setReader: () => {},
    note: () => {},
    log: () => {},
  };
  const machine = { hostname: 'h', cores: 1, gpus: 0 };
  const links = new NodeLinks(host, { wires, uris: new Map([[0, 'tcp://h:1']]), machine });
  links.start();
  above!.onFrame(encodeWelcome({ firstKept: 1, sequence: 0, uris: new Map() }));
  return { above: above!, links, sent, lost };
}

test('who says goodbye gets nothing more: it would wait until nobody comes', () => {
  const { above, lost, sent } = connect();
  above.onFrame(encodeGoodbye('process 0 has ended'));
  assert.deepEqual(lost, ['process 0 has ended']);
  assert.deepEqual(sent, [FrameType.hello]);
});

test('who is lost in another way is told so', () => {
  const { above, sent } = connect();
  above.onLost('the connection broke');
  assert.deepEqual(sent, [FrameType.hello, FrameType.goodbye]);
});
