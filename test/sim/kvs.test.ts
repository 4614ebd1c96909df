// Clients of many ranks commit to the KVS while its store is slow, full for a while, and crashes: every commit is answered
// once, versions rise one by one, and what was synchronized is there in every life.

import assert from 'node:assert/strict';
import { FluxError } from '../../core/errno.ts';
import { CommitFlag } from '../../core/formats/kvs-flags.ts';
import type { JsonObject } from '../../core/json.ts';
import { kvsModule } from '../../workers/kvs/kvs.ts';
import { Disk, MemoryContent } from '../unit/kvs-service/memory-content.ts';
import { checkAnswers, checkNothingLeft } from './checks.ts';
import type { Call, SimulatedClient } from './client.ts';
import type { SeededRandom } from './random.ts';
import { forSeeds, randomShape } from './seeds.ts';
import { Simulation } from './simulation.ts';

const PATH = '/kvs.js';

interface Commit {
  readonly call: Call;
  readonly key: string;
  readonly value: string;
  readonly isSync: boolean;
}

/** One life of a store: an instance from its start to its end or its crash. */
class Life {
  readonly sim: Simulation;
  readonly content: MemoryContent;
  readonly commits: Commit[] = [];
  readonly #random: SeededRandom;
  #count = 0;

  constructor(random: SeededRandom, seed: number, disk: Disk) {
    this.#random = random;
    this.content = new MemoryContent(disk);
    const config = { kvs: { 'checkpoint-period': random.pick(['0', '60ms', '100ms']), maxdirent: 16 } };
    const remoteModules = { [PATH]: kvsModule({ content: this.content }) };
    this.sim = new Simulation({ seed, ...randomShape(random, random.integer(1, 8)), remoteModules, config });
  }

