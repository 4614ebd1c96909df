// The service `overlay` by its messages: health and shape of the tree, cutting it, and what is told of its links.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '../../../core/json.ts';
import { refused } from '../../errors.ts';
import { guest } from '../../sim/client.ts';
import { Simulation, type SimulationOptions } from '../../sim/simulation.ts';

async function start(options: SimulationOptions = {}): Promise<Simulation> {
  const sim = await new Simulation({ size: 7, ...options }).start();
  await sim.settle();
  return sim;
}

/** What a rank says of its subtree: its own status, and those of its children. */
async function health(sim: Simulation, rank: number): Promise<unknown[]> {
  const told = await sim.connect(0, guest()).rpc<JsonObject>('overlay.health', undefined, { nodeid: rank });
  assert.equal(told.rank, rank);
  const children = told.children as { rank: number; status: string; error?: string }[];
  return [told.status, children.map(({ rank, status, error }) => [rank, status, ...(error ? [error] : [])])];
}

test('a tree in which all are there is full', async () => {
  const sim = await start();
  assert.deepEqual(await health(sim, 0), [
    'full',
    [
      [1, 'full'],
      [2, 'full'],
    ],
  ]);
  assert.deepEqual(await health(sim, 6), ['full', []]);
});

test('a tree in which some are missing is partial', async () => {
  const sim = new Simulation({ size: 7, attributes: { 'broker.quorum': '1' } });
  sim.startRanks([0, 1, 3]);
  await sim.settle();
  assert.deepEqual(await health(sim, 0), [
    'partial',
    [
      [1, 'partial'],
      [2, 'offline'],
    ],
  ]);
  sim.startRanks([2, 5, 6]);
  await sim.settle();
  assert.deepEqual(await health(sim, 0), [
    'partial',
    [
      [1, 'partial'],
      [2, 'full'],
    ],
  ]);
  sim.startRanks([4]);
  await sim.settle();
  assert.deepEqual(await health(sim, 0), [
    'full',
    [
      [1, 'full'],
      [2, 'full'],
    ],
  ]);
});

test('a tree that was cut is degraded, and says why', async () => {
  const sim = await start();
  await sim.connect(1).rpc('overlay.disconnect-subtree', { rank: 4 });
  await sim.settle();
  assert.deepEqual(await health(sim, 0), [
    'degraded',
    [
      [1, 'degraded'],
      [2, 'full'],
    ],
  ]);
  assert.deepEqual(await health(sim, 1), [
    'degraded',
    [
      [3, 'full'],
      [4, 'lost', 'administrative disconnect'],
    ],
  ]);
  assert.deepEqual(sim.ranksIn('run'), [0, 1, 2, 3, 5, 6]);
});

test('a rank that gives its parent up is lost, with those below it', async () => {
  const sim = await start();
  const client = sim.connect(2);
  client.call('overlay.disconnect-parent', { reason: 'enough' });
  await sim.settle();
  assert.deepEqual(sim.ranksIn('run'), [0, 1, 3, 4]);
  assert.deepEqual(await health(sim, 0), [
    'degraded',
    [
      [1, 'full'],
      [2, 'lost'],
    ],
  ]);
  assert.ok(sim.node.stderr.some(({ rank, text }) => rank === 2 && /enough/.test(text)));
});

