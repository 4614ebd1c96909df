// `content` on all ranks of an instance: what is stored on one can be loaded on all others, through caches on the way.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ModuleDefinition } from '../../../core/broker/service.ts';
import type { Method } from '../../../core/handle/methods.ts';
import type { Message } from '../../../core/message/message.ts';
import { contentModule } from '../../../workers/content/content.ts';
import { contentSqliteIn } from '../../../workers/content-sqlite/content-sqlite.ts';
import { openSqlite } from '../../../workers/content-sqlite/sqlite.ts';
import { Simulation } from '../../sim/simulation.ts';
import { digestOf } from './support.ts';

/** Loads that rank 0 was asked for. */
let loads = 0;

const content = contentModule({});
const definitions: Readonly<Record<string, ModuleDefinition>> = {
  cache: {
    async start(context, args) {
      const service = await content.start(context, args);
      if (context.rank > 0) return service;
      const { load } = service.methods!;
      const counting: Method = {
        ...load!,
        handler(request) {
          loads++;
          return load!.handler(request);
        },
      };
      return { methods: { ...service.methods, load: counting } };
    },
  },
  sqlite: contentSqliteIn((_, options) => openSqlite(':memory:', { ...options, journalMode: 'MEMORY' })),
};

/** An instance whose ranks have a cache each, as those of several nodes have. */
async function start(size: number): Promise<Simulation> {
  const sim = await new Simulation({ size, modules: definitions }).start();
  await sim.settle();
  for (let rank = 0; rank < size; rank++) {
    const client = sim.connect(rank);
    for (const name of ['kvs-watch', 'kvs', 'content']) await client.rpc('module.remove', { name });
    await client.rpc('module.load', { path: 'cache', name: 'content', args: [] });
  }
  // Simulations call their backing store `none`, and another one is not taken.
  await sim.connect(0).rpc('module.load', { path: 'sqlite', name: 'none', args: [] });
  return sim;
}

/** What a request to a rank is answered with. */
async function ask(sim: Simulation, rank: number, method: string, bytes?: Uint8Array): Promise<Message> {
  const call = sim.connect(rank).call(`content.${method}`, bytes);
  await sim.settle();
  return call.final;
}

test('what one rank stores all others load', async () => {
  const sim = await start(7);
  const blobs = Array.from({ length: 7 }, (_, rank) => Buffer.alloc(rank * 500, `rank ${rank}`));
  for (const [rank, blob] of blobs.entries())
    assert.deepEqual(Buffer.from((await ask(sim, rank, 'store', blob)).bytes!), digestOf(blob));
  for (let round = 0; round < 2; round++) {
    for (let rank = 0; rank < 7; rank++)
      for (const blob of blobs)
        assert.deepEqual(Buffer.from((await ask(sim, rank, 'load', digestOf(blob))).bytes ?? []), blob);
    for (let rank = 0; rank < 7; rank++) assert.equal((await ask(sim, rank, 'dropcache')).errnum, 0);
  }
  assert.equal((await ask(sim, 6, 'load', digestOf(Buffer.from('missing')))).error().code, 'ENOENT');
});

test('all loads of one blob in a subtree are one request to the root', async () => {
  const sim = await start(7);
  const blob = Buffer.from('wanted by many');
  await ask(sim, 0, 'store', blob);
  loads = 0;
  const calls = [3, 4, 3, 1, 4].map((rank) => sim.connect(rank).call('content.load', digestOf(blob)));
  await sim.settle();
  for (const call of calls) assert.deepEqual(Buffer.from((await call.final).bytes!), blob);
  assert.equal(loads, 1);
});
