// Any sequence of commits leads to what a simple model says, however directories are kept and however little is at hand.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FluxError } from '../../../core/errno.ts';
import { LookupFlag, OperationFlag } from '../../../core/formats/kvs-flags.ts';
import { makeDir, makeSymlink, makeVal, type Treeobj } from '../../../core/formats/treeobj.ts';
import type { Operation } from '../../../workers/kvs/transaction.ts';
import { checkTree, reachable } from './check-tree.ts';
import { MemoryStore } from './memory-store.ts';
import { type Change, clone, emptyDir, Model, type Node } from './model.ts';

/** Few enough names that keys meet, and enough that directories grow beyond any bound of these tests. */
const name = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('a', 'b', 'é', '__proto__', '7') },
  { weight: 2, arbitrary: fc.nat(80).map((n) => `n${n}`) },
);
const key = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join('.'));
const anyKey = fc.oneof({ weight: 20, arbitrary: key }, { weight: 1, arbitrary: fc.constantFrom('.', '..a.', 'b...') });

/** Base64 of 54 bytes just fits a directory. */
const bytes = fc.oneof(
  fc.constantFrom(0, 1, 53, 54, 55, 200).map((length) => Buffer.alloc(length, 'x')),
  fc.uint8Array({ maxLength: 80 }).map((array) => Buffer.from(array)),
);
const value = bytes.map((data): Node => ({ kind: 'value', parts: [data] }));
const link = fc.record({
  kind: fc.constant('link' as const),
  target: fc.oneof(key, fc.constant('.')),
  namespace: fc.constantFrom(undefined, undefined, undefined, 'test', 'other'),
});
const dir = fc
  .array(fc.tuple(name, fc.oneof(value, link, fc.constant(emptyDir()))), { maxLength: 12 })
  .map((entries): Node => ({ kind: 'dir', entries: new Map(entries) }));
const nested = fc.tuple(dir, name).map(([inner, below]): Node => ({ kind: 'dir', entries: new Map([[below, inner]]) }));

/** A change, or the copy of what another key stood for before the commit. */
type Step = Change | { readonly key: string; readonly copied: string };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ key, node: value }) },
  { weight: 5, arbitrary: fc.record({ key, node: fc.constant(null) }) },
  { weight: 3, arbitrary: fc.record({ key, added: bytes }) },
  { weight: 1, arbitrary: fc.record({ key: anyKey, node: fc.oneof(dir, nested, fc.constant(emptyDir())) }) },
  { weight: 1, arbitrary: fc.record({ key: anyKey, node: link }) },
  { weight: 1, arbitrary: fc.record({ key, copied: key }) },
);
const transaction = fc.array(step, { maxLength: 12 });
const commits = fc.array(fc.array(transaction, { minLength: 1, maxLength: 3 }), { maxLength: 12 });

function objectOf(node: Node): Treeobj {
  if (node.kind === 'value') return makeVal(node.parts[0]!);
  if (node.kind === 'link') return makeSymlink(node.target, node.namespace);
  return makeDir(Object.fromEntries([...node.entries].map(([each, entry]) => [each, objectOf(entry)])));
}

function operationOf(step: Step, store: MemoryStore): Operation {
  const { key } = step;
  if ('added' in step) return { key, flags: OperationFlag.append, dirent: makeVal(step.added) };
  if ('node' in step) return { key, flags: 0, dirent: step.node && objectOf(step.node) };
  return { key, flags: 0, dirent: attempt(() => store.lookup(step.copied, LookupFlag.treeobj)) ?? null };
}

function changeOf(step: Step, model: Model): Change {
  if (!('copied' in step)) return step;
  const node = attempt(() => model.find(step.copied, false));
  return { key: step.key, node: node ? clone(node) : null };
}

function attempt<T>(find: () => T): T | undefined {
  try {
    return find();
  } catch (error) {
    if (error instanceof FluxError) return undefined;
    throw error;
  }
}

/** What an action returns or the errno that it throws. */
function outcome<T>(action: () => T): T | string | undefined {
  try {
    return action();
  } catch (error) {
    if (error instanceof FluxError) return error.code;
    throw error;
  }
}

/** Commits transactions as one in a store and one by one in a model; the same of them must fail. */
function commitBoth(store: MemoryStore, model: Model, transactions: readonly (readonly Step[])[]) {
  const operations = transactions.map((steps) => steps.map((each) => operationOf(each, store)));
  const changes = transactions.map((steps) => steps.map((each) => changeOf(each, model)));
  const expected = changes.map((each) => outcome(() => model.commit(each))).filter((code) => code !== undefined);
  const { root, errors } = store.commit(...operations);
  assert.deepEqual(
    errors.map((error) => error.code),
    expected,
  );
  return root;
}

