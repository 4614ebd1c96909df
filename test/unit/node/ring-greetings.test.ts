// Who is let into the debug ring: processes that say what they are, and what else comes to where a process takes connections.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeRingHello } from '../../../core/node/ring-hello.ts';
import { decodeJsonFrame, encodeJsonFrame, FrameType, frameType } from '../../../core/overlay/node-frames.ts';
import { RingFrameType } from '../../../core/overlay/ring-frames.ts';
import { World } from './ring-world.ts';

/** What a process answers to the first frame of a connection to it, or what it does to a neighbour's second one. */
async function answerTo(world: World, ...frames: Buffer[]): Promise<{ type: number; text: string }> {
  const host = { index: 99, isAlive: true, run: (action: () => void) => action() };
  const answer = new Promise<{ type: number; text: string }>((resolve) => {
    const { send } = world.wires.wiresOf(host).connect('sim://1', {
      onFrame: (frame) => {
        const type = frameType(frame);
        if (type === RingFrameType.welcome || type === RingFrameType.goodbye)
          resolve({ type, text: JSON.stringify(decodeJsonFrame(frame)) });
      },
      onLost: () => {},
    });
    for (const frame of frames) send(frame);
  });
  return world.settle(answer);
}

test('who does not belong before a process is refused, and told why', async () => {
  const world = new World(3);
  const usual = { instance: 'ring', node: 0, ranks: '0' };
  for (const [greeting, text] of [
    [{ ...usual, instance: 'other' }, /another instance/],
    [{ ...usual, ranks: '0-1' }, /ranks 0-1 are not those of process 0/],
    [{ ...usual, node: 7 }, /not those of process 7/],
    [{ ...usual, node: 2, ranks: '2' }, /process 2 is not the one before process 1/],
    [usual, /process 0 is in the ring already/],
  ] as const) {
    const answer = await answerTo(world, encodeRingHello(greeting));
    assert.equal(answer.type, RingFrameType.welcome);
    assert.match(answer.text, text);
  }
  const old = encodeJsonFrame(RingFrameType.hello, { ...usual, version: '0.1.0' });
  assert.match((await answerTo(world, old)).text, /version 0\.1\.0 is not/);
  const none = encodeJsonFrame(RingFrameType.hello, { node: 'zero' });
  assert.equal((await answerTo(world, none)).type, RingFrameType.goodbye);
  assert.deepEqual((await world.ask(0, 1)).way, [0, 1], 'nobody else is disturbed');
  assert.equal(world.processes[1]!.accepted, 0);
});

test('who sends before it greets was lost, and is told; who sends what is no frame is cut off', async () => {
  const world = new World(3);
  assert.equal((await answerTo(world, Buffer.from([20, 0, 0, 0, 0, 0, 0, 0]))).type, RingFrameType.goodbye);
  world.processes[0]!.crash();
  world.pass(1);
  const hello = encodeRingHello({ instance: 'ring', node: 0, ranks: '0' });
  for (const bytes of [[19, 0, 0, 0], [20, 0, 0, 0], [99, 0, 0, 0], []]) {
    const first = answerTo(world, hello);
    await first;
    world.wires.connection(99, 1)!.wire.send(Buffer.from(bytes));
    world.pass(1);
    assert.equal(world.status(1)[1], 'disconnected');
  }
  world.start(0);
  world.pass(10);
  assert.deepEqual((await world.ask(0, 1)).way, [0, 1]);
});

test('who ends in order says so, and what came with the tree goes to the tree', async () => {
  const world = new World(3);
  world.processes[1]!.end();
  world.pass(1);
  assert.match(world.processes[2]!.log.at(-1)!, /to process 1, the previous one, fails: process 1 has ended/);
  assert.deepEqual((await world.ask(0, 2)).way, [0, 2]);
  const host = { index: 99, isAlive: true, run: (action: () => void) => action() };
  const wire = world.wires.wiresOf(host).connect('sim://2', { onFrame: () => {}, onLost: () => {} });
  wire.send(encodeJsonFrame(FrameType.hello, {}));
  world.pass(1);
  assert.equal(world.processes[2]!.accepted, 1);
});
