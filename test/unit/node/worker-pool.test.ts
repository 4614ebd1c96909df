// How threads are ended: at a moment of their own, or by force when they have none.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { Instance } from '../../../core/node/instance.ts';
import { makePlan } from '../../../core/node/plan.ts';
import { WorkerPool } from '../../../core/node/worker-pool.ts';
import { Topology } from '../../../core/overlay/topology.ts';
import { createDoorbells } from '../../../core/ring/doorbell.ts';
import { Mailbox } from '../../../core/ring/mailbox.ts';

const plan = makePlan(2, Topology.create('kary:2', 1), {});
const doorbells = createDoorbells(8);
const mailbox = new Mailbox({
  thread: 0,
  doorbells,
  ringBytes: plan.ringBytes,
  queueBytesMark: 1,
  sources: [],
  spinMicroseconds: 0,
  spins: 'when asked',
  connect: () => {},
});
after(() => mailbox.stop());

const sqlite = pathToFileURL(createRequire(import.meta.url).resolve('@photostructure/sqlite'));
const endsWhenAsked =
  "import { parentPort } from 'node:worker_threads'; parentPort.on('message', () => process.exit(0));";

/** A pool whose threads run `source`, and the names of those that died though nobody wanted it. */
function poolOf(source: string): { pool: WorkerPool; deaths: string[] } {
  const deaths: string[] = [];
  const entry = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
  return {
    pool: new WorkerPool(
      entry,
      () => mailbox,
      (_, name) => deaths.push(name),
    ),
    deaths,
  };
}

function startIn(pool: WorkerPool, thread: number): void {
  pool.start(`thread ${thread}`, { thread, plan, doorbells, instance: {} as Instance });
}

test('a thread can be ended while it calls a native addon', async () => {
  const source = `${endsWhenAsked}
    const { DatabaseSync } = await import(${JSON.stringify(sqlite.href)});
    for (;;) {
      new DatabaseSync(':memory:').close();
      await new Promise(setImmediate);
    }`;
  const { pool, deaths } = poolOf(source);
  for (let i = 0; i < 50; i++) {
    startIn(pool, 1);
    await new Promise((resolve) => setTimeout(resolve, 40 + i));
    await pool.stop(1);
  }
  assert.deepEqual(deaths, []);
});

test('a thread that only computes is ended by force', async () => {
  const { pool, deaths } = poolOf('for (;;);');
  startIn(pool, 1);
  await pool.stopAll();
  assert.deepEqual(
    pool.threads().map(({ name }) => name),
    ['main'],
  );
  assert.deepEqual(deaths, []);
});

test('a thread that is killed is told of as one that died', async () => {
  const { pool, deaths } = poolOf(endsWhenAsked);
  startIn(pool, 1);
  pool.kill(1);
  while (!deaths.length) await new Promise(setImmediate);
  assert.deepEqual(deaths, ['thread 1']);
});
