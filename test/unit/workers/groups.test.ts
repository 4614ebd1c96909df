// The service `groups` by its messages: who joins and leaves, who may ask, what watchers are told.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Flag } from '../../../core/message/message.ts';
import { refused } from '../../errors.ts';
import { guest, type SimulatedClient } from '../../sim/client.ts';
import { Simulation } from '../../sim/simulation.ts';

const start = (size = 3) => new Simulation({ size }).start();

const change = (client: SimulatedClient, method: string, name = 'g') => client.rpc(`groups.${method}`, { name });

async function members(client: SimulatedClient, name = 'g'): Promise<string> {
  return (await client.rpc<{ members: string }>('groups.get', { name }, { nodeid: 0 })).members;
}

test('rank 0 knows who is in a group; one that nobody joined is empty', async () => {
  const sim = await start(5);
  const client = sim.connect(0, guest());
  assert.equal(await members(client), '');
  for (const rank of [4, 1, 0]) await change(sim.connect(rank), 'join');
  await sim.settle();
  assert.equal(await members(client), '0-1,4');
  assert.equal(await members(client, 'other'), '');
});

test('a group that a rank has joined it does not join again, and one that it has left it does not leave', async () => {
  const sim = await start();
  const [client, other] = [sim.connect(1), sim.connect(1)];
  await refused(change(client, 'leave'), 'ENOENT', /^rank 1 is not a member of g$/);
  await change(client, 'join');
  await refused(change(client, 'join'), 'EEXIST', /^rank 1 is already a member of g$/);
  await refused(change(other, 'join'), 'EEXIST');
  await change(other, 'leave');
  await refused(change(client, 'leave'), 'ENOENT');
  await change(client, 'join');
  await change(sim.connect(2), 'join');
  await sim.settle();
  assert.equal(await members(client), '1-2');
});

test('a rank leaves the groups that a client joined for it when that client is gone', async () => {
  const sim = await start();
  const [client, other] = [sim.connect(1), sim.connect(1)];
  for (const name of ['g', 'h']) await change(client, 'join', name);
  await change(other, 'join', 'k');
  client.disconnect();
  await sim.settle();
  assert.deepEqual(await Promise.all(['g', 'h', 'k'].map((name) => members(other, name))), ['', '', '1']);
  await change(other, 'join', 'g');
});

test('a watcher is told who is in it now, and after each change', async () => {
  const sim = await start(7);
  const watcher = sim.connect();
  const watch = watcher.stream('groups.get', { name: 'g' });
  const other = watcher.stream('groups.get', { name: 'h' });
  await sim.settle();
  const client = sim.connect(6);
  for (const method of ['join', 'leave', 'join']) {
    await change(client, method);
    await sim.settle();
  }
  await change(sim.connect(0), 'join');
  await sim.settle();
  assert.deepEqual(
    watch.values.map((value) => (value as { members: string }).members),
    ['', '6', '', '6', '0,6'],
  );
  assert.deepEqual(other.values, [{ members: '' }]);
});

test('a watcher that is gone is told nothing', async () => {
  const sim = await start(1);
  const [watcher, client] = [sim.connect(), sim.connect()];
  watcher.stream('groups.get', { name: 'g' });
  await sim.settle();
  watcher.disconnect();
  await sim.settle();
  const trace = client.stream('module.trace', { typemask: 2, topic_glob: 'groups.*', names: ['groups'], full: false });
  await change(client, 'join');
  await sim.settle();
  assert.deepEqual(
    trace.values.map((value) => (value as { topic: string }).topic),
    ['groups.join'],
  );
});

test('ranks leave all groups when their subtree is lost, and watchers are told once', async () => {
  const sim = await start(7);
  for (const rank of [1, 3, 4, 2]) await change(sim.connect(rank), 'join');
  await sim.settle();
  const client = sim.connect();
  const watch = client.stream('groups.get', { name: 'g' });
  await client.rpc('overlay.disconnect-subtree', { rank: 1 });
  await sim.settle();
  assert.deepEqual(watch.values, [{ members: '1-4' }, { members: '2' }]);
  assert.equal(await members(client), '2');
  assert.equal(await members(client, 'broker.online'), '0,2,5-6');
});

for (const [what, topic, payload, rank, code, text] of [
  ['only rank 0 knows', 'groups.get', { name: 'g' }, 1, 'EPROTO', /only available on rank 0/],
  ['a name is wanted', 'groups.get', {}, 0, 'EPROTO', /'name' is missing/],
  ['a name is wanted', 'groups.join', { name: 5 }, 0, 'EPROTO', /'name' is not a string/],
  ['a name is wanted', 'groups.leave', undefined, 0, 'EPROTO', /./],
] as const) {
  test(`${what}: ${topic} ${JSON.stringify(payload)} on rank ${rank} is refused`, async () => {
    const sim = await start();
    await refused(sim.connect(rank).rpc(topic, payload), code, text);
  });
}

test('a rank joins and leaves for itself alone', async () => {
  const sim = await start();
  const client = sim.connect(1);
  for (const method of ['join', 'leave'])
    for (const nodeid of [0, 2])
      await refused(
        client.rpc(`groups.${method}`, { name: 'g' }, { nodeid }),
        'EPROTO',
        /restricted to the local broker/,
      );
  assert.equal(await members(client), '');
});

test('guests ask, and do not join', async () => {
  const sim = await start();
  const client = sim.connect(0, guest());
  for (const method of ['join', 'leave', 'update']) await refused(change(client, method), 'EPERM');
  assert.equal(await members(client, 'broker.online'), '0-2');
  assert.deepEqual(await client.rpc('groups.stats-get'), {
    subtree: { 'broker.torpid': '', 'broker.online': '0-2' },
  });
});

test('each rank knows the members of its subtree', async () => {
  const sim = await start(7);
  for (const rank of [3, 4, 5]) await change(sim.connect(rank), 'join');
  await sim.settle();
  const subtree = async (rank: number) =>
    (await sim.connect(rank).rpc<{ subtree: Record<string, string> }>('groups.stats-get')).subtree.g ?? '';
  assert.deepEqual([await subtree(0), await subtree(1), await subtree(2), await subtree(6)], ['3-5', '3-4', '5', '']);
});

test('an update of a child is not answered, and what of it is no change is passed over', async () => {
  const sim = await start();
  const client = sim.connect(1);
  const watch = sim.connect().stream('groups.get', { name: 'g' });
  await sim.settle();
  const update = { g: [{ op: 'set', ranks: '1' }, { op: 'clear', ranks: '7' }, 5, { op: 'set' }], h: 'nothing' };
  for (let i = 0; i < 3; i++) {
    client.notify('groups.update', { update }, { nodeid: 1, flags: Flag.upstream });
    await sim.settle();
  }
  assert.deepEqual(watch.values, [{ members: '' }, { members: '1' }]);
  assert.equal(await members(client), '1');
  assert.deepEqual(
    client.received.map(({ topic }) => topic),
    ['groups.get'],
  );
});
