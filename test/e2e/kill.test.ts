// An instance that is killed by SIGKILL keeps what it has promised; `npm run soak` does the same for as long as one wants.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Kvs } from '../../core/handle/kvs.ts';
import { SeededRandom } from '../sim/random.ts';
import { SoakClient } from '../soak/client.ts';
import { soakKills } from '../soak/kills.ts';
import { flux } from './instance.ts';

const seed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));

test(`what was answered with SYNC outlives a kill (seed ${seed})`, { timeout: 120_000 }, async () => {
  const { commits, synced } = await soakKills({ flux, kills: 6, seed });
  assert.ok(commits > 0 && synced > 0, `${commits} commits, ${synced} of them with SYNC`);
});

/** A client whose 100 commits were answered with roots from 1 on, and what it found before it committed. */
async function committed(): Promise<SoakClient> {
  const client = new SoakClient(0);
  let rootseq = 0;
  const kvs = { commit: async () => ({ rootref: '', rootseq: ++rootseq }) } as unknown as Kvs;
  await client.run(kvs, new SeededRandom(1), () => rootseq < 100);
  return client;
}

const judged: readonly {
  note: string;
  found: Map<string, string>;
  rootseq: number;
  isWhole: boolean;
  error: RegExp;
}[] = [
  { note: 'what never was', found: new Map([['a.b', 'x']]), rootseq: 100, isWhole: false, error: /as it never was/ },
  { note: 'a loss in an orderly end', found: new Map(), rootseq: 100, isWhole: true, error: /100 must be there/ },
  { note: 'a loss of what was on disk', found: new Map(), rootseq: 100, isWhole: false, error: /as after 0 of them/ },
  {
    note: 'an old root',
    found: new Map(),
    rootseq: 0,
    isWhole: false,
    error: /answered with SYNC, but it starts with 0/,
  },
];

for (const { note, found, rootseq, isWhole, error } of judged)
  test(`the kill test finds ${note}`, async () => {
    const client = await committed();
    assert.throws(() => client.settle(found, rootseq, isWhole), error);
  });
