/** What the policy, the instance and updates let pass. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type JsonObject, type JsonValue, real } from '../../../core/json.ts';
import { Role } from '../../../core/message/credentials.ts';
import type { StateName } from '../../../workers/job-manager/job.ts';
import { limitDuration } from '../../../workers/job-manager/plugins/limit-duration.ts';
import { limitJobSize } from '../../../workers/job-manager/plugins/limit-job-size.ts';
import { updateDuration } from '../../../workers/job-manager/plugins/update-duration.ts';
import { updateQueue } from '../../../workers/job-manager/plugins/update-queue.ts';
import { validateDuration } from '../../../workers/job-manager/plugins/validate-duration.ts';
import { QueueTable } from '../../../workers/job-manager/queue-table.ts';
import { throwsCode } from '../../errors.ts';
import { FakeJobtap } from './fake-jobtap.ts';

function jobspec(size: { nodes?: number; slots?: number; cores?: number; gpus?: number }, system: JsonObject = {}) {
  const { nodes, slots = 1, cores = 1, gpus } = size;
  const inside = [{ type: 'core', count: cores }, ...(gpus ? [{ type: 'gpu', count: gpus }] : [])];
  const slot = { type: 'slot', count: slots, label: 'task', with: inside };
  const resources = nodes ? [{ type: 'node', count: nodes, with: [slot] }] : [slot];
  return { version: 1, resources, attributes: { system: { duration: 0, ...system } } };
}

// ---- size

const sizes = {
  policy: { limits: { 'job-size': { max: { nnodes: 2, ncores: 8, ngpus: 0 }, min: { ncores: 2 } } } },
  queues: {
    big: { policy: { limits: { 'job-size': { max: { nnodes: 100, ncores: -1 }, min: { nnodes: 3, ncores: -1 } } } } },
    night: { parent: 'big', policy: { limits: { 'job-size': { max: { nnodes: 200 } } } } },
    plain: {},
  },
};

for (const [size, queue, refusal] of [
  [{ nodes: 2, slots: 2, cores: 2 }, undefined, undefined],
  [{ slots: 8 }, undefined, undefined],
  [{ nodes: 3, slots: 2 }, undefined, 'requested nnodes (3) exceeds policy limit of 2'],
  [{ slots: 3, cores: 3 }, undefined, 'requested ncores (9) exceeds policy limit of 8'],
  [{ slots: 2, gpus: 1 }, undefined, 'requested ngpus (2) exceeds policy limit of 0'],
  [{ slots: 1 }, undefined, 'requested ncores (1) is under policy limit of 2'],
  [{ nodes: 3 }, 'plain', 'requested nnodes (3) exceeds policy limit of 2 for queue plain'],
  [{ nodes: 100, slots: 64 }, 'big', undefined],
  [{ nodes: 101 }, 'big', 'requested nnodes (101) exceeds policy limit of 100 for queue big'],
  [{ nodes: 2 }, 'big', 'requested nnodes (2) is under policy limit of 3 for queue big'],
  [{ nodes: 3, gpus: 1 }, 'big', 'requested ngpus (3) exceeds policy limit of 0 for queue big'],
  [{ nodes: 200 }, 'night', undefined],
  [{ nodes: 201 }, 'night', 'requested nnodes (201) exceeds policy limit of 200 for queue night'],
  [{ nodes: 1 }, 'night', 'requested nnodes (1) is under policy limit of 3 for queue night'],
] as [Parameters<typeof jobspec>[0], string | undefined, string | undefined][]) {
  test(`size ${JSON.stringify(size)} in queue ${queue}: ${refusal ?? 'accepted'}`, () => {
    const { hooks, job } = plugin(limitJobSize, sizes);
    const validate = () => hooks.validate!(job(), jobspec(size, queue ? { queue } : {}));
    if (refusal === undefined) validate();
    else throwsCode(validate, 'EINVAL', exactly(refusal));
  });
}

test('without limits nobody counts, and a jobspec that has no slots is let pass', () => {
  const { hooks, job } = plugin(limitJobSize, { queues: { a: {} } });
  hooks.validate!(job(), { version: 1, attributes: { system: { queue: 'a' } } });
});

test('a job that can not be counted is refused where its size matters', () => {
  const { hooks, job } = plugin(limitJobSize, sizes);
  throwsCode(() => hooks.validate!(job(), { version: 1, resources: [] }), 'EINVAL');
});

// ---- duration

const durations = {
  policy: { limits: { duration: '1h' } },
  queues: {
    debug: { policy: { limits: { duration: '10m' } } },
    endless: { policy: { limits: { duration: '0' } } },
    infinite: { policy: { limits: { duration: 'infinity' } } },
    night: { parent: 'debug', policy: { limits: { duration: '8h' } } },
    day: { parent: 'debug' },
    plain: {},
  },
};

for (const [duration, queue, refusal] of [
  [3600, undefined, undefined],
  [real(3600), undefined, undefined],
  [3600.5, undefined, 'requested duration (1h) exceeds policy limit of 1h'],
  [7200, undefined, 'requested duration (2h) exceeds policy limit of 1h'],
  [0, undefined, 'requested duration (unlimited) exceeds policy limit of 1h'],
  [600, 'debug', undefined],
  [18000, 'debug', 'requested duration (5h) exceeds policy limit of 10m for queue debug'],
  [0, 'debug', 'requested duration (unlimited) exceeds policy limit of 10m for queue debug'],
  [0, 'endless', undefined],
  [1e9, 'infinite', undefined],
  [7200, 'plain', 'requested duration (2h) exceeds policy limit of 1h for queue plain'],
  [18000, 'night', undefined],
  [36000, 'night', 'requested duration (10h) exceeds policy limit of 8h for queue night'],
  [660, 'day', 'requested duration (11m) exceeds policy limit of 10m for queue day'],
  [7200, 'nosuch', 'requested duration (2h) exceeds policy limit of 1h for queue nosuch'],
  ['1h', undefined, 'attributes.system.duration is not a number'],
] as [JsonValue, string | undefined, string | undefined][]) {
  test(`duration ${JSON.stringify(duration)} in queue ${queue}: ${refusal ?? 'accepted'}`, () => {
    const { hooks, job } = plugin(limitDuration, durations);
    const validate = () => hooks.validate!(job(), jobspec({}, { duration, ...(queue && { queue }) }));
    if (refusal === undefined) validate();
    else throwsCode(validate, 'EINVAL', exactly(refusal));
  });
}

for (const [limits, text] of [
  [{ policy: { limits: { duration: 'x' } } }, /^policy\.limits\.duration: FSD value is malformed/],
  [{ queues: { a: { policy: { limits: { duration: 5 } } } } }, /^queues\.a\.policy\.limits\.duration: /],
  [{ queues: { a: { parent: 'b' } } }, /^queues\.a: its parent queue is not configured/],
  [{ policy: { limits: { 'job-size': { max: { nnodes: -2 } } } } }, /job-size\.max: size must be -1/],
  [{ policy: { limits: { 'job-size': { min: { ncores: '1' } } } } }, /job-size\.min: ncores is not an integer/],
  [{ policy: { limits: { 'job-size': 5 } } }, /job-size: it is not a table/],
] as [JsonObject, RegExp][]) {
  test(`limits ${JSON.stringify(limits)} are refused, and those before stay`, () => {
    for (const [limiting, config] of [
      [limitDuration, durations],
      [limitJobSize, sizes],
    ] as const) {
      const { hooks, job } = plugin(limiting, config);
      let isRefused = false;
      try {
        hooks.configure!(limits);
      } catch (error) {
        isRefused = true;
        assert.match((error as Error).message, text);
      }
      if (isRefused) throwsCode(() => hooks.validate!(job(), jobspec({ nodes: 50 }, { duration: 1e6 })), 'EINVAL');
    }
    throwsCode(
      () => {
        plugin(limitDuration, limits);
        plugin(limitJobSize, limits);
      },
      'EINVAL',
      text,
    );
  });
}

// ---- the time that the instance has

test('a job may not ask for more time than the instance has left', async () => {
  const jobtap = new FakeJobtap(validateDuration);
  const validate = (duration: number) => jobtap.hooks.validate!(jobtap.job(), jobspec({}, { duration }));
  validate(1e9);
  await jobtap.world.setExpiration(0);
  validate(1e9);
  await jobtap.world.setExpiration(jobtap.world.now + 3600);
  validate(3600);
  validate(0);
  throwsCode(() => validate(7200), 'EINVAL', exactly('job duration (2h) exceeds remaining instance lifetime (1h)'));
  await jobtap.world.pass(1800);
  throwsCode(() => validate(3600), 'EINVAL', /\(1h\) exceeds remaining instance lifetime \(30m\)$/);
  await jobtap.world.setExpiration(jobtap.world.now + 7200);
  validate(3600);
  assert.equal(jobtap.world.logs.filter((line) => line.includes('updated expiration')).length, 3);
});

// ---- updates

const owner = { userid: 100, rolemask: Role.owner };
const guest = { userid: 200, rolemask: Role.user };

for (const [value, state, credentials, conf, expected] of [
  [60, 'depend', guest, {}, undefined],
  [60, 'sched', owner, {}, { isValidated: true }],
  [60, 'sched', owner, { 'owner-allow-any': 0 }, undefined],
  [real(60), 'run', owner, {}, { isValidated: true }],
  [60, 'run', owner, { 'owner-allow-any': 0 }, /^duration update of running job requires instance owner privileges$/],
  [60, 'run', guest, {}, /^duration update of running job requires instance owner privileges$/],
  [-1, 'sched', owner, {}, /^duration must not be negative$/],
  ['1h', 'sched', owner, {}, /is not a number/],
] as [JsonValue, StateName, typeof owner, JsonObject, JsonObject | RegExp | undefined][]) {
  test(`duration ${JSON.stringify(value)} for a job in state ${state}, by ${credentials.userid}, ${JSON.stringify(conf)}`, () => {
    const jobtap = new FakeJobtap(updateDuration, {}, conf);
    const key = 'attributes.system.duration';
    const ask = () => jobtap.hooks.updates![key]!(jobtap.job({ state }), { key, value, credentials });
    if (expected instanceof RegExp) throwsCode(ask, 'EINVAL', expected);
    else assert.deepEqual(ask(), expected);
  });
}

const queues = { batch: { requires: ['batch'] }, debug: {}, night: { parent: 'batch' }, off: {} };
const inBatch = { queue: 'batch', constraints: { properties: ['batch'] } };

for (const [system, value, state, expected] of [
  [inBatch, 'debug', 'sched', {}],
  [{ queue: 'debug' }, 'batch', 'sched', { properties: ['batch'] }],
  [{ queue: 'debug', constraints: {} }, 'night', 'depend', { properties: ['batch'] }],
  [inBatch, 'night', 'sched', { properties: ['batch'] }],
  [inBatch, 'nosuch', 'sched', /^'nosuch' is not a valid queue$/],
  [inBatch, 'batch', 'sched', /^job queue is already set to batch$/],
  [inBatch, 'off', 'sched', /^queue off is currently disabled$/],
  [inBatch, 'debug', 'run', /^update of queue for running job not supported$/],
  [inBatch, 5, 'sched', /the name of a queue is a string/],
  [{ queue: 'gone' }, 'debug', 'sched', /^'gone' is not a valid queue$/],
  [
    { queue: 'batch', constraints: { properties: ['batch', 'fast'] } },
    'debug',
    'sched',
    /^job appears to have non-queue constraints, unable to update queue to debug$/,
  ],
  [{ queue: 'debug', constraints: { hostlist: ['a'] } }, 'batch', 'sched', /non-queue constraints/],
] as [JsonObject, JsonValue, StateName, JsonObject | RegExp][]) {
  test(`queue ${JSON.stringify(value)} for ${JSON.stringify(system)} in state ${state}`, () => {
    const table = new QueueTable();
    table.configure(queues);
    table.get('off').disable('no');
    const jobtap = new FakeJobtap(updateQueue(table));
    const key = 'attributes.system.queue';
    const ask = () => jobtap.hooks.updates![key]!(jobtap.job({ state, system }), { key, value, credentials: owner });
    if (expected instanceof RegExp) throwsCode(ask, 'EINVAL', expected);
    else assert.deepEqual(ask(), { needsFeasibility: true, updates: { 'attributes.system.constraints': expected } });
  });
}

function plugin(definition: typeof limitDuration, config: JsonObject) {
  const jobtap = new FakeJobtap(definition, config);
  return { hooks: jobtap.hooks, job: () => jobtap.job() };
}

function exactly(text: string): RegExp {
  return new RegExp(`^${text.replace(/[.()]/g, '\\$&')}$`);
}
