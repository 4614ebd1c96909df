// Transactions that are committed as one come to what they come to one after the other: the same answers, the same keys.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LookupFlag, OperationFlag } from '../../../core/formats/kvs-flags.ts';
import { type Dir, makeDir, makeSymlink, makeVal, type Treeobj } from '../../../core/formats/treeobj.ts';
import type { JsonValue } from '../../../core/json.ts';
import { type Answer, asJson, Fixture } from './fixture.ts';

const name = fc.constantFrom('a', 'b', 'c', 'ab', 'é');
const key = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join('.'));
const value = fc.string({ maxLength: 4 }).map((text): Treeobj => makeVal(Buffer.from(text)));
const object = fc.oneof(
  { weight: 6, arbitrary: value },
  { weight: 1, arbitrary: fc.constant<Treeobj>(makeDir({})) },
  { weight: 1, arbitrary: key.map((target): Treeobj => makeSymlink(target)) },
  { weight: 1, arbitrary: fc.constant<Treeobj>(makeSymlink('a', 'other')) },
);
const operation = fc.oneof(
  { weight: 5, arbitrary: fc.record({ key, flags: fc.constant(0), dirent: object.map(asJson) }) },
  { weight: 2, arbitrary: fc.record({ key, flags: fc.constant(OperationFlag.append), dirent: value.map(asJson) }) },
  { weight: 2, arbitrary: fc.record({ key, flags: fc.constant(0), dirent: fc.constant<JsonValue>(null) }) },
);
const transaction = fc.array(operation, { minLength: 1, maxLength: 3 });

const errnos = (answers: readonly Answer[]) => answers.map(({ errno }) => errno);

async function oneByOne(kvs: Fixture, transactions: readonly JsonValue[]): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (const ops of transactions) answers.push(await kvs.commit(ops));
  return answers;
}

const atOnce = (kvs: Fixture, transactions: readonly JsonValue[]) =>
  Promise.all(transactions.map((ops) => kvs.commit(ops)));

test('merged transactions are answered as, and make the root that, they make one by one', () =>
  fc.assert(
    fc.asyncProperty(fc.array(transaction, { maxLength: 12 }), async (transactions) => {
      const [merged, single] = [await Fixture.start(), await Fixture.start()];
      const answers = await atOnce(merged, transactions);
      assert.deepEqual(errnos(answers), errnos(await oneByOne(single, transactions)));
      assert.equal((await merged.root()).rootref, (await single.root()).rootref);
      assert.ok((await merged.root()).rootseq <= 1);
    }),
    { numRuns: 200 },
  ));

/** Names and values below a directory. */
async function walk(kvs: Fixture, key: string): Promise<Record<string, unknown>> {
  const { val } = await kvs.call('lookup', { key, namespace: 'primary', flags: LookupFlag.readdir });
  const result: Record<string, unknown> = {};
  for (const [name, { type, data }] of Object.entries((val as unknown as Dir).data))
    result[name] = type === 'dirref' ? await walk(kvs, key === '.' ? name : `${key}.${name}`) : data;
  return result;
}

const manyNames = fc.array(fc.tuple(fc.integer({ min: 0, max: 60 }), fc.boolean()), { minLength: 1, maxLength: 40 });

test('directories that are stored in parts are no other', () =>
  fc.assert(
    fc.asyncProperty(fc.array(manyNames, { minLength: 1, maxLength: 8 }), async (changes) => {
      const transactions = changes.map((names) =>
        names.map(([number, isUnlink]) => ({
          key: `dir.n${number}`,
          flags: 0,
          dirent: isUnlink ? null : asJson(makeVal(Buffer.from(String(number)))),
        })),
      );
      const config = { kvs: { maxdirent: 16 } };
      const [merged, single, plain] = [
        await Fixture.start({ config }),
        await Fixture.start({ config }),
        await Fixture.start(),
      ];
      await atOnce(merged, transactions);
      await oneByOne(single, transactions);
      await atOnce(plain, transactions);
      const expected = await walk(plain, '.');
      assert.deepEqual(await walk(merged, '.'), expected);
      assert.deepEqual(await walk(single, '.'), expected);
    }),
    { numRuns: 100 },
  ));
