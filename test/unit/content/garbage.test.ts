// What the collector removes: commits of the real KVS, with all that goes on around them, by seeds; what anything leads to
// is there at every moment, and at the end nothing else is.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DatabaseSync } from '@photostructure/sqlite';
import { blobrefToDigest, makeBlobref } from '../../../core/formats/blobref.ts';
import { LookupFlag, OperationFlag } from '../../../core/formats/kvs-flags.ts';
import { directoryReferences, mayBeDirectory, type Reference } from '../../../core/formats/tree-references.ts';
import {
  type Dirref,
  encodeTreeobj,
  makeDir,
  makeDirref,
  makeVal,
  makeValref,
  type Treeobj,
} from '../../../core/formats/treeobj.ts';
import { ReferenceWriter } from '../../../workers/content/reference-changes.ts';
import type { BlobDatabase } from '../../../workers/content-sqlite/blob-database.ts';
import { Collector } from '../../../workers/content-sqlite/collector.ts';
import { blobsIn } from '../../../workers/content-sqlite/sqlite.ts';
import { Commit, type NewRoot } from '../../../workers/kvs/commit.ts';
import { Directory } from '../../../workers/kvs/directory.ts';
import { decodeDirectory } from '../../../workers/kvs/directory-object.ts';
import { Lookup } from '../../../workers/kvs/lookup.ts';
import type { Objects } from '../../../workers/kvs/objects.ts';
import type { Operation } from '../../../workers/kvs/transaction.ts';
import { SeededRandom } from '../../sim/random.ts';

const refOf = (bytes: Uint8Array) => makeBlobref('sha1', bytes);
const digestOf = (blobref: string) => blobrefToDigest(blobref).digest;
const CHECKPOINTS = 2;

/** What was garbage at some time, and is not told yet. */
interface Told {
  readonly changes: Buffer;
  /** Roots that can still be read. */
  readonly roots: readonly string[];
}

/** A KVS, and a store of blobs with a collector, which knows of garbage after a while. */
class World implements Objects {
  readonly hash = 'sha1';
  readonly random: SeededRandom;
  readonly maxdirent: number;
  readonly #sqlite = new DatabaseSync(':memory:');
  database!: BlobDatabase;
  collector!: Collector;
  readonly roots = new Map<string, string>();
  checkpoints: string[] = [];
  waiting: Told[] = [];
  #epoch = 0;
  #count = 0;

  constructor(seed: number, maxdirent: number) {
    this.random = new SeededRandom(seed);
    this.maxdirent = maxdirent;
    this.open();
    this.roots.set('primary', this.store(Directory.empty.bytes));
  }

  open(): void {
    this.#sqlite.exec('DROP TABLE IF EXISTS temp.refs');
    const options = { journalMode: 'MEMORY', synchronous: 'OFF', truncate: false, log: () => {} };
    this.database = blobsIn(this.#sqlite, ':memory:', options);
    this.collector = new Collector(this.database, 'sha1', (blobref) => this.blob(blobref));
  }

  // ---- blobs

  blob(blobref: string): Uint8Array | undefined {
    return this.database.load(digestOf(blobref))?.object;
  }

  directory(blobref: string) {
    const bytes = this.blob(blobref);
    return bytes && decodeDirectory(bytes);
  }

  store(bytes: Uint8Array, isCounted = true): string {
    const blobref = refOf(bytes);
    this.database.store([{ digest: digestOf(blobref), object: bytes, size: -1, isCounted }], this.#epoch);
    this.collector.stored(blobref);
    return blobref;
  }

  tell(write: (writer: ReferenceWriter) => void): void {
    this.collector.take(this.written(write));
  }

  written(write: (writer: ReferenceWriter) => void): Buffer {
    const writer = new ReferenceWriter('sha1');
    write(writer);
    return writer.take();
  }

  // ---- chance

  number(limit: number): number {
    return Math.floor(this.random.number() * limit);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.number(list.length)]!;
  }

  get stamp(): Treeobj {
    return makeVal(Buffer.from(`${this.#count++}`));
  }

  // ---- the KVS

  commit(namespace: string, operations: readonly Operation[], fails = false): void {
    const rootref = this.roots.get(namespace)!;
    const commit = new Commit(rootref, { namespace, hash: 'sha1', maxdirent: this.maxdirent });
    assert.equal(commit.apply(operations, this), undefined, 'a commit misses something');
    const root = commit.finish(this);
    assert.ok(!('missing' in root), 'a commit misses something');
    const joined = new Set<string>();
    for (const [blobref, bytes] of root.store) {
      if (joined.has(blobref)) this.tell((writer) => writer.addition(blobref));
      else this.store(bytes, root.directories.has(blobref) || !mayBeDirectory(bytes));
      if (this.number(2)) joined.add(blobref);
    }
    if (fails)
      this.tell((writer) => {
        for (const each of root.directories.keys()) writer.doubt(each);
      });
    else this.#committed(namespace, rootref, root);
  }

  #committed(namespace: string, before: string, { rootref, referred, replaced }: NewRoot): void {
    this.tell((writer) => {
      for (const { blobref, isDirectory } of referred)
        if (isDirectory) writer.link(blobref);
        else writer.addition(blobref);
    });
    this.roots.set(namespace, rootref);
    const changes = this.written((writer) => {
      for (const each of replaced) writer.replacement(each);
    });
    this.waiting.push({ changes, roots: [before] });
  }

