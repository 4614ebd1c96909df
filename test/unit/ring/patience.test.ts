/** How long a thread looks for work before it sleeps, on a clock of the test's. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Patience } from '../../../core/ring/patience.ts';

/** A thread that looks for up to 500 µs, and lets others go first for so many milliseconds between two looks. */
function makeThread(others: () => number = () => 0.01) {
  let now = 1000;
  const patience = new Patience(
    500,
    () => {
      now += others();
    },
    () => now,
  );
  /** Waits for something that comes after so many milliseconds; whether it was seen by looking, and how often. */
  const wait = (milliseconds: number) => {
    const due = now + milliseconds;
    let looks = 0;
    patience.begin();
    const isSeen = patience.look(() => {
      looks++;
      return now >= due;
    });
    now = Math.max(now, due);
    patience.end();
    return { isSeen, looks };
  };
  return {
    wait,
    pass: (milliseconds: number) => {
      now += milliseconds;
    },
  };
}

test('work that comes soon is seen by looking', () => {
  const { wait } = makeThread();
  for (const milliseconds of [0, 0.1, 0.4]) assert.equal(wait(milliseconds).isSeen, true, `${milliseconds} ms`);
});

test('who waited for long does not look the next time', () => {
  const { wait } = makeThread();
  const long = wait(5);
  assert.equal(long.isSeen, false);
  assert.ok(long.looks > 10, `${long.looks} looks`);
  assert.deepEqual(wait(0.1), { isSeen: false, looks: 0 });
  assert.equal(wait(0.1).isSeen, true, 'that wait was short');
});

test('others go first between two looks', () => {
  let turns = 0;
  const { wait } = makeThread(() => {
    turns++;
    return 0.01;
  });
  const { looks } = wait(0.2);
  assert.equal(turns, looks - 1);
});

test('who loses the processor to a computation sleeps for a while', () => {
  let slice = 3;
  const { wait, pass } = makeThread(() => slice);
  assert.deepEqual(wait(0.1), { isSeen: false, looks: 1 });
  slice = 0.01;
  assert.equal(wait(0.1).looks, 0, 'the last wait was long');
  assert.equal(wait(0.1).looks, 0, 'short ones are not looked for either');
  pass(10);
  assert.equal(wait(0.1).isSeen, true);
});

test('promises go on while a thread looks', async () => {
  const patience = new Patience(60_000_000, () => {});
  let isDone = false;
  void (async () => {
    for (let i = 0; i < 10; i++) await undefined;
    isDone = true;
  })();
  patience.begin();
  assert.equal(await patience.lookBetween(() => isDone), true);
});
