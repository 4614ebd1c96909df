// Garbage goes while the instance runs, and nothing else does: what is in the backing store is read there, not from caches.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, test } from 'node:test';
import { directoryReferences, type Reference } from '../../core/formats/tree-references.ts';
import type { Treeobj } from '../../core/formats/treeobj.ts';
import { Content } from '../../core/handle/content.ts';
import type { Handle } from '../../core/handle/handle.ts';
import { createNamespace, Kvs, removeNamespace } from '../../core/handle/kvs.ts';
import { KvsTransaction } from '../../core/handle/kvs-transaction.ts';
import { SeededRandom } from '../sim/random.ts';
import { type Instance, startInstance } from './instance.ts';
import { checkRows } from './rows.ts';
import { temporaryFolder, until, withHandle } from './support.ts';

const grace = '--conf=kvs.gc-grace=0.2s';
const statedir = temporaryFolder();
let instance: Instance;
before(async () => {
  instance = await startInstance(2, [grace, `--setattr=statedir=${statedir}`]);
});
after(() => instance.stop());

/** What is in the backing store below a root; fails when some of it is not. */
async function readTree(handle: Handle, rootref: string): Promise<Set<string>> {
  const store = new Content(handle, { bypassCache: true });
  const seen = new Set<string>();
  const unread: Reference[] = [{ blobref: rootref, isDirectory: true }];
  for (let next = unread.pop(); next; next = unread.pop()) {
    if (seen.has(next.blobref)) continue;
    seen.add(next.blobref);
    const bytes = await store.load(next.blobref);
    if (next.isDirectory) unread.push(...directoryReferences(bytes)!);
  }
  return seen;
}

async function countBlobs(handle: Handle): Promise<number> {
  await handle.rpc('content.flush');
  return (await handle.rpc<{ object_count: number }>('content-sqlite.stats-get')).object_count;
}

/** Waits until no more blobs are there than some. */
function untilFewer(handle: Handle, count: number): Promise<void> {
  return until(async () => (await countBlobs(handle)) <= count, `${count} blobs are left`);
}

const longValue = (text: string) => Buffer.alloc(200, `${text} `);

test('what was overwritten or unlinked leaves the backing store, and what is there can be read', () =>
  withHandle(instance.uri, async (handle) => {
    const kvs = new Kvs(handle, 'primary');
    const before = await countBlobs(handle);
    const values = Array.from({ length: 300 }, (_, i) => `v${i}`);
    for (let round = 0; round < 3; round++) {
      const transaction = new KvsTransaction();
      for (const value of values) transaction.put(`d${round}.${value}`, longValue(`${round}.${value}`));
      await kvs.commit(transaction);
      for (let i = 0; i < 50; i++)
        await kvs.commit(new KvsTransaction().put(`d${round}.v0`, longValue(`${round}.${i}`)));
      if (round) await kvs.commit(new KvsTransaction().unlink(`d${round - 1}`));
    }
    // One directory of 300 values in some 16 buckets, and the root; the checkpoint that is there from before keeps little.
    await untilFewer(handle, before + 300 + 20);
    await checkRows(instance, [{ args: ['content', 'dropcache'] }]);
    for (const value of values.slice(1)) assert.deepEqual(await kvs.get(`d2.${value}`), longValue(`2.${value}`));
    await kvs.commit(new KvsTransaction().unlink('d2'));
    await untilFewer(handle, before + 2);
  }));

test('a copy outlives what it was made of, and so does a namespace that was made of a root', () =>
  withHandle(instance.uri, async (handle) => {
    const kvs = new Kvs(handle, 'primary');
    const before = await countBlobs(handle);
    await kvs.commit(new KvsTransaction().put('from.a.x', longValue('x')).put('from.a.y', longValue('y')));
    const { rootref } = await kvs.commit(new KvsTransaction().put('from.b', longValue('b')));
    await checkRows(instance, [
      { args: ['kvs', 'copy', 'from.a', 'to'] },
      { args: ['kvs', 'namespace', 'create', `--rootref=${rootref}`, 'old'] },
      { args: ['kvs', 'put', 'to.z=1'] },
      { args: ['kvs', 'unlink', '-R', 'from'] },
    ]);
    const collected = await collect(handle);
    assert.ok(collected > 0);
    await checkRows(instance, [
      { args: ['content', 'dropcache'] },
      { args: ['kvs', 'get', '--raw', 'to.x'], stdout: longValue('x').toString() },
      { args: ['kvs', 'get', '-N', 'old', '--raw', 'from.b'], stdout: longValue('b').toString() },
      { args: ['kvs', 'get', '-N', 'old', '--raw', 'from.a.y'], stdout: longValue('y').toString() },
      { args: ['kvs', 'namespace', 'remove', 'old'] },
      { args: ['kvs', 'unlink', '-R', 'to'] },
    ]);
    await untilFewer(handle, before + 2);
  }));

