// Walks and changes of KVS trees in a content store that is a map: directories in one blob or in buckets, whole and damaged.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BlobWriter } from '../../../cli/blob-writer.ts';
import { TreeEditor } from '../../../cli/tree-editor.ts';
import { type TreePath, type Visit, type WalkOptions, walkTree } from '../../../cli/tree-walk.ts';
import { FluxError } from '../../../core/errno.ts';
import { makeBlobref } from '../../../core/formats/blobref.ts';
import {
  encodeTreeobj,
  makeDir,
  makeDirref,
  makeVal,
  makeValref,
  type Treeobj,
} from '../../../core/formats/treeobj.ts';
import type { Content } from '../../../core/handle/content.ts';
import { refused } from '../../errors.ts';

/** A tree as a test has it in mind: names with what is below them, or a value. */
type Model = Map<string, Model | string>;

class Store {
  readonly blobs = new Map<string, Uint8Array>();
  inFlight = 0;
  mostInFlight = 0;

  put(bytes: Uint8Array | string): string {
    const blob = Buffer.from(bytes);
    const blobref = makeBlobref('sha1', blob);
    this.blobs.set(blobref, blob);
    return blobref;
  }

  async load(blobref: string): Promise<Uint8Array> {
    this.mostInFlight = Math.max(this.mostInFlight, ++this.inFlight);
    await new Promise(setImmediate);
    this.inFlight--;
    const blob = this.blobs.get(blobref);
    if (!blob) throw new FluxError('ENOENT');
    return blob;
  }

  async store(bytes: Uint8Array): Promise<string> {
    await new Promise(setImmediate);
    return this.put(bytes);
  }
}

/** Puts a model into the store; directories of more than `bucketMin` entries are in buckets. */
function save(store: Store, model: Model, bucketMin = Infinity): string {
  const entries = [...model].map(([name, node]): [string, Treeobj] => {
    return [name, typeof node === 'string' ? makeVal(Buffer.from(node)) : makeDirref(save(store, node, bucketMin))];
  });
  if (entries.length <= bucketMin) return store.put(encodeTreeobj(dirOf(entries)));
  const half = Math.ceil(entries.length / 2);
  const buckets = [entries.slice(0, half), entries.slice(half)].map((part) =>
    makeDirref(save(store, new Map(part.map(([name]) => [name, model.get(name)!])), bucketMin)),
  );
  const data = { bucket: [null, buckets[0]!, null, buckets[1]!], func: 'xxh32', size: 4 };
  return store.put(encodeTreeobj({ data, type: 'hdir', ver: 1 }));
}

function dirOf(entries: readonly (readonly [string, Treeobj])[]): Treeobj {
  return { data: Object.fromEntries(entries), type: 'dir', ver: 1 };
}

async function visits<V>(rootref: string, options: WalkOptions<V>): Promise<Visit<V>[]> {
  const all: Visit<V>[] = [];
  for await (const visit of walkTree(rootref, options)) all.push(visit);
  return all;
}

const walk = (store: Store, rootref: string, options: Partial<WalkOptions<never>> = {}) =>
  visits(rootref, { load: (blobref) => store.load(blobref), window: 3, ...options });

/** What a walk finds, as paths with the values in them. */
function found(all: readonly Visit<unknown>[]): string[] {
  return all.map(({ path, object, fault }) => {
    const value = object?.type === 'val' ? `=${Buffer.from(object.data, 'base64')}` : '';
    return `${path.join('.')}${value}${fault ? `: ${fault}` : ''}`;
  });
}

function listed(model: Model, path: TreePath = []): string[] {
  return [...model].flatMap(([name, node]) => {
    const key = [...path, name].join('.');
    return typeof node === 'string' ? [`${key}=${node}`] : [key, ...listed(node, [...path, name])];
  });
}

const name = fc.oneof(fc.stringMatching(/^[a-z]{1,3}$/), fc.constantFrom('0', '17', '__proto__', 'é', 'a/b'));
const { tree } = fc.letrec<{ tree: Model; node: Model | string }>((tie) => ({
  tree: fc.array(fc.tuple(name, tie('node')), { maxLength: 6 }).map((entries) => new Map(entries)),
  node: fc.oneof({ depthSize: 'small' }, fc.stringMatching(/^[a-z]{0,3}$/), tie('tree')),
}));

