// Three real threads send each other checksummed messages through small rings, with sleeps, pauses, messages larger than
// a ring, and full rings: everything arrives whole, once and in order, and nobody hangs.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { createDoorbells } from '../../../core/ring/doorbell.ts';
import type { StressReport, StressThread } from './stress.worker.ts';

const seed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));

async function stress(options: Omit<StressThread, 'thread' | 'doorbells' | 'seed'>): Promise<StressReport[]> {
  const doorbells = createDoorbells(options.threads);
  const workers = Array.from({ length: options.threads }, (_, thread) => {
    const workerData: StressThread = { ...options, thread, doorbells, seed: seed + thread };
    return new Worker(new URL('./stress.worker.js', import.meta.url), { workerData });
  });
  const reports = workers.map((worker, thread) => {
    worker.on('message', ({ to, memory }) => memory && workers[to]!.postMessage({ thread, memory }));
    return new Promise<StressReport>((resolve, reject) => {
      worker.on('message', (report) => 'received' in report && resolve(report)).on('error', reject);
    });
  });
  try {
    return await Promise.all(reports);
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

const sleepAtOnce = { spinMicroseconds: 0 };
const few = { threads: 2, messages: 2_000, ringBytes: 4096, sizeMax: 100, pauseEvery: 1 };

for (const [note, options] of Object.entries({
  'tiny rings, small messages': {
    threads: 3,
    messages: 15_000,
    ringBytes: 512,
    sizeMax: 60,
    pauseEvery: 0,
    ...sleepAtOnce,
  },
  'messages larger than the ring': {
    threads: 2,
    messages: 1_500,
    ringBytes: 1024,
    sizeMax: 5_000,
    pauseEvery: 0,
    ...sleepAtOnce,
  },
  'threads that sleep often': {
    threads: 3,
    messages: 3_000,
    ringBytes: 4096,
    sizeMax: 300,
    pauseEvery: 20,
    ...sleepAtOnce,
  },
  'one message at a time': { ...few, ...sleepAtOnce },
  'one message at a time, threads that look before they sleep': { ...few, spinMicroseconds: 20 },
  'many messages, threads that look before they sleep': { ...few, threads: 4, pauseEvery: 5, spinMicroseconds: 50 },
})) {
  test(`${note} (seed ${seed})`, { timeout: 120_000 }, async () => {
    const reports = await stress(options);
    for (const report of reports) {
      assert.deepEqual(report.errors, []);
      assert.equal(report.received, options.messages * (options.threads - 1));
    }
  });
}
