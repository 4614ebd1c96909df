// Namespaces of the module kvs: made, listed, removed, and what happens to those who use them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EMPTY, Fixture, gate, guest, OWNER, put, settled } from './fixture.ts';

test('a namespace is made with a root and an owner, and is told by an event', async () => {
  const kvs = await Fixture.start();
  await kvs.call('namespace-create', { namespace: 'n', rootref: EMPTY, owner: 200, flags: 3 });
  const root = { namespace: 'n', owner: 200, rootref: EMPTY, rootseq: 0 };
  assert.deepEqual(await kvs.call('getroot', { namespace: 'n' }), { ...root, flags: 3 });
  assert.deepEqual(kvs.events, [{ topic: 'kvs.namespace-n-created', payload: root }]);
  assert.deepEqual(await kvs.call('namespace-list'), {
    namespaces: [
      { namespace: 'primary', owner: OWNER, flags: 0 },
      { namespace: 'n', owner: 200, flags: 3 },
    ],
  });
});

for (const owner of [-1, 0xffffffff]) {
  test(`a namespace of ${owner} is the instance owner's`, async () => {
    const kvs = await Fixture.start();
    await kvs.createNamespace('n', owner);
    assert.equal((await kvs.call('getroot', { namespace: 'n' })).owner, OWNER);
  });
}

test('a namespace can begin with the root of another', async () => {
  const kvs = await Fixture.start();
  await kvs.commit([put('a', '1')]);
  await kvs.createNamespace('copy', -1, (await kvs.root()).rootref);
  await kvs.commit([put('b', '2')], { namespace: 'copy' });
  assert.equal(await kvs.get('a', 'copy'), '1');
  assert.equal(await kvs.get('b'), undefined);
});

for (const [method, payload, errno] of [
  ['namespace-create', { namespace: 'x' }, 'EPROTO'],
  ['namespace-create', { namespace: 7, rootref: 'nope', owner: 0, flags: 0 }, 'EPROTO'],
  ['namespace-create', { namespace: 'primary', rootref: EMPTY, owner: 0, flags: 0 }, 'EEXIST'],
  ['namespace-remove', {}, 'EPROTO'],
  ['namespace-remove', { namespace: 'primary' }, 'EOPNOTSUPP'],
  ['namespace-remove', { namespace: 'PRIMARY' }, 'EOPNOTSUPP'],
  ['namespace-remove', { namespace: 'unknown' }, ''],
  ['getroot', {}, 'EPROTO'],
  ['getroot', { namespace: '' }, 'EOPNOTSUPP'],
  ['wait-version', { namespace: 'primary' }, 'EPROTO'],
  ['wait-version', { namespace: 'nope', rootseq: 0 }, 'EOPNOTSUPP'],
  ['setroot-pause', {}, 'EPROTO'],
  ['setroot-unpause', { namespace: 'nope' }, 'EOPNOTSUPP'],
] as const) {
  test(`${method} ${JSON.stringify(payload)} is ${errno || 'answered'}`, async () => {
    const kvs = await Fixture.start();
    assert.equal((await kvs.ask(method, payload)).errno, errno);
  });
}

test('guests make, list and remove no namespaces, and see the roots of their own alone', async () => {
  const kvs = await Fixture.start();
  await kvs.createNamespace('theirs', 200);
  const user = guest(200);
  for (const method of ['namespace-create', 'namespace-list', 'namespace-remove'])
    assert.equal((await kvs.ask(method, { namespace: 'theirs' }, { user })).errno, 'EPERM');
  for (const method of ['getroot', 'wait-version', 'setroot-pause', 'setroot-unpause']) {
    const ask = async (namespace: string) => (await kvs.ask(method, { namespace, rootseq: 0 }, { user })).errno;
    assert.deepEqual([await ask('theirs'), await ask('primary')], ['', 'EPERM']);
  }
});

test('when a namespace is removed all that waits there fails, and its name is free', async () => {
  const kvs = await Fixture.start();
  await kvs.createNamespace('n', -1, 'sha1-0000000000000000000000000000000000000000');
  const load = gate();
  kvs.content.pause = () => load.promise;
  const commit = () => kvs.commit([put('a', '1')], { namespace: 'n' });
  const waiting = [commit(), kvs.ask('wait-version', { namespace: 'n', rootseq: 9 })];
  await settled();
  waiting.push(commit());
  waiting.push(kvs.ask('fence', { name: 'f', nprocs: 2, namespace: 'n', flags: 0, ops: [] }));
  await kvs.call('namespace-remove', { namespace: 'n' });
  await kvs.createNamespace('n');
  assert.equal((await commit()).payload.rootseq, 1);
  load.open();
  for (const { errno } of await Promise.all(waiting.slice(1))) assert.equal(errno, 'EOPNOTSUPP');
  assert.notEqual((await waiting[0])!.errno, '');
  assert.equal(await kvs.get('a', 'n'), '1');
  assert.deepEqual(kvs.eventsOf('removed'), [{ namespace: 'n' }]);
});

test('the names of members are of any kind', async () => {
  const kvs = await Fixture.start();
  await kvs.createNamespace('__proto__');
  assert.equal((await kvs.commit([put('__proto__', '1')], { namespace: '__proto__' })).errno, '');
  assert.equal(await kvs.get('__proto__', '__proto__'), '1');
  assert.deepEqual(Object.keys(kvs.eventsOf('setroot')[0]!.keys as object), ['__proto__']);
});

test('statistics have what flux-core has', async () => {
  const kvs = await Fixture.start();
  await kvs.commit([put('a', '1'), put('b', '1')]);
  await kvs.commit([put('a', '2')]);
  const stats = await kvs.call('stats-get', undefined, { user: guest() });
  assert.deepEqual(Object.keys(stats), ['cache', 'namespace', 'transaction-opcount', 'pending_requests']);
  assert.deepEqual(Object.keys(stats.cache as object), [
    'obj size total (MiB)',
    'obj size (KiB)',
    '#obj dirty',
    '#obj incomplete',
    '#faults',
  ]);
  assert.deepEqual(stats.namespace, {
    primary: {
      '#versionwaiters': 0,
      '#no-op stores': 0,
      '#transactions': 0,
      '#readytransactions': 0,
      'store revision': 2,
    },
  });
  assert.deepEqual(stats['transaction-opcount'], {
    commit: { count: 2, min: 1, mean: 1.5, stddev: Math.SQRT1_2, max: 2 },
  });
  await kvs.call('stats-clear');
  assert.equal(
    ((await kvs.call('stats-get'))['transaction-opcount'] as Record<string, Record<string, number>>).commit!.count,
    0,
  );
});