test('a walk finds all there is, in buckets or not, deep or broad, with no more at a time than it may', () =>
  fc.assert(
    fc.asyncProperty(
      tree,
      fc.integer({ min: 1, max: 5 }),
      fc.constantFrom(0, 1, 1000),
      fc.constantFrom(1, 2, Infinity),
      async (model, window, breadth, bucketMin) => {
        const store = new Store();
        const all = await walk(store, save(store, model, bucketMin), { window, breadth });
        assert.deepEqual(found(all).sort(), listed(model).sort());
        assert.ok(store.mostInFlight <= window);
      },
    ),
  ));

test('by default a walk goes in the order of the tree, with breadth level by level', async () => {
  const store = new Store();
  const model: Model = new Map<string, Model | string>([
    ['a', new Map([['b', new Map([['c', '1']])]])],
    ['d', new Map([['e', '2']])],
    ['f', '3'],
  ]);
  const rootref = save(store, model);
  assert.deepEqual(found(await walk(store, rootref)), ['a', 'a.b', 'a.b.c=1', 'd', 'd.e=2', 'f=3']);
  const level = await walk(store, rootref, { breadth: 100 });
  assert.deepEqual(found(level), ['a', 'd', 'f=3', 'a.b', 'd.e=2', 'a.b.c=1']);
});

test('values are asked for ahead, and an error is the answer of its value alone', async () => {
  const store = new Store();
  const good = makeValref([store.put('1'), store.put('2')]);
  const bad = makeValref(['sha1-0000000000000000000000000000000000000000']);
  const rootref = store.put(
    encodeTreeobj(
      dirOf([
        ['a', good],
        ['b', bad],
        ['c', good],
      ]),
    ),
  );
  const prefetch = async ({ data }: { readonly data: readonly string[] }) =>
    Buffer.concat(await Promise.all(data.map((blobref) => store.load(blobref)))).toString();
  const all = await visits(rootref, { load: (blobref) => store.load(blobref), window: 2, prefetch });
  const answers = all.map((visit) => (visit.fault === undefined ? visit.prefetched : undefined));
  assert.deepEqual(
    answers.map((answer) => answer?.value ?? answer?.error?.code),
    ['12', 'ENOENT', '12'],
  );
});

test('what is damaged is told, and the rest is found', async () => {
  const store = new Store();
  const lost = 'sha1-0000000000000000000000000000000000000000';
  const v = makeVal(Buffer.from('1'));
  const text = JSON.stringify({
    data: {
      good: v,
      lost: makeDirref(lost),
      noDirectory: makeDirref(store.put(encodeTreeobj(v))),
      noJson: makeDirref(store.put('{')),
      noTree: makeDirref(store.put('[]')),
      two: { ...makeDirref(lost), data: [lost, lost] },
      bad: { type: 'val', ver: 1 },
      inline: dirOf([['x', v]]),
      bucket: makeDirref(
        store.put(
          encodeTreeobj({ data: { bucket: [makeDirref(lost)], func: 'xxh32', size: 1 }, type: 'hdir', ver: 1 }),
        ),
      ),
    },
    type: 'dir',
    ver: 1,
  });
  assert.deepEqual(found(await walk(store, store.put(text))).sort(), [
    'bad: invalid tree object',
    'bucket',
    'bucket: could not load content',
    'good=1',
    'inline',
    'inline.x=1',
    'lost',
    'lost: could not load content',
    'noDirectory',
    'noDirectory: dirref references non-directory',
    'noJson',
    'noJson: could not decode tree object',
    'noTree',
    'noTree: could not decode tree object',
    'two',
    'two: dirref blobref count is not 1',
  ]);
  assert.deepEqual(found(await walk(store, lost)), [': could not load content']);
});

test('directories that are declined are not loaded', async () => {
  const store = new Store();
  const rootref = save(store, new Map([['a', new Map([['b', '1']])]]));
  const asked: string[] = [];
  const descend = (blobref: string) => asked.push(blobref) === 1;
  assert.deepEqual(found(await walk(store, rootref, { descend })), ['a']);
  assert.equal(asked.length, 2);
});

// ---- changes

type Step =
  | { readonly op: 'set'; readonly path: TreePath; readonly value: string }
  | { readonly op: 'remove'; readonly path: TreePath }
  | { readonly op: 'move'; readonly from: TreePath; readonly to: TreePath }
  | { readonly op: 'spill' };