  /** What keys lead to in a root; undefined when it is nothing. */
  lookup(rootref: string, key: string): Treeobj | undefined {
    try {
      const step = new Lookup(rootref, key, LookupFlag.treeobj).step(this);
      assert.ok('value' in step || 'namespace' in step, 'a lookup misses something');
      return 'value' in step ? step.value : undefined;
    } catch {
      return undefined;
    }
  }

  /** A root that is, or that was not long ago. */
  anyRoot(): string {
    return this.pick([...this.roots.values(), ...this.checkpoints, ...this.waiting.flatMap(({ roots }) => roots)]);
  }

  create(namespace: string, rootref: string): void {
    if (this.roots.has(namespace)) return;
    this.tell((writer) => writer.link(rootref));
    this.roots.set(namespace, rootref);
  }

  remove(namespace: string): void {
    const rootref = this.roots.get(namespace);
    if (rootref === undefined || namespace === 'primary') return;
    this.roots.delete(namespace);
    this.waiting.push({ changes: this.written((writer) => writer.release(rootref)), roots: [rootref] });
  }

  checkpoint(): void {
    const root = this.roots.get('primary')!;
    this.collector.keepRoot(root);
    this.checkpoints.push(root);
    for (const gone of this.checkpoints.splice(0, this.checkpoints.length - CHECKPOINTS))
      this.collector.releaseRoot(gone);
    this.#epoch++;
  }

  crash(): void {
    if (!this.checkpoints.length) return;
    this.waiting = [];
    this.open();
    this.roots.clear();
    this.create('primary', this.checkpoints.at(-1)!);
  }

  /** Some time goes by. */
  pass(count: number): void {
    for (const { changes } of this.waiting.splice(0, count)) {
      this.collector.take(changes);
      this.work(this.number(4));
    }
  }

  work(steps: number): void {
    for (let left = steps; left > 0 && this.collector.step(() => left-- <= 0); );
  }

  /** `flux gc` */
  sweep(): void {
    const end = this.database.highWater();
    const epoch = this.#epoch;
    this.database.mark([...this.reachable()].map(digestOf), epoch);
    this.pass(Infinity);
    this.work(Infinity);
    this.database.sweep({ cursor: 0, end }, epoch, 1e9);
  }

  /** All that somebody may ask for; fails when some of that is not there. */
  reachable(): Set<string> {
    const roots = [...this.roots.values(), ...this.checkpoints, ...this.waiting.flatMap((told) => told.roots)];
    const seen = new Set<string>();
    const unread = roots.map((blobref): Reference => ({ blobref, isDirectory: true }));
    for (let next = unread.pop(); next; next = unread.pop()) {
      const { blobref, isDirectory } = next;
      if (seen.has(`${blobref} ${isDirectory}`)) continue;
      seen.add(`${blobref} ${isDirectory}`);
      const bytes = this.blob(blobref);
      assert.ok(bytes, `${blobref} is gone`);
      if (isDirectory) unread.push(...directoryReferences(bytes)!);
    }
    return new Set([...seen].map((each) => each.split(' ')[0]!));
  }