const lookups = fc.array(fc.tuple(anyKey, fc.constantFrom(0, LookupFlag.readdir, LookupFlag.readlink)), {
  minLength: 20,
});

/** Directories in what a lookup answers, without what they refer to: that depends on how they are kept. */
function withoutReferences(found: Treeobj | string | undefined) {
  if (typeof found !== 'object' || found.type !== 'dir') return found;
  return Object.fromEntries(
    Object.entries(found.data).map(([each, object]) => [each, object.type === 'dirref' ? 'directory' : object]),
  );
}

test('lookups see what commits made, directories being hashed or not', () => {
  fc.assert(
    fc.property(commits, lookups, fc.constantFrom(0, 1, 4, 16), (groups, keys, maxdirent) => {
      const store = new MemoryStore('sha1', maxdirent);
      const model = new Model(store.namespace);
      for (const group of groups) {
        commitBoth(store, model, group);
        checkTree(store);
        for (const [each, flags] of keys) {
          const found = outcome(() => store.lookup(each, flags));
          const expected = outcome(() => model.lookup(each, flags));
          assert.deepEqual(withoutReferences(found), withoutReferences(expected), `${each} ${flags}`);
        }
      }
    }),
  );
});

test('roots are those of flux-core where directories are not hashed', () => {
  fc.assert(
    fc.property(commits, fc.constantFrom('sha1' as const, 'sha256' as const), (groups, hash) => {
      const store = new MemoryStore(hash);
      const model = new Model(store.namespace);
      for (const group of groups) {
        commitBoth(store, model, group);
        assert.equal(store.rootref, model.blobref(model.root, hash));
      }
    }),
  );
});

test('a commit stores what is new, children first, and names what the old root alone refers to', () => {
  fc.assert(
    fc.property(commits, fc.constantFrom(0, 4), (groups, maxdirent) => {
      const store = new MemoryStore('sha1', maxdirent);
      const model = new Model(store.namespace);
      for (const group of groups) {
        const before = reachable(store, [store.rootref]);
        const root = commitBoth(store, model, group);
        const after = reachable(store, [store.rootref]);
        const stored = root.store.map(([blobref]) => blobref);
        for (const [index, blobref] of stored.entries()) {
          assert.ok(after.has(blobref), 'a blob is stored that nothing refers to');
          const children = [...reachable(store, [blobref])].filter((child) => !before.has(child));
          assert.ok(
            children.every((child) => stored.indexOf(child) <= index),
            'a parent is stored before its child',
          );
        }
        for (const blobref of after) assert.ok(before.has(blobref) || stored.includes(blobref) || root.referred.length);
        const gone = root.replaced.flatMap(({ old, removed }) => [old, ...removed.map((each) => each.blobref)]);
        for (const blobref of gone) assert.ok(before.has(blobref));
        const lost = reachable(store, gone);
        for (const blobref of before) assert.ok(after.has(blobref) || lost.has(blobref));
        for (const [blobref, directory] of root.directories)
          assert.equal(directory.bytes.toString(), store.text(blobref));
      }
    }),
  );
});

test('what is missing is asked for, and one blob at a time suffices', () => {
  fc.assert(
    fc.property(commits, lookups, fc.constantFrom(0, 4), (groups, keys, maxdirent) => {
      const store = new MemoryStore('sha1', maxdirent);
      const forgetful = new MemoryStore('sha1', maxdirent);
      for (const group of groups) {
        const operations = group.map((steps) => steps.map((each) => operationOf(each, store)));
        forgetful.here = new Set();
        const expected = store.commit(...operations);
        const { root, errors } = forgetful.commit(...operations);
        assert.deepEqual(errors, expected.errors);
        assert.deepEqual(
          new Set(root.store.map(([blobref]) => blobref)),
          new Set(expected.root.store.map(([blobref]) => blobref)),
        );
        assert.deepEqual({ ...root, store: [] }, { ...expected.root, store: [] });
        for (const [each, flags] of keys) {
          forgetful.here = new Set();
          const found = outcome(() => forgetful.lookup(each, flags));
          assert.deepEqual(
            found,
            outcome(() => store.lookup(each, flags)),
            `${each} ${flags}`,
          );
        }
      }
    }),
  );
});