const shortName = fc.constantFrom('a', 'b', 'c');
const path = fc.array(shortName, { minLength: 1, maxLength: 4 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ op: fc.constant('set' as const), path, value: fc.stringMatching(/^[a-z]{0,3}$/) }),
  fc.record({ op: fc.constant('remove' as const), path }),
  fc.record({ op: fc.constant('move' as const), from: path, to: path.map((names) => ['to', ...names]) }),
  fc.constant({ op: 'spill' as const }),
);

function enter(model: Model, names: TreePath, make: boolean): Model | undefined {
  let at = model;
  for (const each of names) {
    let next = at.get(each);
    if (!(next instanceof Map)) {
      if (!make) return undefined;
      next = new Map();
      at.set(each, next);
    }
    at = next;
  }
  return at;
}

function merge(source: Model, target: Model): void {
  for (const [each, node] of source) {
    const there = target.get(each);
    if (node instanceof Map && there instanceof Map) merge(node, there);
    else target.set(each, node);
  }
}

function applyToModel(model: Model, each: Step): void {
  if (each.op === 'set') enter(model, each.path.slice(0, -1), true)!.set(each.path.at(-1)!, each.value);
  else if (each.op === 'remove') enter(model, each.path.slice(0, -1), false)?.delete(each.path.at(-1)!);
  else if (each.op === 'move') {
    const source = enter(model, each.from, false);
    if (!source) return;
    merge(source, enter(model, each.to, true)!);
    enter(model, each.from.slice(0, -1), false)!.delete(each.from.at(-1)!);
  }
}

async function applyToTree(editor: TreeEditor, each: Step): Promise<void> {
  if (each.op === 'set') await editor.set(each.path, makeVal(Buffer.from(each.value)), true);
  else if (each.op === 'remove') await editor.remove(each.path);
  else if (each.op === 'move') await editor.move(each.from, each.to);
  else await editor.spill();
}

function writerTo(store: Store, window = 4): BlobWriter {
  return new BlobWriter({ store: (bytes: Uint8Array) => store.store(bytes) } as Content, 'sha1', window);
}

test('changes to a tree are those to its model, whatever of it is in memory', () =>
  fc.assert(
    fc.asyncProperty(
      tree,
      fc.array(step, { maxLength: 12 }),
      fc.constantFrom(1, Infinity),
      async (model, steps, min) => {
        const store = new Store();
        const rootref = save(store, model, min);
        const editor = await TreeEditor.open(rootref, (blobref) => store.load(blobref), writerTo(store));
        for (const each of steps) {
          applyToModel(model, each);
          await applyToTree(editor, each);
        }
        const changed = await editor.store();
        assert.deepEqual(found(await walk(store, changed)).sort(), listed(model).sort());
      },
    ),
  ));

test('a tree that is made anew is the one that the KVS makes of the same keys', async () => {
  const store = new Store();
  const editor = TreeEditor.empty((blobref) => store.load(blobref), writerTo(store));
  assert.equal(await editor.store(), makeBlobref('sha1', Buffer.from(encodeTreeobj(makeDir()))));
  await editor.set(['d', 'x'], makeVal(Buffer.from('1')));
  assert.equal(await editor.store(), save(store, new Map([['d', new Map([['x', '1']])]])));
  await refused(editor.set(['d', 'x', 'y'], makeVal(Buffer.from('2'))), 'ENOTDIR', /^d\/x is not a directory$/);
  assert.equal(await editor.get(['d']), 'directory');
  assert.deepEqual(await editor.get(['d', 'x']), makeVal(Buffer.from('1')));
  assert.equal(await editor.get(['d', 'x', 'y']), undefined);
});

test('a blob that cannot be stored, or is stored as another, ends all', async () => {
  for (const store of [async () => Promise.reject(new FluxError('ENOSPC')), async () => `sha1-${'0'.repeat(40)}`]) {
    const writer = new BlobWriter({ store: store as Content['store'] } as Content, 'sha1', 2);
    await writer.store(Buffer.from('x'));
    await assert.rejects(writer.drain(), FluxError);
    await assert.rejects(writer.store(Buffer.from('y')), FluxError);
  }
});
