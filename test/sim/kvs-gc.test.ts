// The KVS, the cache of blobs and the backing store with its collector, in instances that end and crash, with a store that
// fails now and then or is loaded again: whatever is garbage by then, what roots and checkpoints lead to is in the database.

import assert from 'node:assert/strict';
import { DatabaseSync } from '@photostructure/sqlite';
import { FluxError } from '../../core/errno.ts';
import { blobrefToDigest } from '../../core/formats/blobref.ts';
import { CommitFlag, LookupFlag, OperationFlag } from '../../core/formats/kvs-flags.ts';
import { directoryReferences, type Reference } from '../../core/formats/tree-references.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import type { BlobDatabase } from '../../workers/content-sqlite/blob-database.ts';
import { contentSqliteIn } from '../../workers/content-sqlite/content-sqlite.ts';
import { unpackRow } from '../../workers/content-sqlite/rows.ts';
import { blobsIn } from '../../workers/content-sqlite/sqlite.ts';
import type { SimulatedClient } from './client.ts';
import type { SeededRandom } from './random.ts';
import { forSeeds, randomShape } from './seeds.ts';
import { Simulation } from './simulation.ts';

const { default: lz4 } = await import('lz4-wasm-nodejs');
const STORE = '/store.js';
/** What simulated instances call their backing store. */
const STORE_NAME = 'none';

/** What survives a crash, and what may be wrong with it. */
class Disk {
  readonly #sqlite = new DatabaseSync(':memory:');
  database: BlobDatabase | undefined;
  isFull = false;

  /** A database that is not closed, so that the next one is the same. */
  async open(): Promise<BlobDatabase> {
    this.#sqlite.exec('DROP TABLE IF EXISTS temp.refs');
    const database = blobsIn(this.#sqlite, ':memory:', {
      journalMode: 'MEMORY',
      synchronous: 'OFF',
      truncate: false,
      log: () => {},
    });
    const store = database.store.bind(database);
    database.store = (rows, epoch) => {
      if (this.isFull) throw new FluxError('ENOSPC');
      store(rows, epoch);
    };
    database.close = () => {};
    this.database = database;
    return database;
  }

  /** Fails when something is not there to which a root leads. */
  checkTree(rootref: string, what: string): void {
    const seen = new Set<string>();
    const unread: Reference[] = [{ blobref: rootref, isDirectory: true }];
    for (let next = unread.pop(); next; next = unread.pop()) {
      if (seen.has(next.blobref)) continue;
      seen.add(next.blobref);
      const row = this.database!.load(blobrefToDigest(next.blobref).digest);
      assert.ok(row, `${next.blobref} is missing below ${what}`);
      if (next.isDirectory) unread.push(...directoryReferences(unpackRow(lz4, row))!);
    }
  }

  checkCheckpoints(): void {
    for (const { id, value } of this.database?.checkpoints() ?? [])
      this.checkTree((JSON.parse(value) as { rootref: string }).rootref, `checkpoint ${id}`);
  }
}

const namespaces = ['primary', 'n0', 'n1'];
const directories = ['a', 'b', 'a.c', 'a.c.d'];
const values = ['x', 'y', 'z'].map((text) => Buffer.alloc(100, text).toString('base64'));

/** An operation, for which something may have to be looked up. */
async function operation(random: SeededRandom, client: SimulatedClient): Promise<JsonObject> {
  const directory = random.pick(directories);
  const key = `${directory}.${random.pick(['x', 'y', 'z', 'w'])}`;
  const val = { ver: 1, type: 'val', data: random.pick(values) };
  switch (random.integer(0, 5)) {
    case 0:
      return { key, flags: OperationFlag.append, dirent: val };
    case 1:
      return { key: random.pick([key, directory]), flags: 0, dirent: null };
    case 2: {
      const payload = { namespace: random.pick(namespaces), key: random.pick(directories), flags: LookupFlag.treeobj };
      const answer = await client.rpc<{ val: JsonValue }>('kvs.lookup', payload).catch(() => undefined);
      return { key: random.pick([key, directory]), flags: 0, dirent: answer?.val ?? val };
    }
    default:
      return { key, flags: 0, dirent: val };
  }
}

