// What flux kvs makes of what it gets: lines, columns, events, and the differences of trees.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { entryFormatter, humanFormat, secondsFormat } from '../../../cli/eventlog-format.ts';
import { ahead } from '../../../cli/kvs-ahead.ts';
import { type Change, differences } from '../../../cli/kvs-difference.ts';
import { formatEntry } from '../../../cli/kvs-dir.ts';
import { formatLink } from '../../../cli/kvs-link.ts';
import { inColumns } from '../../../cli/kvs-ls.ts';
import { keyIn } from '../../../cli/kvs-tree.ts';
import { columnsOf, firstColumns } from '../../../cli/kvs-width.ts';
import { painter } from '../../../cli/terminal.ts';
import { makeBlobref } from '../../../core/formats/blobref.ts';
import {
  type Dir,
  type Dirref,
  encodeTreeobj,
  type Hdir,
  makeDir,
  makeDirref,
  makeVal,
  type Treeobj,
} from '../../../core/formats/treeobj.ts';
import type { JsonObject } from '../../../core/json.ts';

test('an entry of a directory is one line that fits', () => {
  const rows: readonly (readonly [value: string, width: number, line: string])[] = [
    ['1', 80, 'k = 1'],
    ['', 80, 'k = '],
    ['0123456789', 17, 'k = 0123456789'],
    ['0123456789', 16, 'k = 012345678...'],
    ['0123456789', 4, 'k...'],
    ['0123456789', 3, 'k = 0123456789'],
    ['0123456789', 0, 'k = 0123456789'],
    ['one\ntwo', 80, 'k = one...'],
    ['one\n', 80, 'k = one'],
    ['one\ntwo', 0, 'k = one\ntwo'],
    ['0123456\n89', 15, 'k = 0123456...'],
    ['😀😀😀😀', 10, 'k = 😀😀😀...'],
  ];
  for (const [value, width, line] of rows) assert.equal(formatEntry('k', value, width), line, `${value} in ${width}`);
});

test('names in columns', () => {
  const rows: readonly (readonly [names: string[], column: number, width: number, lines: string[]])[] = [
    [[], 4, 80, []],
    [['a'], 5, 80, ['a']],
    [['a', 'b', 'c'], 5, 80, ['a    b    c']],
    [['a', 'b', 'c'], 5, 14, ['a    b', 'c']],
    [['a', 'b', 'c'], 5, 15, ['a    b    c']],
    [['a', 'b'], 5, 1, ['a', 'b']],
    [['a', 'bc', 'd'], 6, 0, ['a     bc    d']],
    [['ƒ', 'b'], 5, 80, ['ƒ    b']],
  ];
  for (const [names, column, width, lines] of rows) assert.deepEqual(inColumns(names, column, width), lines);
});

test('columns of texts, keys in directories, and links', () => {
  assert.deepEqual(['', 'ab', 'ƒ', '😀'].map(columnsOf), [0, 2, 1, 1]);
  assert.deepEqual([firstColumns('abc', 2), firstColumns('😀😀b', 2), firstColumns('a', 2)], ['ab', '😀😀', 'a']);
  assert.deepEqual([keyIn('.', 'a'), keyIn('d', 'a'), keyIn('d.', 'a')], ['a', 'd.a', 'd.a']);
  assert.equal(formatLink({ target: 'a.b' }), 'a.b');
  assert.equal(formatLink({ namespace: 'other', target: 'a.b' }), 'other::a.b');
});

test('events for people', () => {
  const plain = painter('never');
  const entry = (timestamp: number, name: string, context?: JsonObject) => ({
    timestamp,
    name,
    ...(context && { context }),
  });
  const seconds = entryFormatter(secondsFormat(plain), plain);
  assert.equal(seconds(entry(2.5, 'two')), '2.500000 two');
  assert.equal(
    seconds(entry(1, 'x', { a: 1, b: 'c d', e: [1, { f: null }], g: true })),
    '1.000000 x a=1 b="c d" e=[1,{"f":null}] g=true',
  );
  const human = entryFormatter(humanFormat(plain), plain);
  const lines = [60, 61.5, 119.25, 120].map((time) => human(entry(time, 'e')));
  assert.match(lines[0]!, /^\[Jan01 \d\d:\d\d\] e$/);
  assert.deepEqual(lines.slice(1, 3), ['[  +1.500000] e', '[ +59.250000] e']);
  assert.match(lines[3]!, /^\[Jan01 \d\d:\d\d\] e$/);
  const bright = painter('always');
  const coloured = entryFormatter(secondsFormat(bright), bright);
  assert.equal(
    coloured(entry(1, 'exception', { a: 1, b: '1' })),
    '\x1b[32m1.000000\x1b[0m \x1b[01;31mexception\x1b[0m \x1b[34ma\x1b[0m=\x1b[90m1\x1b[0m \x1b[34mb\x1b[0m=\x1b[36m"1"\x1b[0m',
  );
});

test('work ahead keeps the order, has a bound, and passes on the first error', async () => {
  let underWay = 0;
  let most = 0;
  const work = async (item: number) => {
    most = Math.max(most, ++underWay);
    for (let turns = item % 5; turns >= 0; turns--) await new Promise(setImmediate);
    underWay--;
    if (item === 150) throw new Error('no');
    return item;
  };
  const results: number[] = [];
  const items = Array.from({ length: 200 }, (_, item) => item);
  await assert.rejects(async () => {
    for await (const result of ahead(items, work)) results.push(result);
  }, /^Error: no$/);
  assert.deepEqual(results, items.slice(0, 150));
  assert.ok(most > 1 && most <= 32, `${most} at a time`);
});