test('what flux gc may still read stays until it has read it', () =>
  withHandle(instance.uri, async (handle) => {
    const kvs = new Kvs(handle, 'primary');
    const before = await countBlobs(handle);
    await checkRows(instance, [{ args: ['gc', '--test-mark-only'], stderr: /stopping after mark phase/ }]);
    for (let i = 0; i < 10; i++) await kvs.commit(new KvsTransaction().put('marked', longValue(`${i}`)));
    const stats = () => handle.rpc<{ garbage: { waiting: number } }>('content-sqlite.stats-get');
    await until(async () => (await stats()).garbage.waiting > 0, 'garbage waits');
    assert.ok((await countBlobs(handle)) >= before + 20);
    await checkRows(instance, [{ args: ['gc'], stderr: /gc complete/ }]);
    await untilFewer(handle, before + 2);
    await kvs.commit(new KvsTransaction().unlink('marked'));
  }));

/** Waits until all garbage that there is now is gone; returns how many blobs were removed so far. */
async function collect(handle: Handle): Promise<number> {
  await handle.rpc('content.collect');
  const { garbage } = await handle.rpc<{ garbage: { removed: number } }>('content-sqlite.stats-get');
  return garbage.removed;
}

test('whatever is committed, copied, removed and collected by whom: nothing that can be reached is missing', () =>
  withHandle(instance.uri, async (handle) => {
    const random = new SeededRandom(7);
    const names = ['primary', 'n0', 'n1'];
    for (const name of names.slice(1)) await createNamespace(handle, name);
    const kvs = new Map(names.map((name) => [name, new Kvs(handle, name)]));
    const keys = ['a', 'b', 'a.c', 'a.c.d'].map((key) => `t.${key}`);
    const values = ['1', '2'].map(longValue);
    for (let round = 0; round < 300; round++) {
      const here = kvs.get(random.pick(names))!;
      const there = kvs.get(random.pick(names))!;
      const key = random.pick(keys);
      const transaction = new KvsTransaction();
      const copied = await there.lookup(random.pick(keys), { flags: 16 }).catch(() => undefined);
      const change = random.integer(0, 9);
      if (change < 4) transaction.put(`${key}.v${random.integer(0, 40)}`, random.pick(values));
      else if (change < 6) transaction.append(`${key}.log`, random.pick(values));
      else if (change < 8) transaction.unlink(`${key}${random.pick(['', '.log', '.v1'])}`);
      else if (copied) transaction.putTreeobj(key, copied as Treeobj);
      const commits = [here.commit(transaction), there.commit(new KvsTransaction().put('t.now', `${round}`))];
      if (random.chance(0.1))
        commits.push(kvs.get('primary')!.commit(new KvsTransaction().put('t.s', `${round}`), { flags: 4 }));
      await Promise.allSettled(commits);
      if (random.chance(0.05)) await checkRows(instance, [{ args: ['gc'], stderr: /gc complete/ }]);
      if (random.chance(0.05)) await removeNamespace(handle, 'n1').then(() => createNamespace(handle, 'n1'));
      if (random.chance(0.2)) await collect(handle);
      if (round % 10) continue;
      await handle.rpc('content.flush');
      const checkpoints = await new Content(handle).checkpoints();
      for (const { rootref } of checkpoints) await readTree(handle, rootref);
      for (const name of names) {
        const { rootref } = await handle.rpc<{ rootref: string }>('kvs.getroot', { namespace: name });
        await readTree(handle, rootref);
      }
    }
    for (const name of names.slice(1)) await removeNamespace(handle, name);
    const { garbage } = await handle.rpc<{ garbage: { removed: number } }>('content-sqlite.stats-get');
    assert.ok(garbage.removed > 300);
  }));

test('after a restart all is there, and what is garbage from then on goes', async () => {
  await withHandle(instance.uri, async (handle) => {
    const kvs = new Kvs(handle, 'primary');
    await kvs.commit(new KvsTransaction().put('kept.x', longValue('kept')).put('kept.y', longValue('y')));
  });
  await instance.stop();
  assert.ok(fs.existsSync(`${statedir}/content.sqlite`));
  instance = await startInstance(1, [grace, `--setattr=statedir=${statedir}`]);
  await withHandle(instance.uri, async (handle) => {
    const kvs = new Kvs(handle, 'primary');
    const before = await countBlobs(handle);
    for (let i = 0; i < 50; i++) await kvs.commit(new KvsTransaction().put('kept.y', longValue(`${i}`)));
    await untilFewer(handle, before + 3);
    assert.deepEqual(await kvs.get('kept.x'), longValue('kept'));
    for (const { rootref } of await new Content(handle).checkpoints()) await readTree(handle, rootref);
  });
});

test('where kvs.gc is false all stays', async () => {
  const other = await startInstance(1, ['--conf=kvs.gc=false', grace]);
  await withHandle(other.uri, async (handle) => {
    const kvs = new Kvs(handle, 'primary');
    for (let i = 0; i < 10; i++) await kvs.commit(new KvsTransaction().put('x', longValue(`${i}`)));
    assert.equal(await collect(handle), 0);
    assert.ok((await countBlobs(handle)) >= 20);
  });
  await other.stop();
});
