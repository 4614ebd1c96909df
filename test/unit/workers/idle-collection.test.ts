// When a thread gives memory back, and that it does.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { collect, IdlePeriods } from '../../../workers/idle-collection.ts';

const MUCH = 1e9;

test('it is time soon after work, once more later, and not again', () => {
  const periods = new IdlePeriods();
  const times = (utilizations: readonly number[]) =>
    utilizations.flatMap((utilization, index) => (periods.isTime(utilization, MUCH) ? index : []));
  assert.deepEqual(times([0.5, 0.5, 0.01, 0.01]), [2]);
  assert.deepEqual(times([0.5, ...Array(100).fill(0)]), [1, 12]);
  assert.deepEqual(times([0.02, 0.3, 0.5]), []);
});

test('it is never time for little', () => {
  const periods = new IdlePeriods();
  assert.ok(!Array.from({ length: 100 }, () => periods.isTime(0, 1e6)).includes(true));
});

test('what is not needed any more is collected', () => {
  const registry: WeakRef<object>[] = [];
  (() => registry.push(new WeakRef({ bytes: Buffer.alloc(1e6) })))();
  return new Promise<void>((resolve) => {
    // A reference is held until the turn in which it was made is over.
    setImmediate(() => {
      collect();
      assert.equal(registry[0]!.deref(), undefined);
      resolve();
    });
  });
});
