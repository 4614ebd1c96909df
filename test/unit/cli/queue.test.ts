// Queues: their limits as the configuration has them, and what is said of them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rangeText, readLimits } from '../../../cli/queue-limits.ts';
import { schedulingText, submissionText } from '../../../cli/queue-status.ts';
import { parseToml } from '../../../core/formats/toml.ts';
import { throwsCode } from '../../errors.ts';

const config = parseToml(
  `
[policy]
jobspec.defaults.system.duration = "30m"
limits.duration = "1d"
limits.job-size.max.ncores = 1000
limits.job-size.min.nnodes = 1
[queues.batch]
[queues.debug.policy]
limits.duration = "1h"
limits.job-size.max = { nnodes = 2, ngpus = 0, ncores = -1 }
jobspec.defaults.system.duration = "10m"
[queues.night]
parent = "debug"
policy.limits.duration = "8h"
[queues.bad]
policy.limits.duration = "soon"
`,
  'test',
);

test('a limit is that of the queue, of its parent, or of the instance', () => {
  const rows = [
    { name: undefined, times: [1800, 86400], ranges: ['1-inf', '0-1000', '0-inf'] },
    { name: 'batch', times: [1800, 86400], ranges: ['1-inf', '0-1000', '0-inf'] },
    { name: 'debug', times: [600, 3600], ranges: ['1-2', '0-inf', '0-0'] },
    { name: 'night', parent: 'debug', times: [600, 28800], ranges: ['1-2', '0-inf', '0-0'] },
    { name: 'unknown', times: [1800, 86400], ranges: ['1-inf', '0-1000', '0-inf'] },
  ] as const;
  for (const { name, times, ranges, ...row } of rows) {
    const limits = readLimits(config, name, 'parent' in row ? row.parent : undefined);
    assert.deepEqual([limits.defaultTimelimit, limits.timelimit], times, name);
    assert.deepEqual(
      (['nnodes', 'ncores', 'ngpus'] as const).map((size) => rangeText(limits, size)),
      ranges,
      name,
    );
  }
  throwsCode(() => readLimits(config, 'bad', undefined), 'EINVAL', /duration/);
});

test('without a policy nothing is limited but by what there is', () => {
  const limits = readLimits({}, undefined, undefined);
  assert.deepEqual([limits.defaultTimelimit, limits.timelimit], [Infinity, Infinity]);
  assert.equal(rangeText(limits, 'nnodes'), '0-inf');
  assert.equal(rangeText(limits, 'nnodes', 4), '0-4');
  assert.equal(rangeText(readLimits(config, 'debug', undefined), 'nnodes', 4), '1-2');
});

test('a status says why', () => {
  assert.equal(submissionText({ enable: true, start: true }), 'Job submission is enabled');
  assert.equal(
    submissionText({ enable: false, start: true, disable_reason: 'cold' }),
    'Job submission is disabled: cold',
  );
  assert.equal(schedulingText({ enable: true, start: true }), 'Scheduling is started');
  assert.equal(schedulingText({ enable: true, start: false }), 'Scheduling is stopped');
  assert.equal(schedulingText({ enable: true, start: false, stop_reason: 'hot' }), 'Scheduling is stopped: hot');
});
