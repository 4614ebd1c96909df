// Commits: what operations are refused, that these leave no trace, and what those do that vectors have none of.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ErrnoName } from '../../../core/errno.ts';
import { LookupFlag, OperationFlag } from '../../../core/formats/kvs-flags.ts';
import { makeDir, makeDirref, makeSymlink, makeVal, makeValref, type Treeobj } from '../../../core/formats/treeobj.ts';
import { Commit } from '../../../workers/kvs/commit.ts';
import type { Operation } from '../../../workers/kvs/transaction.ts';
import { throwsCode } from '../../errors.ts';
import { MemoryStore } from './memory-store.ts';

const { readdir, treeobj } = LookupFlag;
const { append } = OperationFlag;
const long = Buffer.alloc(100, 'x');

function put(key: string, dirent: Treeobj | string | null, flags = 0): Operation {
  return { key, flags, dirent: typeof dirent === 'string' ? makeVal(Buffer.from(dirent)) : dirent };
}

function example(): MemoryStore {
  const store = new MemoryStore();
  store.apply(
    put('val', '1'),
    put('dir.x', '2'),
    put('link', makeSymlink('dir')),
    put('own', makeSymlink('dir', store.namespace)),
    put('other', makeSymlink('dir', 'other')),
    put('root', makeSymlink('.')),
    put('dangling', makeSymlink('new.place')),
    put('loop', makeSymlink('loop')),
    put('growing', makeSymlink('growing.more')),
  );
  return store;
}

test('what cannot be applied', () => {
  const store = example();
  const { rootref } = store;
  const bad = { data: `${makeVal(long).data}!`, type: 'val', ver: 1 } as const;
  const noise = store.add(Buffer.from('noise'));
  const rows: readonly (readonly [operations: readonly Operation[], code: ErrnoName])[] = [
    [[put('.', makeDir())], 'EINVAL'],
    [[put('...', null)], 'EINVAL'],
    [[put('other.x', '1')], 'EINVAL'],
    [[put('other.x', null)], 'EINVAL'],
    [[put('loop.x', '1')], 'ELOOP'],
    [[put('growing.x', '1')], 'ELOOP'],
    [[put('dir', '1', append)], 'EISDIR'],
    [[put('new.dir', makeDir()), put('new.dir', '1', append)], 'EISDIR'],
    [[put('dir.x', null), put('dir', '1', append)], 'EISDIR'],
    [[put('link', '1', append)], 'EOPNOTSUPP'],
    [[put('val', makeDir(), append)], 'EPROTO'],
    [[put('dir', makeSymlink('x'), append)], 'EPROTO'],
    [[put('val', bad)], 'EPROTO'],
    [[put('val', bad, append)], 'EPROTO'],
    [[put('noise', makeDirref(noise)), put('noise.x', '1')], 'ENOTRECOVERABLE'],
    [[put('two', { ...makeDirref(noise), data: [noise, noise] }), put('two.x', '1')], 'ENOTRECOVERABLE'],
    [[put('val', '2'), put('dir.y.z', 'new'), put('dir', null), put('.', null)], 'EINVAL'],
  ];
  for (const [operations, code] of rows) {
    const { root, errors } = store.commit(operations);
    assert.deepEqual(
      errors.map((error) => error.code),
      [code],
    );
    assert.deepEqual({ ...root, directories: root.directories.size }, unchanged(rootref));
  }
});

function unchanged(rootref: string) {
  return { rootref, store: [], directories: 0, replaced: [], referred: [], keys: [], complete: true };
}

test('a transaction that fails leaves those before and behind it alone', () => {
  const alone = example();
  alone.commit([put('a', '1'), put('dir.y', '2'), put('b.c', '3')], [put('b.d', '4'), put('a', null)]);
  const store = example();
  const bad = [put('a', '5'), put('dir', null), put('b.c', null), put('e.f', '6'), put('a', '7'), put('.', null)];
  const { root, errors } = store.commit(
    [put('a', '1'), put('dir.y', '2'), put('b.c', '3')],
    bad,
    [put('b.d', '4'), put('a', null)],
    bad,
  );
  assert.equal(errors.length, 2);
  assert.equal(store.rootref, alone.rootref);
  assert.deepEqual(root.keys, ['a', 'dir.y', 'b.c', 'b.d']);
});

