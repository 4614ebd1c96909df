/**
 * The entry of every worker thread: a mailbox, and behind it the ranks and services that the plan gives to this thread.
 */

import { parentPort, workerData } from 'node:worker_threads';
import type { Methods } from '../core/handle/methods.ts';
import { decodeMessage } from '../core/message/codec.ts';
import type { WorkerData } from '../core/node/instance.ts';
import { kvsShards, MAIN } from '../core/node/plan.ts';
import { ThreadControl } from '../core/node/thread-control.ts';
import { indexOf, threadOf } from '../core/ring/endpoint.ts';
import { Mailbox } from '../core/ring/mailbox.ts';
import { yieldProcessor } from '../native/index.ts';
import { preloadStore } from './bundled.ts';
import type { StoreThread } from './content/access.ts';
import { collectWhenIdle } from './idle-collection.ts';
import { RemoteModules } from './remote-modules.ts';
import { SlowReaders } from './rexec/slow-readers.ts';
import { SpawnTurns } from './rexec/spawn-turns.ts';
import type { Router } from './router/router.ts';
import type { ProgramThread } from './shell/host.ts';
import { TaskGuard } from './shell/task-guard.ts';
import { processStopped, realWorld } from './world.ts';

/** Bytes that may wait for one thread before this one takes no more from the sockets. */
const QUEUE_BYTES_MARK = 4 * 1024 * 1024;

const { thread, plan, doorbells, instance } = workerData as WorkerData;
const own = plan.threads[thread];

const spawnTurns = new SpawnTurns();
const slowReaders = new SlowReaders();
const store: StoreThread = { soon: (callback) => mailbox.afterRound(callback) };
const programs: ProgramThread = {
  slowReaders,
  spawnTurn: () => spawnTurns.take(),
  layouts: new Map(),
  guard: new TaskGuard(),
};

/** What ranks need is much, and read where there are some. */
async function makeRouter(): Promise<Router> {
  const { Router } = await import('./router/router.ts');
  return new Router(mailbox, control, plan, instance, programs, store);
}

/** Threads that do not keep up with what this one sends them. */
const congested = new Set<number>();
const mailbox = new Mailbox({
  thread,
  doorbells,
  ringBytes: plan.ringBytes,
  queueBytesMark: QUEUE_BYTES_MARK,
  sources: [MAIN],
  spinMicroseconds: plan.spinMicroseconds,
  letOthers: yieldProcessor,
  spins: 'when idle',
  connect: (to, memory) => parentPort!.postMessage({ ring: memory, to }),
  // Nothing but itself waits for a user's module that takes nothing, or its thread would hold up all.
  holdsUp: (to) => to in plan.threads,
  onCongestion: (to, isCongested) => {
    if (isCongested) congested.add(to);
    else congested.delete(to);
    slowReaders.hold(congested.size > 0);
  },
});
// A pending Atomics.waitAsync does not keep a thread alive; listening here does.
parentPort!.on('message', (message: { ring: SharedArrayBuffer; from: number } | { gone: number } | { end: true }) => {
  if ('end' in message) process.exit(0);
  if ('gone' in message) {
    control.threadDied(message.gone);
    mailbox.disconnect(message.gone);
  } else mailbox.addRing(message.from, message.ring);
});

const remoteModules = new RemoteModules(mailbox, () => control, realWorld, programs, store, kvsShards(plan));
const methods: Record<string, Methods[string]> = {
  ...remoteModules.methods,
  'reader.slow': {
    handler: (request) => {
      const { client, isSlow } = request.unpack({ client: 's', isSlow: 'b' });
      slowReaders.set(client, isSlow);
      return undefined;
    },
  },
  'process.stopped': {
    handler: (request) => {
      processStopped(request.unpack({ pid: 'i' }).pid);
      return undefined;
    },
  },
};
const control: ThreadControl = new ThreadControl(mailbox, methods);
const router = own?.routes ? await makeRouter() : undefined;
Object.assign(methods, router?.methods);

void mailbox
  .run((source, start, end, to, from) => {
    if (indexOf(to) === 0) control.receive(decodeMessage(source, start, end), threadOf(from));
    else if (router) router.receive(source, start, end, to, from);
    else remoteModules.receive(decodeMessage(source, start, end), to);
  })
  .catch((error: unknown) => {
    // An error here is a bug; it ends the thread, and the main thread reports it.
    queueMicrotask(() => {
      throw error;
    });
  });
// It is asked for as soon as there is a rank, and takes as long to read as that.
if (own?.services.includes('content-sqlite')) void preloadStore();
await router?.start();
collectWhenIdle();