  /** Starts an instance, and puts a KVS with this store in the place of its own. */
  async start(): Promise<void> {
    await this.sim.start();
    const client = this.sim.connect();
    for (const name of ['kvs-watch', 'kvs']) await client.rpc('module.remove', { name });
    await client.rpc('module.load', { path: PATH, name: 'kvs', args: [] });
    this.content.pause = () =>
      new Promise((resolve) => {
        const { agenda } = this.sim;
        agenda.at(agenda.time + 0.005 * this.#random.number(), resolve);
      });
  }

  /** Commits something; keys below `sync` are synchronized and written once. */
  commit(client: SimulatedClient, life: number): void {
    if (!client.isConnected) return;
    const isSync = this.#random.chance(0.1);
    const key = isSync ? `sync.${life}-${this.#count}` : `keys.${this.#random.integer(0, 40)}`;
    const value = `${life}-${this.#count++}`;
    const flags = isSync ? CommitFlag.sync : this.#random.pick([0, 0, 0, CommitFlag.noMerge]);
    const data = Buffer.from(value).toString('base64');
    // Now and then one that fails: the root is no value.
    const ops = [{ key: this.#random.chance(0.05) ? '.' : key, flags: 0, dirent: { ver: 1, type: 'val', data } }];
    const call = client.call('kvs.commit', { namespace: 'primary', flags, ops });
    this.commits.push({ call, key, value, isSync });
  }

  /** Storing fails for a while, or takes time. */
  trouble(): void {
    const { content } = this;
    const isFull = this.#random.chance(0.5);
    this.sim.soon(() => {
      content.isFull = isFull;
      if (!isFull) content.storeError = new FluxError('ENOSPC');
    });
    this.sim.soon(() => {
      content.isFull = false;
      content.storeError = undefined;
    }, 0.1);
    this.sim.soon(() => content.evict(), 0.1);
  }

  /** The commits that were answered with a new root. */
  get done(): (Commit & { readonly rootseq: number; readonly rootref: string })[] {
    return this.commits.flatMap((commit) => {
      const [answer] = commit.call.finalAnswers;
      return answer?.errnum === 0 ? [{ ...commit, ...(answer.json as { rootseq: number; rootref: string }) }] : [];
    });
  }
}

async function lookup(client: SimulatedClient, key: string): Promise<string | undefined> {
  try {
    const { val } = await client.rpc<{ val: { data: string } }>('kvs.lookup', { namespace: 'primary', key, flags: 0 });
    return Buffer.from(val.data, 'base64').toString();
  } catch (error) {
    assert.equal((error as FluxError).code, 'ENOENT');
    return undefined;
  }
}

/** Versions rise by one from `first`, and answers name the roots that events told. */
function checkEvents(life: Life, watcher: SimulatedClient, first: number): void {
  const setroots = watcher.events.filter(({ topic }) => topic === 'kvs.namespace-primary-setroot');
  const roots = setroots.map(({ json }) => json as unknown as { rootseq: number; rootref: string; names: string[] });
  for (const [index, { rootseq }] of roots.entries()) assert.equal(rootseq, first + 1 + index, 'versions have a gap');
  for (const { rootseq, rootref } of life.done)
    assert.equal(roots[rootseq - first - 1]?.rootref, rootref, `the event of version ${rootseq}`);
  const names = roots.flatMap((root) => root.names);
  assert.equal(names.length, new Set(names).size, 'a transaction is in two roots');
  assert.equal(names.length, life.done.length, 'transactions in roots');
}

/** Each key holds what the last commit that named it wrote, or what a client wrote that went without an answer. */
async function checkKeys(life: Life, client: SimulatedClient): Promise<void> {
  const last = new Map<string, { rootseq: number; values: string[] }>();
  for (const { key, value, rootseq } of life.done) {
    const known = last.get(key);
    if (known?.rootseq === rootseq) known.values.push(value);
    else if (!known || known.rootseq < rootseq) last.set(key, { rootseq, values: [value] });
  }
  for (const { key, value, call } of life.commits) if (!call.answers.length) last.get(key)?.values.push(value);
  for (const [key, { values }] of last) {
    const found = await lookup(client, key);
    assert.ok(values.includes(found!), `${key} is ${found}, not one of ${values}`);
  }
}

forSeeds('the KVS through crashes', 30, async (random, seed) => {
  const disk = new Disk();
  const synced = new Map<string, string>();
  let lowest = 0;
  for (let number = 0; number < 3; number++) {
    const life = new Life(random, seed, disk);
    await life.start();
    const { sim } = life;
    const watcher = sim.connect(random.integer(0, sim.size - 1));
    const { rootseq: first } = await watcher.rpc<{ rootseq: number }>('kvs.getroot', { namespace: 'primary' });
    assert.ok(first >= lowest, `version ${first} after ${lowest} was synchronized`);
    for (const [key, value] of synced) assert.equal(await lookup(watcher, key), value, `${key} in life ${number}`);
    await watcher.subscribe('kvs.namespace');

    const clients = Array.from({ length: 8 }, () => sim.connect(random.integer(0, sim.size - 1)));
    for (const client of clients) for (let i = 0; i < 12; i++) sim.soon(() => life.commit(client, number), 0.1);
    if (random.chance(0.2)) sim.soon(() => clients[0]!.disconnect());
    if (random.chance(0.5)) life.trouble();
    const crashes = random.chance(0.6);
    await sim.advance(crashes ? 0.15 * random.number() : 0.3);
    if (!crashes) {
      await sim.settle();
      checkAnswers(sim);
      if (clients.every(({ isConnected }) => isConnected)) checkEvents(life, watcher, first);
      await checkKeys(life, watcher);
    }
    for (const { key, value, isSync, rootseq } of life.done) {
      if (!isSync) continue;
      synced.set(key, value);
      lowest = Math.max(lowest, rootseq);
    }
    if (crashes) continue;
    const { rootseq } = await watcher.rpc<JsonObject & { rootseq: number }>('kvs.getroot', { namespace: 'primary' });
    await sim.stop();
    await checkNothingLeft(sim);
    lowest = Math.max(lowest, rootseq);
    for (const { key, value } of life.done) if (key.startsWith('sync')) synced.set(key, value);
  }
});
