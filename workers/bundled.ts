/** The modules that come with the broker and are loaded by name, here or in a process of their own. */

import type { ModuleDefinition } from '../core/broker/service.ts';
import { kvsShard } from '../core/node/plan.ts';
import { barrier } from './barrier/barrier.ts';
import type { StoreThread } from './content/access.ts';
import { heartbeat } from './heartbeat/heartbeat.ts';
import type { Policy } from './sched/scheduler.ts';

/** A module whose code is read when it is loaded: most threads never load it. */
function lazily(read: () => Promise<ModuleDefinition>): ModuleDefinition {
  return { start: async (context, args) => (await read()).start(context, args) };
}

function scheduler(policy: Policy): ModuleDefinition {
  return lazily(async () => (await import('./sched/sched.ts')).schedModule(policy));
}

const modules = new Map<string, ModuleDefinition>([
  ['barrier', barrier],
  ['cron', lazily(async () => (await import('./cron/cron.ts')).cron)],
  ['heartbeat', heartbeat],
  ['sched-simple', scheduler('fifo')],
  ['sched-fifo', scheduler('fifo')],
  ['sched-backfill', scheduler('backfill')],
  ['job-exec', lazily(async () => (await import('./job-exec/job-exec.ts')).jobExec)],
]);

/** The backing stores of content, read when one is wanted: only the thread that runs it needs what it needs. */
export async function backingStore(name: string): Promise<ModuleDefinition | undefined> {
  switch (name) {
    case 'content-sqlite':
      return (await import('./content-sqlite/content-sqlite.ts')).contentSqlite;
    case 'content-files':
      return (await import('./content-files/content-files.ts')).contentFiles;
    default:
      return undefined;
  }
}

/** Reads what the usual backing store needs before anybody asks for it; what goes wrong is told to whoever does. */
export async function preloadStore(): Promise<void> {
  const needed = [backingStore('content-sqlite'), import('@photostructure/sqlite'), import('lz4-wasm-nodejs')];
  await Promise.allSettled(needed);
}

/** A part of the KVS that has a thread of its own. */
export async function kvsPart(name: string, shards: number, store: StoreThread): Promise<ModuleDefinition | undefined> {
  for (let shard = 0; shard < shards; shard++) {
    if (name !== kvsShard(shard)) continue;
    const [{ kvsModule }, { shardOf }] = await Promise.all([import('./kvs/kvs.ts'), import('./kvs/shards.ts')]);
    return kvsModule(store, (namespace) => shardOf(namespace, shards) === shard);
  }
  return undefined;
}

/** The module that comes with the broker under a name; undefined when there is none. */
export function bundledModule(name: string): ModuleDefinition | undefined {
  return modules.get(name);
}
