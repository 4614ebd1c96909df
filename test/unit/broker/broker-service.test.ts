// The service `broker`: the methods every module has, the environment of a rank, and paths that are built in.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Real } from '../../../core/json.ts';
import { refused } from '../../errors.ts';
import { guest } from '../../sim/client.ts';
import { Simulation } from '../../sim/simulation.ts';

const start = (size = 1) => new Simulation({ size, environment: { A: '1', B: '' } }).start();

test('ping answers what it got, with who asked and the way it came', async () => {
  const sim = await start(4);
  const client = sim.connect(3);
  const answer = await client.rpc<{ route: string }>('broker.ping', { seq: 7, pad: 'x' }, { nodeid: 0 });
  const { route, ...rest } = answer;
  assert.deepEqual(rest, { seq: 7, pad: 'x', userid: 0, rolemask: 1, rank: 0 });
  const ids = [sim.ranks[3], sim.ranks[1], sim.ranks[0]].map((rank) => rank!.broker.uuid.slice(0, 8));
  // The client, the connector of its rank, and each broker on the way.
  assert.deepEqual(route.split('!').slice(2), ids);
  assert.equal(route.split('!').length, 5);
});

test('the local role ends where the message leaves its rank', async () => {
  const sim = await start(2);
  for (const [nodeid, own, other] of [
    [0, 5, 6],
    [1, 1, 2],
  ] as const) {
    assert.equal((await sim.connect(0).rpc<{ rolemask: number }>('broker.ping', {}, { nodeid })).rolemask, own);
    assert.equal(
      (await sim.connect(0, guest()).rpc<{ rolemask: number }>('broker.ping', {}, { nodeid })).rolemask,
      other,
    );
  }
});

for (const [payload, code] of [
  [[], 'ENOMEM'],
  [undefined, 'EPROTO'],
  ['text', 'EPROTO'],
  [5, 'EPROTO'],
] as const) {
  test(`ping with ${JSON.stringify(payload)} is refused with ${code}`, async () => {
    const sim = await start();
    await refused(sim.connect().rpc('broker.ping', payload), code);
    await refused(sim.connect().rpc('heartbeat.ping', payload), code);
  });
}

test('bytes that are no JSON are refused by every method that takes JSON', async () => {
  const sim = await start();
  for (const bytes of ['x', '{"a":1}', '{\0', '\0'])
    for (const topic of ['broker.ping', 'attr.list', 'groups.stats-get'])
      await refused(sim.connect().rpc(topic, Buffer.from(bytes)), 'EPROTO', /payload/);
});

test('messages are counted until the counts are cleared', async () => {
  const sim = await start();
  const client = sim.connect();
  await client.rpc('broker.stats-clear');
  await client.rpc('broker.ping', {});
  type Counts = { rx: { request: number }; tx: { response: number } };
  const counts = await sim.connect(0, guest()).rpc<Counts>('broker.stats-get');
  assert.equal(counts.rx.request, 2);
  assert.equal(counts.tx.response, 2);
  await refused(sim.connect(0, guest()).rpc('broker.stats-clear'), 'EPERM');
});

test('every module counts for itself, and a module says what it counts', async () => {
  const sim = await start();
  const client = sim.connect();
  await client.rpc('groups.stats-clear');
  assert.deepEqual(Object.keys(await client.rpc('groups.stats-get')), ['subtree']);
  assert.deepEqual(Object.keys(await client.rpc('config.stats-get')), ['tx', 'rx']);
});

test('resource usage has times as reals', async () => {
  const sim = await start();
  const usage = await sim.connect(0, guest()).rpc<Record<string, unknown>>('broker.rusage', { who: 'children' });
  assert.ok(usage.utime instanceof Real);
  assert.equal(usage.stime, 0.25);
  assert.equal(Object.keys(usage).length, 16);
  assert.ok(await sim.connect().rpc('rexec.rusage'));
  await refused(sim.connect().rpc('broker.rusage', { who: 'nobody' }), 'EINVAL', /^nobody is unsupported$/);
});

test('debug flags are set, cleared and kept', async () => {
  const sim = await start();
  const client = sim.connect();
  for (const [op, flags, expected] of [
    ['set', 5, 5],
    ['setbit', 2, 7],
    ['clrbit', 1, 6],
    ['clr', 0, 0],
  ] as const)
    assert.deepEqual(await client.rpc('heartbeat.debug', { op, flags }), { flags: expected });
  for (const payload of [{ op: 'bogus', flags: 1 }, { op: 'set' }, undefined])
    await refused(client.rpc('broker.debug', payload), 'EPROTO');
});

test('variables of one rank are set, unset and told', async () => {
  const sim = await start(2);
  const client = sim.connect(1);
  const get = (names: unknown[]) => client.rpc('broker.getenv', { names } as never);
  assert.deepEqual(await get(['A', 'B', 'C', 5]), { env: { A: '1', B: '' } });
  await client.rpc('broker.setenv', { env: { A: null, C: 'x' } });
  assert.deepEqual(await get(['A', 'B', 'C']), { env: { B: '', C: 'x' } });
  assert.deepEqual(await client.rpc('broker.getenv', {}), { env: { B: '', C: 'x' } });
  assert.deepEqual(await sim.connect(0).rpc('broker.getenv', { names: ['A', 'C'] }), { env: { A: '1' } });
});

for (const payload of [{ env: { A: 5 } }, { env: { '': 'x' } }, { env: { 'A=B': 'x' } }, { env: ['A'] }, {}]) {
  test(`broker.setenv ${JSON.stringify(payload)} is refused, and sets nothing of it`, async () => {
    const sim = await start();
    const client = sim.connect();
    const env = 'env' in payload && !Array.isArray(payload.env) ? { env: { A: 'changed', ...payload.env } } : payload;
    await refused(client.rpc('broker.setenv', env as never), 'EPROTO');
    assert.deepEqual(await client.rpc('broker.getenv', { names: ['A'] }), { env: { A: '1' } });
  });
}

test('paths that are built in are told by name', async () => {
  const sim = await start();
  const client = sim.connect(0, guest());
  assert.deepEqual(await client.rpc('broker.conf-builtin', { keys: ['rundir', 'rc1_path'] }), {
    values: { rundir: '/run/flux', rc1_path: 'flux modprobe rc1' },
  });
  for (const key of ['nosuch', '', 'constructor'])
    await refused(client.rpc('broker.conf-builtin', { keys: [key] }), 'EINVAL', new RegExp(`^${key}: invalid key$`));
  await refused(client.rpc('broker.getenv', { names: ['A'] }), 'EPERM');
});
