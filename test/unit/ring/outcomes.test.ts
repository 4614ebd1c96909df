// Two threads race through the two places where one sleeps or starves and the other must notice; every outcome that is
// seen must be one of those permitted.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { Race } from './outcomes.worker.ts';

const rounds = 20_000;

/** Outcomes as `worker's view, main's view`, each with how often it was seen. */
async function race(kind: Race): Promise<Map<string, number>> {
  const worker = new Worker(new URL('./outcomes.worker.js', import.meta.url), { workerData: { kind, rounds } });
  const seen = new Promise<[string, number][]>((resolve, reject) =>
    worker.once('message', resolve).once('error', reject),
  );
  const counts = new Map(await seen);
  await worker.terminate();
  return counts;
}

const races: Record<Race, { permitted: string[]; forbidden: string }> = {
  // publish + ring against prepareSleep + look
  sleep: {
    permitted: ['saw it, was not woken', 'saw it, was woken', 'did not see it, was woken'],
    forbidden: 'did not see it, was not woken',
  },
  // starve + claim against give room + look
  starve: {
    permitted: ['had room, was not told', 'had room, was told', 'had no room, was told'],
    forbidden: 'had no room, was not told',
  },
};

for (const [kind, { permitted, forbidden }] of Object.entries(races)) {
  test(`${kind}: never "${forbidden}"`, { timeout: 60_000 }, async () => {
    const counts = await race(kind as Race);
    for (const outcome of counts.keys()) assert.ok(permitted.includes(outcome), `seen: ${outcome}`);
    assert.equal(
      [...counts.values()].reduce((a, b) => a + b, 0),
      rounds,
    );
  });
}
