// The turns in which a thread starts programs: a few at a time, in order, and everybody has one.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SpawnTurns } from '../../../workers/rexec/spawn-turns.ts';

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

test('a few programs are started in each turn of the event loop, in order', async () => {
  const turns = new SpawnTurns();
  const started: number[] = [];
  for (let i = 0; i < 10; i++) void turns.take().then(() => started.push(i));
  await Promise.resolve();
  const counts = [started.length];
  for (let turn = 0; turn < 3; turn++) {
    await nextTurn();
    counts.push(started.length);
  }
  assert.deepEqual(counts, [4, 8, 10, 10]);
  assert.deepEqual(
    started,
    Array.from({ length: 10 }, (_, i) => i),
  );
});

test('one program waits for nothing, whatever came before', async () => {
  const turns = new SpawnTurns();
  for (let round = 0; round < 3; round++) {
    let isStarted = false;
    void turns.take().then(() => {
      isStarted = true;
    });
    await Promise.resolve();
    assert.ok(isStarted);
    for (let i = 0; i < 6; i++) void turns.take();
    for (let turn = 0; turn < 4; turn++) await nextTurn();
  }
});
