// The real clock: timers of any length, in order, and the times they show.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { realWorld } from '../../../workers/world.ts';

const { clock } = realWorld;
const DAY = 86_400;

test('a timer that is further away than the runtime can wait does not come at once', async () => {
  const fired: number[] = [];
  const timers = [30 * DAY, 1000 * DAY, Number.POSITIVE_INFINITY].map((seconds) =>
    clock.after(seconds, () => fired.push(seconds)),
  );
  // Later than any timer that the runtime has cut down to a millisecond.
  for (let i = 0; i < 3; i++) await new Promise<void>((resolve) => clock.after(0.002, resolve));
  assert.deepEqual(fired, []);
  for (const timer of timers) timer.cancel();
});

test('a timer comes when its time has come, however long it is, unless it is canceled', (context: TestContext) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const fired: string[] = [];
  clock.after(30 * DAY, () => fired.push('thirty'));
  const canceled = clock.after(60 * DAY, () => fired.push('canceled'));
  clock.after(60 * DAY, () => fired.push('sixty'));
  for (const [days, expected] of [
    [29, []],
    [2, ['thirty']],
    [28, ['thirty']],
    [2, ['thirty', 'sixty']],
    [1000, ['thirty', 'sixty']],
  ] as const) {
    for (let hour = 0; hour < 24 * days; hour++) context.mock.timers.tick(3_600_000);
    if (days === 28) canceled.cancel();
    assert.deepEqual(fired, expected);
  }
});

test('what is to come at once comes after what runs now, in order, and not when it is canceled', async () => {
  const fired: number[] = [];
  clock.after(0, () => fired.push(1));
  clock.after(-1, () => fired.push(2));
  clock.after(0, () => fired.push(3)).cancel();
  assert.deepEqual(fired, []);
  await new Promise<void>((resolve) => clock.after(0, resolve));
  assert.deepEqual(fired, [1, 2]);
});

test('the clocks tell seconds, and the monotonic one never goes back', () => {
  assert.ok(Math.abs(clock.now() - Date.now() / 1000) < 1);
  let last = clock.monotonic();
  for (let i = 0; i < 1000; i++) {
    const now = clock.monotonic();
    assert.ok(now >= last);
    last = now;
  }
});

test('ids and random numbers are never the same', () => {
  const { random } = realWorld;
  const ids = Array.from({ length: 1000 }, () => random.uuid());
  assert.equal(new Set(ids).size, 1000);
  assert.match(ids[0]!, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  const numbers = Array.from({ length: 1000 }, () => random.number());
  assert.ok(numbers.every((number) => number >= 0 && number < 1) && new Set(numbers).size > 900);
});

test('the clock is the wall clock, goes on between its milliseconds, and never goes back', () => {
  const times: number[] = [];
  for (const end = performance.now() + 20; performance.now() < end; ) times.push(realWorld.clock.now());
  assert.ok(Math.abs(times.at(-1)! * 1000 - Date.now()) < 100);
  assert.ok(
    times.every((time, index) => index === 0 || time >= times[index - 1]!),
    'it went back',
  );
  assert.ok(new Set(times).size > 25, `${new Set(times).size} times in 20 ms`);
});

test('the clock follows when somebody sets it', (t) => {
  const { now } = Date;
  t.after(() => realWorld.clock.now());
  t.mock.method(Date, 'now', () => now() + 3_600_000);
  assert.ok(Math.abs(realWorld.clock.now() * 1000 - Date.now()) < 100);
  t.mock.restoreAll();
  assert.ok(Math.abs(realWorld.clock.now() * 1000 - Date.now()) < 100);
});