async function change(random: SeededRandom, client: SimulatedClient): Promise<void> {
  const namespace = random.pick(namespaces);
  const chance = random.number();
  if (chance < 0.03 && namespace !== 'primary') return void client.call('kvs.namespace-remove', { namespace });
  if (chance < 0.1) {
    const { rootref } = await client.rpc<{ rootref: string }>('kvs.getroot', { namespace: 'primary' });
    return void client.call('kvs.namespace-create', { namespace, rootref, owner: 100, flags: 0 });
  }
  const ops = [await operation(random, client), await operation(random, client)];
  const flags = namespace === 'primary' && random.chance(0.1) ? CommitFlag.sync : 0;
  client.call('kvs.commit', { namespace, flags, ops });
}

async function start(random: SeededRandom, seed: number, disk: Disk): Promise<Simulation> {
  const sim = new Simulation({
    seed,
    ...randomShape(random, random.integer(1, 4)),
    attributes: { statedir: '/nowhere', 'content.hash': 'sha1' },
    config: { kvs: { 'gc-grace': random.pick(['0.2s', '0.5s']), 'checkpoint-period': '80ms', maxdirent: 16 } },
    remoteModules: { [STORE]: contentSqliteIn(() => disk.open()) },
  });
  await sim.start();
  const client = sim.connect();
  for (const name of ['kvs-watch', 'kvs']) await client.rpc('module.remove', { name });
  await load(client);
  await client.rpc('module.load', { path: 'kvs', args: [] });
  return sim;
}

function load(client: SimulatedClient): Promise<unknown> {
  return client.rpc('module.load', { path: STORE, name: STORE_NAME, args: [] });
}

/** All roots that are. */
async function checkRoots(sim: Simulation, disk: Disk): Promise<void> {
  const client = sim.connect();
  await client.rpc('content.flush');
  for (const namespace of namespaces) {
    const root = await client.rpc<{ rootref: string }>('kvs.getroot', { namespace }).catch(() => undefined);
    if (root) disk.checkTree(root.rootref, namespace);
  }
  disk.checkCheckpoints();
}

const RUNS = 30;
let removed = 0;

forSeeds('garbage of the KVS through crashes', RUNS, async (random, seed) => {
  const disk = new Disk();
  for (let life = 0; life < 3; life++) {
    disk.isFull = false;
    disk.checkCheckpoints();
    const sim = await start(random, seed, disk);
    const clients = Array.from({ length: 4 }, () => sim.connect(random.integer(0, sim.size - 1)));
    for (let round = 0; round < 4; round++) {
      for (const client of clients)
        for (let i = 0; i < 12; i++) sim.soon(() => void change(random, client).catch(() => {}), 0.2);
      if (random.chance(0.3)) sim.soon(() => (disk.isFull = true), 0.1);
      await sim.advance(0.3);
      disk.isFull = false;
      if (random.chance(0.1)) {
        const client = sim.connect();
        await client.rpc('module.remove', { name: STORE_NAME });
        await load(client);
      }
      // A store that was full until now may still say so for a while.
      await sim.advance(0.1 + random.number());
      if (random.chance(0.3))
        await sim
          .connect()
          .rpc('content.collect')
          .catch(() => {});
      await checkRoots(sim, disk);
    }
    const stats = await sim
      .connect()
      .rpc<{ garbage: { removed: number } }>(`${STORE_NAME}.stats-get`)
      .catch(() => undefined);
    removed += stats?.garbage.removed ?? 0;
    if (random.chance(0.5)) continue;
    await sim.stop();
    disk.checkCheckpoints();
  }
  assert.ok(seed !== RUNS || removed > 0, 'nothing was ever removed');
});
