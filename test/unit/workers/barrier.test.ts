// The service `barrier` by its messages: processes wait until all are there, or one of them is gone.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refused } from '../../errors.ts';
import { type Call, guest, type SimulatedClient } from '../../sim/client.ts';
import { Simulation } from '../../sim/simulation.ts';

/** An instance with the module on these ranks, or on all; `placement` as in `SimulationOptions`. */
async function start(
  size: number,
  ranks = Array.from({ length: size }, (_, rank) => rank),
  placement?: readonly string[],
): Promise<Simulation> {
  const sim = await new Simulation({ size, ...(placement && { placement }) }).start();
  await sim.settle();
  for (const rank of ranks) await sim.connect(rank).rpc('module.load', { path: 'barrier', args: [] });
  return sim;
}

function enter(client: SimulatedClient, nprocs: number, name = 'b', count = 1): Call {
  return client.call('barrier.enter', { name, count, nprocs });
}

const answered = (calls: readonly Call[]) => calls.map(({ answers }) => answers.map(({ errnum }) => errnum));

for (const placement of [['0-6'], ['0,2,5-6', '1,3-4'], ['0-1', '2', '3', '4', '5', '6']]) {
  test(`all go on when the last has entered, wherever they are, and not before: processes of ${placement.join(' ')}`, async () => {
    const sim = await start(7, undefined, placement);
    const calls = [0, 3, 3, 6, 5].map((rank) => enter(sim.connect(rank), 6));
    await sim.settle();
    assert.deepEqual(answered(calls), [[], [], [], [], []]);
    calls.push(enter(sim.connect(1, guest()), 6));
    await sim.settle();
    assert.deepEqual(answered(calls), [[0], [0], [0], [0], [0], [0]]);
  });
}

/** How many requests came to the module of rank 0 from so many who entered at rank 1. */
async function requestsOf(placement: readonly string[], entering: number): Promise<number> {
  const sim = await start(2, undefined, placement);
  const leader = sim.connect(0);
  const counted = async () => {
    const { rx } = (await leader.rpc('barrier.stats-get', {})) as { rx: { request: number } };
    return rx.request;
  };
  const clients = Array.from({ length: entering }, () => sim.connect(1));
  await sim.settle();
  const before = await counted();
  const calls = clients.map((client) => enter(client, entering));
  await sim.settle();
  assert.deepEqual(
    answered(calls),
    calls.map(() => [0]),
  );
  // The last one asked for the count.
  return (await counted()) - before - 1;
}

test('those who enter in the same turn are one request to another process, and one each within a process', async () => {
  assert.ok((await requestsOf(['0', '1'], 20)) < 20);
  assert.equal(await requestsOf(['0-1'], 20), 20);
});

test('barriers of other names are other barriers, and one that was left can be entered again', async () => {
  const sim = await start(3);
  const clients = [sim.connect(1), sim.connect(2)];
  for (let round = 0; round < 3; round++) {
    const first = enter(clients[0]!, 2);
    const other = enter(clients[1]!, 2, `other-${round}`);
    await sim.settle();
    assert.deepEqual(answered([first, other]), [[], []]);
    const calls = [first, enter(clients[1]!, 2)];
    await sim.settle();
    assert.deepEqual(answered(calls), [[0], [0]]);
  }
});

test('who enters for several counts as several', async () => {
  const sim = await start(2);
  const calls = [enter(sim.connect(1), 5, 'b', 4)];
  await sim.settle();
  assert.deepEqual(answered(calls), [[]]);
  calls.push(enter(sim.connect(0), 5));
  await sim.settle();
  assert.deepEqual(answered(calls), [[0], [0]]);
});

test('one process passes a barrier of one at once', async () => {
  const sim = await start(2);
  assert.equal(await sim.connect(1).rpc('barrier.enter', { name: 'b', count: 1, nprocs: 1 }), undefined);
});

test('who waits is told when one of them is gone, and the barrier can be entered anew', async () => {
  const sim = await start(3);
  const gone = sim.connect(2);
  const clients = [sim.connect(0), sim.connect(1), sim.connect(2)];
  enter(gone, 5);
  const calls = clients.map((client) => enter(client, 5));
  const other = enter(clients[0]!, 2, 'other');
  await sim.settle();
  gone.disconnect();
  await sim.settle();
  for (const { answers } of calls) {
    assert.equal(answers.length, 1);
    await refused(Promise.reject(answers[0]!.error()), 'ECONNABORTED', /barrier b was broken/);
  }
  assert.deepEqual(answered([other]), [[]]);
  const again = [...clients, sim.connect(0), sim.connect(1)].map((client) => enter(client, 5));
  await sim.settle();
  assert.deepEqual(answered(again), [[0], [0], [0], [0], [0]]);
});

test('a client that goes without having entered breaks nothing', async () => {
  const sim = await start(1);
  const call = enter(sim.connect(), 2);
  const client = sim.connect();
  await client.rpc('barrier.ping', {});
  client.disconnect();
  await sim.settle();
  assert.deepEqual(answered([call]), [[]]);
});

test('who is told by a single rank is told once, upstream as well', async () => {
  const sim = await start(2);
  const calls = Array.from({ length: 20 }, () => enter(sim.connect(1), 20));
  await sim.settle();
  assert.deepEqual(
    answered(calls),
    calls.map(() => [0]),
  );
});

for (const [payload, code, text] of [
  [{ name: 'b', count: 0, nprocs: 1 }, 'EINVAL', /count and nprocs must be positive/],
  [{ name: 'b', count: 1, nprocs: 0 }, 'EINVAL', /count and nprocs must be positive/],
  [{ name: 'b', count: 1, nprocs: 4 }, 'EINVAL', /^barrier b is for 3 processes, not 4$/],
  [{ name: 'b', count: 1 }, 'EPROTO', /'nprocs' is missing/],
  [{ count: 1, nprocs: 1 }, 'EPROTO', /'name' is missing/],
] as const) {
  test(`barrier.enter ${JSON.stringify(payload)} is refused, and does not count`, async () => {
    const sim = await start(1);
    const calls = [enter(sim.connect(), 3), enter(sim.connect(), 3)];
    await sim.settle();
    await refused(sim.connect().rpc('barrier.enter', payload), code, text);
    await sim.settle();
    assert.deepEqual(answered(calls), [[], []]);
    calls.push(enter(sim.connect(), 3));
    await sim.settle();
    assert.deepEqual(answered(calls), [[0], [0], [0]]);
  });
}

test('a process enters once', async () => {
  const sim = await start(1);
  const client = sim.connect();
  enter(client, 3);
  await refused(client.rpc('barrier.enter', { name: 'b', count: 1, nprocs: 3 }), 'EEXIST', /entered already/);
});

test('those who wait fail when the module that counts them is removed', async () => {
  const sim = await start(2);
  const call = enter(sim.connect(1), 3);
  await sim.settle();
  await sim.connect(0).rpc('module.remove', { name: 'barrier' });
  assert.equal((await sim.until(call.final, 'an answer')).error().code, 'ENOSYS');
});