  get blobs(): number {
    return this.database.count();
  }
}

const dirs = ['a', 'b', 'a.c', 'b.c', 'a.c.d', 'e'];
const longValues = Array.from({ length: 4 }, (_, index) => Buffer.alloc(100 + index, 65 + index));

function put(key: string, dirent: Treeobj | null, flags = 0): Operation {
  return { key, dirent, flags };
}

/** An operation or two below a directory. */
function operations(world: World): Operation[] {
  const dir = world.pick(dirs);
  const key = `${dir}.${world.pick(['x', 'y', 'z'])}`;
  switch (world.number(9)) {
    case 0:
    case 1:
      return [put(key, makeVal(world.pick(longValues)))];
    case 2:
      return [put(key, makeVal(Buffer.from(world.pick(['0', '1']))))];
    case 3:
      return [put(key, null)];
    case 4:
      return [put(dir, null)];
    case 5:
      return [put(key, makeVal(world.pick(longValues)), OperationFlag.append)];
    case 6:
      return [put(world.pick([dir, key]), world.lookup(world.anyRoot(), world.pick(dirs)) ?? null)];
    case 7:
      return [put(key, world.lookup(world.anyRoot(), `${world.pick(dirs)}.x`) ?? null)];
    default:
      return [put(dir, makeDir({ x: makeVal(Buffer.from('1')), y: makeVal(world.pick(longValues)) }))];
  }
}

/** What others do that is hard to count: a directory of their own, values that look like directories. */
function oddOperations(world: World): Operation[] {
  const key = `${world.pick(dirs)}.${world.pick(['x', 'y', 'z'])}`;
  const dirref = world.lookup(world.anyRoot(), world.pick(dirs));
  const blobref = dirref?.type === 'dirref' ? dirref.data[0]! : world.roots.get('primary')!;
  const bytes = world.blob(blobref)!;
  switch (world.number(4)) {
    case 0:
      // The text of a directory as a value, and that value as a directory.
      return [put(key, makeVal(bytes))];
    case 1:
      return [put(key, makeVal(bytes)), put(`${key}d`, makeDirref(blobref)), put(key, null)];
    case 2: {
      const known = makeDir({
        known: makeDirref(blobref),
        value: makeValref([world.store(world.pick(longValues), false)]),
      });
      const outer = Buffer.from(encodeTreeobj(makeDir({ inner: makeDirref(world.store(encoded(known), false)) })));
      return [put(key, makeDirref(world.store(outer, false)))];
    }
    default:
      world.store(bytes, false);
      return [put(key, null)];
  }
}

function encoded(object: Treeobj): Buffer {
  return Buffer.from(encodeTreeobj(object));
}

const anyNamespace = (world: World) => world.pick([...world.roots.keys()]);

/** What may happen, and how often. */
const events: readonly [weight: number, (world: World) => void][] = [
  [4, (world) => world.create(`ns${world.number(3)}`, world.anyRoot())],
  [4, (world) => world.remove(`ns${world.number(3)}`)],
  [8, (world) => world.checkpoint()],
  [1, (world) => world.crash()],
  [1, (world) => world.sweep()],
  [4, (world) => world.commit(anyNamespace(world), operations(world), true)],
  [8, (world) => world.commit(anyNamespace(world), oddOperations(world))],
  [40, (world) => world.commit(anyNamespace(world), operations(world))],
  [40, (world) => world.commit(anyNamespace(world), [...operations(world), ...operations(world)])],
];
const chances = events.flatMap(([weight, happen]) => Array.from({ length: weight }, () => happen));

for (const maxdirent of [0, 2])
  test(`what anything leads to stays, directories of at most ${maxdirent || 'any number of'} entries`, () => {
    for (let seed = 1; seed <= 60; seed++) {
      const world = new World(seed, maxdirent);
      for (let i = 0; i < 120; i++) {
        try {
          world.pick(chances)(world);
          world.pass(world.number(3));
          world.reachable();
        } catch (error) {
          if ((error as { code?: string }).code === 'EISDIR') continue;
          throw new Error(`seed ${seed}, step ${i}: ${(error as Error).message}`, { cause: error });
        }
      }
    }
  });

