// What is remembered of resources is what is read of them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type JsonObject, Real } from '../../../core/json.ts';
import { expirationOf, ResourceSummaries } from '../../../workers/job-list/resource-summary.ts';

const R = (execution: JsonObject): JsonObject => ({
  version: 1,
  execution: { R_lite: [{ rank: '0-1', children: { core: '0-3' } }], ...execution },
});

test('the same resources are read once, whatever their times', () => {
  const summaries = new ResourceSummaries();
  const first = summaries.get(R({ starttime: 1, expiration: new Real(9), nodelist: ['a[1-2]'] }));
  assert.deepEqual(first, { nnodes: 2, ncores: 8, ranks: '[0-1]', nodelist: 'a[1-2]' });
  assert.equal(summaries.get(R({ starttime: new Real(2), nodelist: ['a[1-2]'] })), first);
  assert.deepEqual(summaries.get(R({})), { ...first, nodelist: undefined });
  assert.equal(summaries.get({ ...R({ nodelist: ['a[1-2]'] }), scheduling: { graph: 1n } }), first);
});

test('what is wrong is told, also in resources that are known', () => {
  const summaries = new ResourceSummaries();
  summaries.get(R({}));
  for (const bad of [
    undefined,
    [],
    { version: 1 },
    { ...R({}), version: 2 },
    R({ expiration: 'x' }),
    R({ starttime: 1n, R_lite: 5 }),
  ])
    assert.throws(() => summaries.get(bad), { code: 'EINVAL' });
});

test('the expiration', () => {
  const times = [R({}), R({ expiration: new Real(9) }), R({ expiration: 1.5 }), R({ expiration: -1 })].map(
    expirationOf,
  );
  assert.deepEqual(times, [0, 9, 1.5, 0]);
});