for (const [what, rank, topic, payload, code, text] of [
  ['what is no child', 0, 'overlay.disconnect-subtree', { rank: 3 }, 'ENOENT', /not this broker's direct child/],
  ['oneself', 0, 'overlay.disconnect-subtree', { rank: 0 }, 'ENOENT', /direct child/],
  ['nothing', 0, 'overlay.disconnect-subtree', {}, 'EPROTO', /'rank' is missing/],
  ['what is no child', 1, 'overlay.topology', { rank: 2 }, 'ENOENT', /not this broker or its direct child/],
  ['a grandchild', 0, 'overlay.topology', { rank: 3 }, 'ENOENT', /direct child/],
  ['nothing', 0, 'overlay.topology', undefined, 'EPROTO', /./],
  ['no stream', 0, 'overlay.monitor', undefined, 'EPROTO', /streaming/],
  ['no stream', 0, 'overlay.trace', { typemask: 15, topic_glob: '*' }, 'EPROTO', /streaming/],
] as const) {
  test(`${topic} of ${what} on rank ${rank} is refused`, async () =>
    refused((await start()).connect(rank).rpc(topic, payload), code, text));
}

test('what is cut off already is not cut off again', async () => {
  const sim = await start();
  const client = sim.connect(0);
  await client.rpc('overlay.disconnect-subtree', { rank: 1 });
  await refused(client.rpc('overlay.disconnect-subtree', { rank: 1 }), 'ENOENT', /already disconnected/);
});

test('the shape of the tree is told from a rank down', async () => {
  const sim = await start({ topology: 'kary:1', size: 4 });
  const leaf = { rank: 3, size: 1, children: [] };
  const expected = { rank: 2, size: 2, children: [leaf] };
  assert.deepEqual(await sim.connect(1, guest()).rpc('overlay.topology', { rank: 2 }), expected);
  assert.deepEqual(await sim.connect(2, guest()).rpc('overlay.topology', { rank: 2 }), expected);
});

test('who watches health is told each change', async () => {
  const sim = await start();
  const stream = sim.connect(0, guest()).stream('overlay.health');
  await sim.settle();
  await sim.connect(0).rpc('overlay.disconnect-subtree', { rank: 2 });
  await sim.settle();
  assert.deepEqual(
    stream.values.map((value) => (value as JsonObject).status),
    ['full', 'degraded'],
  );
});

test('who monitors the children is told those that were there, and each change', async () => {
  const sim = new Simulation({ size: 3, attributes: { 'broker.quorum': '1' } });
  sim.startRanks([0, 1]);
  await sim.settle();
  const stream = sim.connect().stream('overlay.monitor');
  await sim.settle();
  sim.startRanks([2]);
  await sim.settle();
  await sim.connect().rpc('overlay.disconnect-subtree', { rank: 1 });
  await sim.settle();
  const told = stream.values.map((value) => value as { rank: number; status: string });
  assert.deepEqual(told[0], { rank: 1, status: 'full', torpid: false });
  assert.deepEqual(told.filter(({ rank }) => rank === 2).at(-1)?.status, 'full');
  assert.deepEqual(told.at(-1), { rank: 1, status: 'lost', torpid: false });
});

test('a trace shows what goes over the links of a rank, to those it names', async () => {
  const sim = await start({ size: 3 });
  const all = { typemask: 15, topic_glob: 'broker.*', full: true };
  const [one, two] = [1, 2].map((nodeid) => sim.connect().stream('overlay.trace', { ...all, nodeid }));
  await sim.settle();
  await sim.connect().rpc('broker.ping', { a: 1 }, { nodeid: 2 });
  await sim.settle();
  assert.deepEqual(one!.values, []);
  const shown = two!.values.map((value) => {
    const { prefix, rank, name, topic, type } = value as JsonObject;
    return { prefix, rank, name, topic, type };
  });
  assert.deepEqual(shown, [
    { prefix: 'tx', rank: 2, name: null, topic: 'broker.ping', type: 1 },
    { prefix: 'rx', rank: 2, name: null, topic: 'broker.ping', type: 2 },
  ]);
  assert.deepEqual((two!.values[0] as JsonObject).payload, { a: 1 });
});

test('counts tell the children and the requests under way', async () => {
  const sim = await start({ size: 3, modules: { silent: { start: () => ({ methods: {} }) } } });
  const client = sim.connect(1, guest());
  const expected = { 'child-count': 2, 'child-connected': 2, 'parent-count': 0, 'parent-rpc': 0 };
  const {
    interthread,
    'child-rpc': _,
    ...stats
  } = await client.rpc<JsonObject>('overlay.stats-get', undefined, {
    nodeid: 0,
  });
  assert.deepEqual(stats, expected);
  assert.deepEqual(interthread, { sendq: 0, recvq: 0 });
});

test('guests look, and cut nothing', async () => {
  const client = (await start()).connect(0, guest());
  for (const method of ['disconnect-subtree', 'disconnect-parent', 'trace', 'monitor'])
    await refused(client.rpc(`overlay.${method}`, {}), 'EPERM');
});
