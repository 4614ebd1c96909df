// Random commits and watches: each watcher is told what somebody is told who looks at every root there was.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { FluxError } from '../../../core/errno.ts';
import { LookupFlag } from '../../../core/formats/kvs-flags.ts';
import { type Treeobj, valBytes } from '../../../core/formats/treeobj.ts';
import { KvsTransaction } from '../../../core/handle/kvs-transaction.ts';
import type { Call } from '../../sim/client.ts';
import type { Change, ModelKvs } from './model-kvs.ts';
import { sources, told, Watching, watch } from './watching.ts';

const { readdir, treeobj, waitcreate, watchAppend, watchFull, watchUniq, initialSentinel } = LookupFlag;

/** A watch, and the first of the roots that it was there for. */
interface Begun {
  readonly call: Call;
  readonly key: string;
  readonly flags: number;
  readonly first: number;
}

type Edit =
  | readonly ['put' | 'append' | 'symlink', key: string, text: string]
  | readonly ['unlink' | 'mkdir', key: string];

type Step =
  | { readonly commit: readonly Edit[]; readonly join: readonly string[] }
  | { readonly watch: string; readonly flags: number }
  | 'hold'
  | 'release'
  | 'settle';

// ---- what happens

const key = fc.constantFrom('a', 'a.b', 'a.b.c', 'a.d', 'e.b', 'e', 'l.b', 'l');
const value = fc.constantFrom('1', '2', '3');

const edit: fc.Arbitrary<Edit> = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constant('put' as const), key, value) },
  { weight: 3, arbitrary: fc.tuple(fc.constantFrom('unlink' as const, 'mkdir' as const), key) },
  // Only this key is ever a link, and never to itself.
  { weight: 1, arbitrary: fc.tuple(fc.constant('symlink' as const), fc.constant('l'), fc.constantFrom('a', 'e')) },
);
const logEdit: fc.Arbitrary<Edit> = fc.oneof(
  {
    weight: 9,
    arbitrary: fc.tuple(fc.constant('append' as const), fc.constant('log'), fc.constantFrom('x', 'yz', '')),
  },
  { weight: 1, arbitrary: fc.constantFrom<Edit>(['put', 'log', 'new'], ['unlink', 'log']) },
);

const commit = fc.record({
  commit: fc
    .tuple(fc.array(edit, { maxLength: 3 }), fc.array(logEdit, { maxLength: 1 }))
    .map(([edits, log]) => [...edits, ...log]),
  join: fc.constantFrom([], ['log']),
});

const flag = (...flags: number[]) => fc.constantFrom(0, ...flags);
const begin = fc
  .oneof(
    fc.tuple(key, flag(watchUniq, watchFull), flag(treeobj, readdir), flag(waitcreate)),
    fc.tuple(fc.constant('log'), fc.constant(watchAppend), flag(initialSentinel), flag(waitcreate)),
  )
  .map(([name, ...flags]) => ({ watch: name, flags: flags.reduce((sum, each) => sum | each, 0) }));

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: commit },
    { weight: 4, arbitrary: begin },
    { weight: 5, arbitrary: fc.constantFrom('hold' as const, 'release' as const, 'settle' as const) },
  ),
  { maxLength: 40 },
);

function transaction(edits: readonly Edit[]): KvsTransaction {
  const changes = new KvsTransaction();
  for (const [what, name, text = ''] of edits) changes[what](name, text);
  return changes;
}

async function take(step: Step, watching: Watching, begun: Begun[]): Promise<void> {
  const { kvs } = watching;
  if (step === 'hold') kvs.hold();
  else if (step === 'release') kvs.release();
  else if (step === 'settle') await watching.settle();
  else if ('commit' in step) kvs.commit('ns', transaction(step.commit), step.join);
  else {
    const { watch: name, flags } = step;
    const first = kvs.history.get('ns')!.length - 1;
    begun.push({ call: watch(watching.connect(), name, flags), key: name, flags, first });
    await watching.settle();
  }
}

// ---- what is to be told

function lookAt(kvs: ModelKvs, { root }: Change, name: string, flags: number): Treeobj | undefined | string {
  try {
    return kvs.at(root, name, flags);
  } catch (error) {
    if (error instanceof FluxError) return error.code;
    throw error;
  }
}

function expected(kvs: ModelKvs, watched: Begun): unknown[] {
  const roots = kvs.history.get('ns')!.slice(watched.first);
  const concerned = roots.filter(
    ({ keys: named }, index) => index === 0 || watched.flags & watchFull || named.includes(watched.key),
  );
  return watched.flags & watchAppend ? appended(kvs, watched, concerned) : values(kvs, watched, concerned);
}

function values(kvs: ModelKvs, { key: name, flags }: Begun, changes: readonly Change[]): unknown[] {
  const answers: unknown[] = [];
  for (const change of changes) {
    const found = lookAt(kvs, change, name, flags);
    if (typeof found === 'string') return [...answers, found];
    if (found === undefined) {
      if (answers.length || !(flags & waitcreate)) return [...answers, 'ENOENT'];
      continue;
    }
    const answer = found.type === 'val' ? valBytes(found).toString() : found;
    const isSame = answers.length > 0 && JSON.stringify(answer) === JSON.stringify(answers.at(-1));
    if (!isSame || !(flags & (watchFull | watchUniq))) answers.push(answer);
  }
  return answers;
}

/** The text, with a `-` for the sentinel, and how it ended. */
function appended(kvs: ModelKvs, { key: name, flags }: Begun, changes: readonly Change[]): [string, string] {
  let text = '';
  let last: string | undefined;
  const sentinel = flags & initialSentinel ? '-' : '';
  for (const [index, change] of changes.entries()) {
    const found = lookAt(kvs, change, name, treeobj) as Treeobj | undefined;
    if (!found) {
      if (last !== undefined || !(flags & waitcreate)) return [text, 'ENOENT'];
    } else if (last !== undefined && found.type === 'val') return [text, 'EINVAL'];
    else {
      const now = Buffer.from(kvs.bytes(found)).toString();
      if (!now.startsWith(last ?? '')) return [text, 'EINVAL'];
      text += now.slice(last?.length ?? 0);
      last = now;
    }
    if (index === 0) text += sentinel;
  }
  return [text, ''];
}

function wasTold({ call, flags }: Begun): unknown[] {
  const answers = told(call);
  if (!(flags & watchAppend)) return answers;
  const end = call.answers.at(-1)?.errnum ? answers.pop() : '';
  return [answers.join(''), end];
}

for (const source of sources) {
  describe(`watches by ${source}`, () => {
    test('are told what happened', async () => {
      await fc.assert(
        fc.asyncProperty(steps, fc.integer({ min: 1, max: 1e6 }), async (list, seed) => {
          const watching = await Watching.start(source, seed);
          const begun: Begun[] = [];
          for (const step of list) await take(step, watching, begun);
          watching.kvs.release();
          await watching.settle();
          for (const each of begun)
            assert.deepEqual(wasTold(each), expected(watching.kvs, each), `${each.key} with flags ${each.flags}`);
        }),
        { numRuns: 200 },
      );
    });
  });
}