test('what changes nothing leads to the same root, and nothing is stored', () => {
  const store = example();
  store.apply(put('big', makeVal(long)), put('log', 'a'), put('log', 'b', append));
  const { rootref } = store;
  const rows: readonly (readonly Operation[])[] = [
    [],
    [put('none', null)],
    [put('none.at.all', null)],
    [put('val.x', null)],
    [put('dangling.x', null)],
    [put('val', '1')],
    [put('big', makeVal(long))],
    [put('new.x', '1'), put('new', null)],
    [put('dir.x', '3'), put('dir.x', '2')],
    [put('link.x', '2')],
  ];
  for (const operations of rows) {
    const { root } = store.commit(operations);
    assert.deepEqual([root.rootref, root.store, root.replaced], [rootref, [], []], operations[0]?.key);
  }
});

test('operations go through symlinks', () => {
  const rows: readonly (readonly [key: string, changed: string])[] = [
    ['link.y', 'dir.y'],
    ['own.y', 'dir.y'],
    ['root.root.y', 'y'],
    ['root.link.y', 'dir.y'],
    ['dangling.y', 'new.place.y'],
    ['val.y', 'val.y'],
  ];
  for (const [key, changed] of rows) {
    const store = example();
    const root = store.apply(put(key, 'here'));
    assert.deepEqual(store.lookup(changed), makeVal(Buffer.from('here')), key);
    assert.deepEqual(root.keys, [key]);
    assert.equal(root.complete, key === changed, key);
    store.apply(put(key, null));
    assert.equal(store.lookup(changed), undefined, key);
  }
});

test('directories in tree objects become objects of their own', () => {
  const store = new MemoryStore();
  const entries = { x: makeVal(Buffer.from('1')), big: makeVal(long), l: makeSymlink('x') };
  store.apply(put('a', makeDir({ b: makeDir(entries), c: makeDir() })), put('a.b.y', '2'), put('a.b.big', null));
  const other = new MemoryStore();
  other.apply(put('a.b.x', '1'), put('a.b.y', '2'), put('a.b.l', makeSymlink('x')), put('a.c', makeDir()));
  assert.equal(store.rootref, other.rootref);
});

test('tree objects that refer to blobs are kept as they are, and told', () => {
  const store = example();
  const blob = store.add(long);
  const dirref = store.lookup('dir', treeobj) as Treeobj;
  const root = store.apply(put('copy', dirref), put('parts', makeValref([blob, blob])), put('copy.y', '3'));
  assert.deepEqual(root.referred, [
    { blobref: (dirref.data as readonly string[])[0], isDirectory: true },
    { blobref: blob, isDirectory: false },
    { blobref: blob, isDirectory: false },
  ]);
  assert.deepEqual(store.lookup('copy.x'), makeVal(Buffer.from('2')));
  assert.equal(store.lookup('dir.y'), undefined);
  assert.deepEqual(store.lookup('parts'), makeVal(Buffer.concat([long, long])));
});

test('keys are told as they are normal, each once', () => {
  const { root } = new MemoryStore().commit([put('.a..b.', '1'), put('a.b', '2')], [put('c', null), put('a.b', '3')]);
  assert.deepEqual(root.keys, ['a.b', 'c']);
});

test('a key may have very many names', () => {
  const store = new MemoryStore();
  const key = Array.from({ length: 12_000 }, () => 'a').join('.');
  store.apply(put(key, '1'));
  assert.deepEqual(store.lookup(key), makeVal(Buffer.from('1')));
});

test('the objects that are missing are named together', () => {
  const store = example();
  store.apply(put('more.x', '1'), put('big.log', makeVal(long)));
  const referred = (key: string) => (store.lookup(key, treeobj) as { data: readonly string[] }).data[0];
  const missing = [referred('dir'), referred('more'), referred('big')];
  store.here = new Set([store.rootref]);
  const commit = new Commit(store.rootref, { namespace: 'test', hash: 'sha1', maxdirent: 0 });
  const operations = [put('dir.y', '1'), put('more.y', '1'), put('big.log', '1', append), put('dir', '1', append)];
  assert.deepEqual(commit.apply(operations, store), missing);
  store.here = undefined;
  throwsCode(() => commit.apply(operations, store), 'EISDIR');
});

test('a root that is none', () => {
  const store = new MemoryStore();
  store.rootref = store.add(Buffer.from('noise'));
  const { errors } = store.commit([put('a', '1')]);
  assert.equal(errors[0]?.code, 'ENOTRECOVERABLE');
  throwsCode(() => store.lookup('.', readdir), 'EINVAL');
});
