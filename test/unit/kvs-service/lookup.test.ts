// Lookups in the module kvs: requests, roots, other namespaces, and what is loaded on the way.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LookupFlag } from '../../../core/formats/kvs-flags.ts';
import { makeDirref, makeSymlink } from '../../../core/formats/treeobj.ts';
import { throwsCode } from '../../errors.ts';
import { asJson, Fixture, gate, guest, owner, put, putObject, settled } from './fixture.ts';
import { MemoryContent } from './memory-content.ts';

async function withValues(): Promise<Fixture> {
  const kvs = await Fixture.start();
  await kvs.createNamespace('theirs', 200);
  await kvs.commit([put('a', '1'), put('d.b', '2')], { namespace: 'theirs' });
  await kvs.commit([
    put('a', 'p'),
    putObject('link', makeSymlink('a', 'theirs')),
    putObject('nolink', makeSymlink('a', 'x')),
  ]);
  await kvs.commit([putObject('link', makeSymlink('a', 'primary'))], { namespace: 'theirs' });
  return kvs;
}

const badLookups: readonly [payload: unknown, errno: string][] = [
  [undefined, 'EPROTO'],
  [{ key: 'a', flags: 0 }, 'EPROTO'],
  [{ key: 'a', namespace: 'theirs' }, 'EPROTO'],
  [{ flags: 0, namespace: 'theirs' }, 'EPROTO'],
  [{ key: 'a', flags: 0, namespace: 7 }, 'EPROTO'],
  [{ key: 'a', flags: 0, namespace: 'nope' }, 'EOPNOTSUPP'],
  [{ key: 'nope', flags: 0, namespace: 'theirs' }, 'ENOENT'],
  [{ key: 'd', flags: 0, namespace: 'theirs' }, 'EISDIR'],
  [{ key: 'a', flags: LookupFlag.readdir, namespace: 'theirs' }, 'ENOTDIR'],
  [{ key: 'nolink', flags: 0, namespace: 'primary' }, 'EOPNOTSUPP'],
  [{ key: 'a', flags: 0, rootdir: 'x' }, 'EINVAL'],
  [{ key: 'a', flags: 0, rootdir: { ver: 1, type: 'dir', data: {} } }, 'EINVAL'],
];

for (const [payload, errno] of badLookups) {
  test(`a lookup of ${JSON.stringify(payload)} is ${errno}`, async () => {
    const kvs = await withValues();
    for (const method of ['lookup', ...(errno === 'ENOENT' ? [] : ['lookup-plus'])])
      assert.equal((await kvs.ask(method, payload as never)).errno, errno);
  });
}

test('lookup-plus tells the root, also where there is no such key', async () => {
  const kvs = await withValues();
  const root = await kvs.root('theirs');
  const ask = (key: string) => kvs.call('lookup-plus', { key, flags: 0, namespace: 'theirs' });
  assert.deepEqual(await ask('a'), { val: { ver: 1, type: 'val', data: 'MQ==' }, ...root });
  assert.deepEqual(await ask('nope'), { errno: 2, ...root });
});

test('who has the reference of a root reads there, whatever came after and whose it is', async () => {
  const kvs = await withValues();
  const { rootref, rootseq } = await kvs.root('theirs');
  await kvs.commit([put('a', 'new')], { namespace: 'theirs' });
  const rootdir = asJson(makeDirref(rootref));
  for (const namespace of [undefined, 'nope', 'theirs'])
    assert.deepEqual(
      await kvs.call('lookup', { key: 'a', flags: 0, rootdir, ...(namespace && { namespace }) }, { user: guest(7) }),
      {
        val: { ver: 1, type: 'val', data: 'MQ==' },
      },
    );
  assert.equal((await kvs.call('lookup-plus', { key: 'a', flags: 0, rootdir, rootseq })).rootseq, rootseq);
});

test('guests read their own namespaces, and follow symlinks nowhere else', async () => {
  const kvs = await withValues();
  const user = guest(200);
  assert.equal(await kvs.get('a', 'theirs', { user }), '1');
  assert.equal(
    (await kvs.ask('lookup', { key: 'a', flags: 0, namespace: 'theirs' }, { user: guest(201) })).errno,
    'EPERM',
  );
  assert.equal((await kvs.ask('lookup', { key: 'a', flags: 0, namespace: 'primary' }, { user })).errno, 'EPERM');
  assert.equal((await kvs.ask('lookup', { key: 'link', flags: 0, namespace: 'theirs' }, { user })).errno, 'EPERM');
  assert.equal(await kvs.get('link', 'theirs'), 'p');
  assert.equal(await kvs.get('link', 'primary'), '1');
});

