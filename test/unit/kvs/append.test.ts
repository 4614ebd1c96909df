// Appended values: what blobs they are made of, and that these do not grow in number with the appends.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LookupFlag, OperationFlag } from '../../../core/formats/kvs-flags.ts';
import { makeVal, makeValref, type Treeobj, valBytes } from '../../../core/formats/treeobj.ts';
import { findJoinable } from '../../../workers/kvs/append.ts';
import { MemoryStore } from './memory-store.ts';

function append(store: MemoryStore, bytes: Uint8Array) {
  return store.apply({ key: 'log', flags: OperationFlag.append, dirent: makeVal(bytes) });
}

function blobsOf(store: MemoryStore): readonly string[] {
  const { type, data } = store.lookup('log', LookupFlag.treeobj) as Treeobj;
  assert.equal(type, 'valref');
  return data as readonly string[];
}

/** How many blobs are left of so many, and what is joined, when they are appended one by one. */
function appendSizes(sizes: readonly number[]): number[] {
  let blobs: number[] = [];
  for (const size of sizes) {
    blobs.push(size);
    const first = findJoinable(blobs.length, (index) => blobs[index])!;
    const joined = blobs.slice(first);
    if (joined.length) blobs = [...blobs.slice(0, first), joined.reduce((sum, each) => sum + each)];
  }
  return blobs;
}

test('which blobs are joined', () => {
  const times = (count: number, size: number) => new Array<number>(count).fill(size);
  const rows: readonly (readonly [sizes: readonly number[], left: readonly number[]])[] = [
    [[], []],
    [times(31, 10), times(31, 10)],
    [times(32, 10), [320]],
    [times(32, 0), [0]],
    [times(40, 10), [320, ...times(8, 10)]],
    [
      [5000, ...times(31, 10)],
      [5000, ...times(31, 10)],
    ],
    [
      [5000, ...times(32, 10)],
      [5000, 320],
    ],
    [[...times(31, 10), 5000], [5310]],
    [times(32 * 32, 10), [10240]],
    [times(32 * 32 * 32, 10), [327680]],
    [times(100, 2 ** 20), times(100, 2 ** 20)],
    [
      [...times(31, 10), 2 ** 20],
      [...times(31, 10), 2 ** 20],
    ],
    [
      [2 ** 20, ...times(32, 10)],
      [2 ** 20, 320],
    ],
  ];
  for (const [sizes, left] of rows) assert.deepEqual(appendSizes(sizes), left, `${sizes.length} of ${sizes[0]}`);
});

test('there are few blobs of each size, and each byte is written a few times', () => {
  const sizes = fc.array(fc.oneof(fc.nat(40), fc.nat(3000), fc.nat(100_000), fc.nat(2 ** 21)), {
    minLength: 200,
    maxLength: 2000,
    size: 'max',
  });
  fc.assert(
    fc.property(sizes, (list) => {
      const small = list.map((size) => size % 2 ** 20);
      const left = appendSizes(small);
      assert.ok(left.length <= 32 * 4 + small.reduce((sum, size) => sum + size, 0) / 2 ** 20, `${left.length} blobs`);
      assert.equal(
        left.reduce((sum, size) => sum + size, 0),
        small.reduce((sum, size) => sum + size, 0),
      );
    }),
    { numRuns: 20 },
  );
});

test('a long list from elsewhere is not read as a whole', () => {
  const asked = new Set<number>();
  const sizeOf = (index: number) => {
    asked.add(index);
    return 10;
  };
  assert.equal(findJoinable(1_000_000, sizeOf), 1_000_000 - 1024);
  assert.ok(asked.size <= 1024);
});

test('sizes that are not known are asked for in groups', () => {
  const known = new Set<number>([99]);
  let rounds = 0;
  for (; ; rounds++) {
    const asked: number[] = [];
    const first = findJoinable(100, (index) => {
      if (known.has(index)) return 10;
      asked.push(index);
      return undefined;
    });
    if (first !== undefined) break;
    assert.ok(asked.length <= 33);
    for (const index of asked) known.add(index);
  }
  assert.equal(rounds, 3);
});

test('an event log is what was appended, in few blobs', () => {
  const store = new MemoryStore();
  let text = '';
  for (let i = 0; i < 3000; i++) {
    const line = `{"timestamp":${i},"name":"event"}\n`;
    text += line;
    const root = append(store, Buffer.from(line));
    if (i === 0) continue;
    const blobs = blobsOf(store);
    assert.ok(blobs.length <= 96);
    if (i < 31) assert.equal(blobs.length, i + 1);
    assert.ok(root.store.length <= 3);
    for (const [blobref] of root.store.slice(0, -1)) assert.ok(blobs.includes(blobref));
  }
  assert.equal(valBytes(store.lookup('log')).toString(), text);
});

test('blobs that were joined are replaced', () => {
  const store = new MemoryStore();
  for (let i = 0; i < 31; i++) append(store, Buffer.from(`${i}`));
  const before = blobsOf(store);
  const { replaced } = append(store, Buffer.from('last'));
  assert.equal(blobsOf(store).length, 1);
  const removed = replaced.flatMap((each) => each.removed);
  assert.deepEqual(
    removed,
    before.map((blobref) => ({ blobref, isDirectory: false })),
  );
});

test('appends of one commit are joined, too, and only what is left is stored', () => {
  const store = new MemoryStore();
  const operations = Array.from({ length: 100 }, (_, i) => {
    return { key: 'log', flags: OperationFlag.append, dirent: makeVal(Buffer.from(`${i};`)) };
  });
  const root = store.apply(...operations);
  const blobs = blobsOf(store);
  assert.ok(blobs.length < 40);
  assert.deepEqual(
    root.store.slice(0, -1).map(([blobref]) => blobref),
    blobs,
  );
});

test('a blob of a value that is not at hand is loaded when its size matters', () => {
  const store = new MemoryStore();
  const blobs = Array.from({ length: 40 }, (_, i) => store.add(Buffer.from(`${i};`)));
  store.apply({ key: 'log', flags: 0, dirent: makeValref(blobs) });
  store.here = new Set();
  append(store, Buffer.from('end'));
  const text = `${Array.from({ length: 40 }, (_, i) => `${i};`).join('')}end`;
  assert.equal(valBytes(store.lookup('log')).toString(), text);
  store.here = undefined;
  assert.equal(blobsOf(store).length, 1);
});