/** Blobs in memory, and how many directories were read. */
class Store {
  readonly #blobs = new Map<string, Dir | Hdir>();
  loads = 0;

  put(directory: Dir | Hdir): Dirref {
    const blobref = makeBlobref('sha1', Buffer.from(encodeTreeobj(directory)));
    this.#blobs.set(blobref, directory);
    return makeDirref(blobref);
  }

  load = async (blobref: string): Promise<Dir | Hdir> => {
    this.loads++;
    const directory = this.#blobs.get(blobref);
    assert.ok(directory, `${blobref} is there`);
    return directory;
  };
}

/** A directory with names inside: values are numbers. */
interface Tree {
  readonly [name: string]: number | Tree;
}

/** How many names a directory has before it is stored in buckets, which is another number in each of both trees. */
function store(tree: Tree, blobs: Store, most: number): Dirref {
  const entries = Object.entries(tree).map(([name, value]): [string, Treeobj] => [
    name,
    typeof value === 'number' ? makeVal(Buffer.from(String(value))) : store(value, blobs, most),
  ]);
  if (entries.length <= most) return blobs.put(makeDir(Object.fromEntries(entries)));
  const buckets = [0, 1, 2].map((bucket) => entries.filter(([name]) => name.charCodeAt(0) % 3 === bucket));
  const bucket = buckets.map((each) => (each.length ? blobs.put(makeDir(Object.fromEntries(each))) : null));
  return blobs.put({ data: { bucket, func: 'test', size: 3 }, type: 'hdir', ver: 1 });
}

/** All values and empty directories by key. */
function flatten(tree: Tree, key = ''): Map<string, string> {
  const flat = new Map<string, string>();
  const entries = Object.entries(tree);
  if (!entries.length) flat.set(`${key}.`, 'empty');
  for (const [name, value] of entries) {
    const place = key ? `${key}.${name}` : name;
    if (typeof value === 'number') flat.set(place, String(value));
    else for (const [below, object] of flatten(value, place)) flat.set(below, object);
  }
  return flat;
}

async function changesOf(before: Tree, after: Tree, most: readonly [number, number] = [99, 99]) {
  const blobs = new Store();
  const roots = [store(before, blobs, most[0]), store(after, blobs, most[1])] as const;
  const changes: Change[] = [];
  for await (const change of differences(...roots, blobs.load)) changes.push(change);
  return { changes, loads: blobs.loads };
}

test('differences of trees', async () => {
  const rows: readonly (readonly [before: Tree, after: Tree, changes: string])[] = [
    [{}, {}, ''],
    [{ a: 1 }, { a: 1 }, ''],
    [{ a: 1 }, { a: 2 }, '~a'],
    [{ a: 1 }, {}, '-a'],
    [{}, { a: 1, b: 2 }, '+a +b'],
    [{ d: { a: 1 } }, { d: { a: 1, b: 1 } }, '+d.b'],
    [{ d: { e: { a: 1 }, b: 2 } }, {}, '-d.b -d.e.a'],
    [{}, { d: {} }, '+d'],
    [{ d: { a: 1 } }, { d: {} }, '-d.a'],
    [{ d: 1 }, { d: { a: 1 } }, '-d +d.a'],
    [{ d: {} }, { d: 1 }, '+d -d'],
    [{ 10: 1, 9: 1 }, {}, '-10 -9'],
  ];
  const sign = ({ before, after }: Change) => (!before ? '+' : after ? '~' : '-');
  for (const [before, after, expected] of rows) {
    const { changes } = await changesOf(before, after);
    const text = changes.map((change) => sign(change) + change.key).join(' ');
    assert.equal(text, expected, `${JSON.stringify(before)} to ${JSON.stringify(after)}`);
  }
});

const names = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'ƒ');
const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.dictionary(names, fc.oneof({ maxDepth: 3 }, fc.nat(2), tie('tree')), { noNullPrototype: true }),
}));

test('differences lead from one tree to the other, however their directories are stored', () =>
  fc.assert(
    fc.asyncProperty(tree, tree, fc.nat(4), fc.nat(4), async (before, after, mostBefore, mostAfter) => {
      const { changes } = await changesOf(before, after, [mostBefore, mostAfter]);
      const flat = flatten(before);
      // Empty directories show where they are alone: those that lost or gained what was in them do not.
      const label = (key: string, object: Treeobj) => (object.type === 'dirref' ? `${key}.` : key);
      for (const { key, before: was } of changes) if (was) assert.ok(flat.delete(label(key, was)), `${key} was there`);
      for (const { key, after: is } of changes) {
        if (!is) continue;
        assert.ok(!flat.has(label(key, is)), `${key} was not there`);
        flat.set(label(key, is), is.type === 'val' ? Buffer.from(is.data, 'base64').toString() : 'empty');
      }
      const valuesOf = (map: Map<string, string>) => [...map].filter(([, value]) => value !== 'empty').sort();
      assert.deepEqual(valuesOf(flat), valuesOf(flatten(after)));
    }),
  ));

test('only directories that differ are read', async () => {
  const wide = (value: number): Tree => ({
    same: { x: { y: 1 } },
    ...Object.fromEntries([...'abcdefghi'].map((name) => [name, { v: 1 }])),
    other: { v: value },
  });
  // Two roots, one bucket of three in both, and one directory in that.
  assert.deepEqual(await changesOf(wide(1), wide(2), [2, 2]).then(({ loads }) => loads), 6);
  assert.deepEqual(await changesOf(wide(1), wide(1)).then(({ loads }) => loads), 0);
});
