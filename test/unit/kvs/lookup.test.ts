// Lookups: what each flag makes of each kind of entry, where symlinks lead, and what is missing.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ErrnoName } from '../../../core/errno.ts';
import { LookupFlag, OperationFlag } from '../../../core/formats/kvs-flags.ts';
import { makeDir, makeDirref, makeSymlink, makeVal, makeValref, type Treeobj } from '../../../core/formats/treeobj.ts';
import { Lookup } from '../../../workers/kvs/lookup.ts';
import type { Operation } from '../../../workers/kvs/transaction.ts';
import { throwsCode } from '../../errors.ts';
import { MemoryStore } from './memory-store.ts';

const { readdir, readlink, treeobj } = LookupFlag;
const long = makeVal(Buffer.alloc(100, 'x'));

function put(key: string, dirent: Treeobj | string, flags = 0): Operation {
  return { key, flags, dirent: typeof dirent === 'string' ? makeVal(Buffer.from(dirent)) : dirent };
}

function example(): MemoryStore {
  const store = new MemoryStore();
  store.apply(
    put('val', '1'),
    put('long', long),
    put('log', 'a'),
    put('log', 'b', OperationFlag.append),
    put('dir.sub.x', '2'),
    put('link', makeSymlink('dir.sub')),
    put('to.link', makeSymlink('link')),
    put('dangling', makeSymlink('no.where')),
    put('root', makeSymlink('.')),
    put('odd', makeSymlink('dir..sub')),
    put('loop', makeSymlink('loop')),
    put('ping', makeSymlink('pong.x')),
    put('pong', makeSymlink('ping')),
  );
  return store;
}

test('what a key stands for, by flags', () => {
  const store = example();
  const reference = (key: string) => store.lookup(key, treeobj) as Treeobj;
  const longRef = reference('long');
  assert.equal(longRef.type, 'valref');
  const rows: readonly (readonly [key: string, flags: number, found: Treeobj | undefined | ErrnoName])[] = [
    ['val', 0, makeVal(Buffer.from('1'))],
    ['..val.', 0, makeVal(Buffer.from('1'))],
    ['val', readdir, 'ENOTDIR'],
    ['val', readlink, 'EINVAL'],
    ['val', readlink | readdir, 'EINVAL'],
    ['val', treeobj, makeVal(Buffer.from('1'))],
    ['long', 0, long],
    ['long', readdir, 'ENOTDIR'],
    ['long', readlink, 'EINVAL'],
    ['long', treeobj | readdir, longRef],
    ['log', 0, makeVal(Buffer.from('ab'))],
    ['dir', 0, 'EISDIR'],
    ['dir', readdir, makeDir({ sub: reference('dir.sub') })],
    ['dir', readlink, 'EINVAL'],
    ['dir', treeobj, reference('dir')],
    ['.', 0, 'EISDIR'],
    ['.', readlink, 'EISDIR'],
    ['.', treeobj, makeDirref(store.rootref)],
    ['..', treeobj | readlink, makeDirref(store.rootref)],
    ['none', 0, undefined],
    ['none', readlink, undefined],
    ['none.at.all', readdir, undefined],
    ['val.x', 0, undefined],
    ['long.x', treeobj, undefined],
    ['dir.none', 0, undefined],
    ['link', readlink, makeSymlink('dir.sub')],
    ['link', treeobj, makeSymlink('dir.sub')],
    ['link', readlink | readdir, 'ENOTDIR'],
    ['link', 0, 'EISDIR'],
    ['link', readdir, makeDir({ x: makeVal(Buffer.from('2')) })],
    ['link.x', 0, makeVal(Buffer.from('2'))],
    ['link.x', readlink, 'EINVAL'],
    ['to.link', readdir, makeDir({ x: makeVal(Buffer.from('2')) })],
    ['to.link', readlink, makeSymlink('link')],
    ['to.link.x', readlink, 'EINVAL'],
    ['to.link.x', treeobj, makeVal(Buffer.from('2'))],
    ['root.root.root.val', 0, makeVal(Buffer.from('1'))],
    ['root', 0, 'EISDIR'],
    ['dangling', 0, undefined],
    ['dangling', readlink, makeSymlink('no.where')],
    ['dangling.x', 0, undefined],
    ['odd', 0, undefined],
    ['loop', 0, 'ELOOP'],
    ['loop', readlink, makeSymlink('loop')],
    ['loop.x', readlink, 'ELOOP'],
    ['ping', 0, 'ELOOP'],
    ['pong.y', treeobj, 'ELOOP'],
  ];
  for (const [key, flags, found] of rows) {
    const label = `${key}, flags ${flags}`;
    if (typeof found === 'string') throwsCode(() => store.lookup(key, flags), found);
    else assert.deepEqual(store.lookup(key, flags), found, label);
  }
});

