// Random commits and watches: each watcher is told what somebody is told who looks at every root there was.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { LookupFlag } from '../../../core/formats/kvs-flags.ts';
import { KvsTransaction } from '../../../core/handle/kvs-transaction.ts';
import { expected, type Look, type Watched, wasTold } from './expected.ts';
import { sources, Watching, watch } from './watching.ts';

const { readdir, treeobj, waitcreate, watchAppend, watchFull, watchUniq, initialSentinel } = LookupFlag;

/** A watch, and the first of the roots that it was there for. */
interface Begun extends Watched {
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

/** Runs steps to their end, and compares what each watcher was told. */
async function check(source: (typeof sources)[number], list: readonly Step[], seed: number): Promise<void> {
  const watching = await Watching.start(source, seed);
  const begun: Begun[] = [];
  for (const step of list) await take(step, watching, begun);
  watching.kvs.release();
  await watching.settle();
  const { kvs } = watching;
  const look: Look = async ({ root }, name, flags) => kvs.at(root, name, flags);
  for (const each of begun) {
    const roots = kvs.history.get('ns')!.slice(each.first);
    assert.deepEqual(wasTold(each), await expected(look, each, roots), `${each.key} with flags ${each.flags}`);
  }
}

/** What once went wrong. */
const known: readonly Step[][] = [
  // While the link was not looked up yet, what it leads to came.
  [
    { watch: 'l', flags: waitcreate | watchFull },
    'hold',
    { commit: [['symlink', 'l', 'a']], join: [] },
    { commit: [['mkdir', 'a']], join: [] },
  ],
];

for (const source of sources) {
  describe(`watches by ${source}`, () => {
    test('are told what happened', () =>
      fc.assert(
        fc.asyncProperty(steps, fc.integer({ min: 1, max: 1e6 }), (list, seed) => check(source, list, seed)),
        { numRuns: 200 },
      ));

    for (const [index, list] of known.entries())
      test(`are told what happened (${index + 1})`, () => check(source, list, 1));
  });
}