test('what is not in memory is loaded, each blob once, and then stays', async () => {
  const kvs = await withValues();
  await kvs.commit([put('d.e.f', 'deep')]);
  await kvs.stop();
  const content = new MemoryContent(kvs.content.disk);
  const again = await Fixture.start({ content });
  content.loads = 0;
  assert.equal(await again.get('d.e.f'), 'deep');
  assert.equal(content.loads, 2);
  assert.equal(await again.get('d.e.f'), 'deep');
  assert.equal(content.loads, 2);
});

test('values that the caches cannot hold are read all the same', async () => {
  const kvs = await Fixture.start();
  for (const part of ['one', ' two', ' three']) await kvs.commit([put('log', part, 32)]);
  await kvs.content.flush();
  kvs.content.evict();
  assert.equal(await kvs.get('log'), 'one two three');
});

test('who looks something up sees one root, also when a commit comes while blobs are loaded', async () => {
  const kvs = await Fixture.start();
  await kvs.commit([put('log', 'one', 32)]);
  await kvs.commit([put('log', ' two', 32)]);
  await kvs.content.flush();
  kvs.content.evict();
  const slow = gate();
  kvs.content.pause = () => slow.promise;
  const waiting = kvs.get('log');
  assert.equal((await kvs.commit([put('log', 'other')])).errno, '');
  slow.open();
  assert.equal(await waiting, 'one two');
});

// ---- versions

test('who waits for a version is answered when it is there', async () => {
  const kvs = await Fixture.start();
  const wait = (rootseq: number) => kvs.call('wait-version', { namespace: 'primary', rootseq });
  assert.equal((await wait(-1)).rootseq, 0);
  const answered: number[] = [];
  const waiting = [3, 1, 2, 1].map((rootseq) => wait(rootseq).then((answer) => answered.push(rootseq) && answer));
  await settled();
  assert.deepEqual(answered, []);
  for (const expected of [
    [1, 1],
    [1, 1, 2],
    [1, 1, 2, 3],
  ]) {
    await kvs.commit([]);
    await settled();
    assert.deepEqual(answered, expected);
  }
  assert.deepEqual((await waiting[0])!, await kvs.root());
});

test('who waits for a version and is gone is forgotten', async () => {
  const kvs = await Fixture.start();
  for (const client of ['c1', 'c2', 'c1'])
    void kvs.ask('wait-version', { namespace: 'primary', rootseq: 5 }, { client });
  const waiters = async () =>
    ((await kvs.call('stats-get')).namespace as Record<string, Record<string, number>>).primary!['#versionwaiters'];
  assert.equal(await waiters(), 3);
  kvs.notify('disconnect', undefined, { client: 'c1' });
  assert.equal(await waiters(), 1);
});

// ---- on the same thread

test('a follower sees roots at once, and finds keys without waiting when all is in memory', async () => {
  const kvs = await withValues();
  const follower = kvs.shared.kvs!;
  const seen: unknown[] = [];
  const stop = follower.onSetroot((setroot) => seen.push([setroot, follower.root(setroot.namespace)!.rootseq]));
  const { payload } = await kvs.commit([put('a', 'new')], { namespace: 'theirs' });
  const { rootref, rootseq } = payload;
  assert.deepEqual(seen, [
    [{ namespace: 'theirs', owner: 200, flags: 0, rootref, rootseq, keys: ['a'], complete: true }, rootseq],
  ]);
  assert.deepEqual(follower.lookup('theirs', 'a', 0, guest()), { ver: 1, type: 'val', data: 'bmV3' });
  assert.equal(follower.lookup('theirs', 'nope', 0, owner), undefined);
  throwsCode(() => follower.lookup('theirs', 'a', 0, guest(7)), 'EPERM');
  throwsCode(() => follower.lookup('nope', 'a', 0, owner), 'EOPNOTSUPP');
  assert.equal(follower.root('nope'), undefined);
  stop();
  await kvs.commit([]);
  assert.equal(seen.length, 1);
});

test('a follower is told of namespaces that go, all of them when the store stops', async () => {
  const kvs = await withValues();
  const follower = kvs.shared.kvs!;
  const removed: string[] = [];
  follower.onRemoved((namespace) => removed.push(namespace));
  await kvs.call('namespace-remove', { namespace: 'theirs' });
  assert.deepEqual(removed, ['theirs']);
  await kvs.stop();
  assert.deepEqual(removed, ['theirs', 'primary']);
  assert.equal(follower.root('primary'), undefined);
  throwsCode(() => follower.lookup('primary', 'a', 0, owner), 'ENOSYS');
});

test('a follower that throws is a line in the log, and no commit fails', async () => {
  const kvs = await Fixture.start();
  kvs.shared.kvs!.onSetroot(() => {
    throw new Error('broken');
  });
  assert.equal((await kvs.commit([])).errno, '');
  assert.match(kvs.logs.at(-1)!, /bug in a follower of the KVS.*broken/);
});