test('where each directory is another one, nothing else is left', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const world = new World(seed, 0);
    for (let i = 0; i < 120; i++) {
      const namespace = world.pick([...world.roots.keys()]);
      const dir = world.pick(dirs);
      const other = world.lookup(world.anyRoot(), world.pick(dirs));
      const value = makeVal(world.pick(longValues));
      const operation = world.pick([
        [put(`${dir}.x`, value), put(`${dir}.y`, value)],
        [put(`${dir}.${world.number(4)}`, value), put(`${dir}.x`, null)],
        [put(dir, null)],
        [put(dir, other ?? null)],
        [
          put(`${dir}.q`, makeValref([refOf(longValues[0]!), refOf(longValues[0]!)])),
          put(`${dir}.x`, makeVal(longValues[0]!)),
        ],
      ]);
      world.commit(namespace, [...operation, put(`${dir}.stamp`, world.stamp), put('stamp', world.stamp)]);
      if (!world.number(10)) world.checkpoint();
      if (!world.number(10)) world.create(`ns${world.number(3)}`, world.anyRoot());
      if (!world.number(10)) world.remove(`ns${world.number(3)}`);
      world.pass(world.number(3));
      world.reachable();
    }
    world.pass(Infinity);
    world.tell(() => {});
    world.work(Infinity);
    const reachable = world.reachable();
    reachable.add(refOf(Directory.empty.bytes));
    assert.ok(world.blobs <= reachable.size, `seed ${seed}: ${world.blobs} blobs, of ${reachable.size} that are used`);
  }
});

/** A world with a value that a directory refers to, and nothing but that keeps it. */
function worldWithDirectory() {
  const world = new World(1, 0);
  world.commit('primary', [put('a.x', makeVal(longValues[0]!)), put('stamp', world.stamp)]);
  const directory = (world.lookup(world.roots.get('primary')!, 'a') as Dirref).data[0]!;
  return { world, bytes: Buffer.from(world.blob(directory)!) };
}

/** All that was garbage is told, and what is to go is gone. */
function settle(world: World): void {
  world.pass(Infinity);
  world.work(Infinity);
  world.reachable();
}

test('a value that is the text of a directory keeps what that refers to when it is referred to as one', () => {
  const { world, bytes } = worldWithDirectory();
  const other = Buffer.from(bytes.toString().replace('"x"', '"y"'));
  world.commit('primary', [put('text', makeVal(other))]);
  world.commit('primary', [put('b', makeDirref(refOf(other))), put('text', null)]);
  world.commit('primary', [put('a', null)]);
  settle(world);
});

test('what is referred to before it is stored counts when it is', () => {
  const { world, bytes } = worldWithDirectory();
  const other = Buffer.from(bytes.toString().replace('"x"', '"y"'));
  world.commit('primary', [put('late', makeDirref(refOf(other))), put('value', makeValref([refOf(longValues[1]!)]))]);
  world.store(other, false);
  world.commit('primary', [put('b.x', makeVal(longValues[1]!)), put('stamp', world.stamp)]);
  world.commit('primary', [put('a', null), put('b', null)]);
  settle(world);
});

test('what a directory of a commit that failed refers to stays when it is referred to', () => {
  const { world } = worldWithDirectory();
  world.commit('primary', [put('a.y', makeVal(longValues[1]!))], true);
  const failed = makeDir({ x: makeValref([refOf(longValues[0]!)]), y: makeValref([refOf(longValues[1]!)]) });
  world.commit('primary', [put('copy', makeDirref(refOf(encoded(failed))))]);
  world.commit('primary', [put('a', null)]);
  settle(world);
});

test('where blobs were missed nothing is removed any more', () => {
  const { world } = worldWithDirectory();
  world.commit('primary', [put('a', null)]);
  assert.throws(() => world.collector.take(Buffer.from('rubbish')));
  const { blobs } = world;
  assert.throws(() => settle(world), /missed/);
  world.work(Infinity);
  assert.equal(world.blobs, blobs);
});
