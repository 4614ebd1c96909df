// Large directories: they are hashed as they grow, level by level, and plain again as they shrink.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LookupFlag } from '../../../core/formats/kvs-flags.ts';
import { type Dir, makeVal, type Treeobj } from '../../../core/formats/treeobj.ts';
import { Directory } from '../../../workers/kvs/directory.ts';
import { bucketOf, HashedDirectory } from '../../../workers/kvs/hashed-directory.ts';
import type { Operation } from '../../../workers/kvs/transaction.ts';
import { checkTree } from './check-tree.ts';
import { MemoryStore } from './memory-store.ts';

function put(name: string): Operation {
  return { key: `d.${name}`, flags: 0, dirent: makeVal(Buffer.from(name)) };
}

function unlink(name: string): Operation {
  return { key: `d.${name}`, flags: 0, dirent: null };
}

const names = Array.from({ length: 3000 }, (_, i) => `name${i}`);

function kept(store: MemoryStore): Directory | HashedDirectory {
  const dirref = store.lookup('d', LookupFlag.treeobj) as Treeobj;
  return store.directory((dirref.data as readonly string[])[0]!)!;
}

function levels(store: MemoryStore, directory = kept(store)): number {
  if (directory instanceof Directory) return 0;
  const below = directory.buckets.map((bucket) => (bucket === null ? 0 : levels(store, store.directory(bucket)!)));
  return 1 + Math.max(...below);
}

/** The entries of `d`, as a lookup shows them. */
function listed(store: MemoryStore): readonly string[] {
  return Object.keys((store.lookup('d', LookupFlag.readdir) as Dir).data).sort();
}

test('names are hashed as xxh32 does, with the level as its seed', () => {
  // Values of the reference implementation: XXH32("", 0) is 0x02cc5d05, XXH32("a", 0) 0x550d7456.
  assert.equal(bucketOf('', 0, 2 ** 32), 0x02cc5d05);
  assert.equal(bucketOf('a', 0, 2 ** 32), 0x550d7456);
  assert.notEqual(bucketOf('a', 1, 2 ** 32), bucketOf('a', 0, 2 ** 32));
});

test('a directory is hashed when it has more entries than maxdirent', () => {
  const store = new MemoryStore('sha1', 256);
  store.apply(...names.slice(0, 256).map(put));
  assert.ok(kept(store) instanceof Directory);
  store.apply(put('one more'));
  const directory = kept(store);
  assert.ok(directory instanceof HashedDirectory);
  assert.equal(directory.buckets.length, 16);
  assert.match(
    directory.bytes.toString(),
    /^\{"data":\{"bucket":\[.*\],"func":"xxh32","size":16\},"type":"hdir","ver":1\}$/,
  );
  checkTree(store);
});

test('it is hashed again and again as it grows, and plain as it shrinks', () => {
  const store = new MemoryStore('sha1', 8);
  const depths = [50, 500, 3000].map((count) => {
    store.apply(...names.slice(0, count).map(put));
    checkTree(store);
    return levels(store);
  });
  assert.deepEqual(depths, [1, 2, 3]);
  assert.deepEqual(listed(store), names.toSorted());
  for (let left = names.length; left > 0; left -= 50) {
    store.apply(...names.slice(left - 50, left).map(unlink));
    checkTree(store);
    assert.deepEqual(listed(store), names.slice(0, left - 50).toSorted());
  }
  assert.deepEqual(kept(store), Directory.empty);
});

test('entries that come and go one by one', () => {
  const store = new MemoryStore('sha1', 4);
  for (const name of names.slice(0, 120)) store.apply(put(name));
  checkTree(store);
  for (const [index, name] of names.slice(0, 120).entries()) {
    store.apply(unlink(name));
    checkTree(store);
    assert.equal(listed(store).length, 119 - index);
  }
});

test('the order in which entries come does not matter to what is listed', () => {
  const store = new MemoryStore('sha1', 8);
  for (const name of names.slice(0, 200).reverse()) store.apply(put(name));
  assert.deepEqual(listed(store), names.slice(0, 200).sort());
});

test('without maxdirent a directory that is touched is plain again', () => {
  const store = new MemoryStore('sha1', 8);
  store.apply(...names.slice(0, 500).map(put));
  const plain = new MemoryStore('sha1');
  plain.apply(...names.slice(0, 500).map(put), put('last'));
  store.maxdirent = 0;
  store.here = new Set();
  const { replaced } = store.apply(put('last'));
  assert.equal(store.rootref, plain.rootref);
  assert.ok(replaced.length > 16);
});

test('a directory that others kept plain is hashed when it is touched', () => {
  const store = new MemoryStore('sha1');
  store.apply(...names.map(put));
  store.maxdirent = 16;
  store.apply(unlink('name1'));
  checkTree(store);
  assert.deepEqual(listed(store), names.filter((name) => name !== 'name1').sort());
});

test('a change stores one directory of each level', () => {
  const store = new MemoryStore('sha1', 16);
  store.apply(...names.map(put));
  const { store: stored, replaced } = store.apply({ ...put('name7'), dirent: makeVal(Buffer.from('other')) });
  assert.ok(stored.length <= 2 + levels(store));
  assert.equal(replaced.length, stored.length);
});