test('ten symlinks in a row are followed, eleven are not', () => {
  const store = new MemoryStore();
  const links = Array.from({ length: 11 }, (_, i) => put(`l${i + 1}`, makeSymlink(`l${i}`)));
  store.apply(put('l0', '1'), ...links);
  assert.deepEqual(store.lookup('l10'), makeVal(Buffer.from('1')));
  throwsCode(() => store.lookup('l11'), 'ELOOP');
});

test('a symlink into a namespace leads below the root that is entered, as far as its target goes', () => {
  const store = new MemoryStore();
  const other = store.apply(put('a.b', makeSymlink('c')), put('c', 'other')).rootref;
  store.apply(
    put('a', makeSymlink('a', 'other')),
    put('deep', makeSymlink('a.b', 'other')),
    put('whole', makeSymlink('.', 'other')),
    put('c', 'own'),
  );
  const rows = [
    ['a.b', 'own'],
    ['deep', 'other'],
    ['whole.c', 'other'],
    ['whole.a.b', 'own'],
  ] as const;
  for (const [key, value] of rows) {
    const lookup = new Lookup(store.rootref, key, 0);
    assert.deepEqual(lookup.step(store), { namespace: 'other' });
    lookup.enter(other);
    assert.deepEqual(lookup.step(store), { value: makeVal(Buffer.from(value)) }, key);
  }
});

test('a step names what is missing', () => {
  const store = example();
  const { data } = store.lookup('log', treeobj) as { data: readonly string[] };
  const dir = (store.lookup('dir', treeobj) as { data: readonly string[] }).data;
  const here = new Set([store.rootref]);
  store.here = here;
  const rows = [
    ['val', 0, undefined],
    ['log', 0, data],
    ['log', treeobj, undefined],
    ['dir', readdir, dir],
    ['dir.sub.x', 0, dir],
    ['link.x', 0, dir],
  ] as const;
  for (const [key, flags, missing] of rows) {
    const step = new Lookup(store.rootref, key, flags).step(store);
    if (missing) assert.deepEqual(step, { missing }, key);
    else assert.ok('value' in step, key);
  }
  here.clear();
  assert.deepEqual(new Lookup(store.rootref, 'val', 0).step(store), { missing: [store.rootref] });
  assert.deepEqual(new Lookup(store.rootref, '.', treeobj).step(store), { value: makeDirref(store.rootref) });
});

test('references that make no sense', () => {
  const store = new MemoryStore();
  const noise = store.add(Buffer.from('noise'));
  const value = store.add(Buffer.from('{"data":"MQ==","type":"val","ver":1}'));
  store.apply(
    put('noise', makeDirref(noise)),
    put('value', makeDirref(value)),
    put('two', { ...makeDirref(noise), data: [noise, value] }),
    put('gone', makeValref([noise, value])),
  );
  for (const key of ['noise.x', 'value.x', 'two.x']) throwsCode(() => store.lookup(key), 'ENOTRECOVERABLE');
  for (const key of ['noise', 'value', 'two']) throwsCode(() => store.lookup(key, readdir), 'ENOTRECOVERABLE');
  for (const key of ['x', '.']) throwsCode(() => store.lookup(key, readdir, noise), 'EINVAL');
});

test('a directory inside another blob is read, not walked, as in flux-core', () => {
  const store = new MemoryStore();
  const dir = makeDir({ x: makeVal(Buffer.from('1')) });
  store.rootref = store.add(Buffer.from(`{"data":{"d":${JSON.stringify(dir)}},"type":"dir","ver":1}`));
  assert.deepEqual(store.lookup('d', readdir), dir);
  throwsCode(() => store.lookup('d'), 'EISDIR');
  throwsCode(() => store.lookup('d.x'), 'ENOTRECOVERABLE');
  store.apply(put('d.y', '2'));
  assert.deepEqual(store.lookup('d.x'), makeVal(Buffer.from('1')));
});
