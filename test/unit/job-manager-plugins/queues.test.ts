/** Queues (RFC 33): their state, who says so, and what a restart leaves of it. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JobState } from '../../../core/formats/job-state.ts';
import { Request } from '../../../core/handle/methods.ts';
import type { JsonObject, JsonValue } from '../../../core/json.ts';
import { Role } from '../../../core/message/credentials.ts';
import { Message } from '../../../core/message/message.ts';
import { Queues } from '../../../workers/job-manager/queues.ts';
import { throwsCode } from '../../errors.ts';
import { FakeCore } from './fake-core.ts';

class Fixture {
  readonly core = new FakeCore();
  readonly queues = new Queues(this.core);

  constructor(config: JsonObject = {}) {
    this.queues.configure(config);
  }

  call(method: string, payload: JsonObject = {}): JsonValue | undefined {
    const credentials = { userid: 100, rolemask: Role.owner };
    const message = Message.request({ topic: `job-manager.${method}`, payload, credentials });
    const { handler } = this.queues.methods[method]!;
    return handler(new Request(message, credentials, () => {})) as JsonValue | undefined;
  }

  status(name?: string): JsonValue | undefined {
    return this.call('queue-status', name === undefined ? {} : { name });
  }

  submit(queue?: string): void {
    this.queues.checkSubmit({ attributes: { system: queue === undefined ? {} : { queue } } });
  }
}

const two = { queues: { batch: {}, debug: {} } };
const virtual = { queues: { night: { parent: 'batch' }, batch: {}, debug: {} } };

test('without a configuration there is one queue that has no name and is started', () => {
  const queues = new Fixture();
  assert.deepEqual(queues.call('queue-list'), { queues: [] });
  assert.deepEqual(queues.status(), { enable: true, start: true });
  throwsCode(() => queues.status('x'), 'EINVAL', /^'x' is not a valid queue$/);
  queues.submit();
  throwsCode(() => queues.submit('batch'), 'EINVAL', /^'batch' is not a valid queue$/);
  assert.equal(queues.queues.isStarted(queues.core.job()), true);
  assert.equal(queues.queues.isStarted(queues.core.job({ queue: 'batch' })), false);
});

test('queues of the configuration are enabled and stopped', () => {
  const queues = new Fixture(two);
  assert.deepEqual(queues.call('queue-list'), { queues: ['batch', 'debug'] });
  assert.deepEqual(queues.status('batch'), { enable: true, start: false });
  throwsCode(() => queues.status(), 'EINVAL', /^a named queue is required$/);
  throwsCode(() => queues.status('constructor'), 'EINVAL');
  throwsCode(() => queues.submit(), 'EINVAL', /^a named queue is required$/);
  queues.submit('debug');
});

for (const [config, requests, name, expected] of [
  [
    {},
    [['queue-enable', { enable: false, all: false, reason: 'r' }]],
    undefined,
    { enable: false, start: true, disable_reason: 'r' },
  ],
  [
    {},
    [
      ['queue-enable', { enable: false, all: false, reason: 'r' }],
      ['queue-enable', { enable: true, all: false }],
    ],
    undefined,
    { enable: true, start: true },
  ],
  [
    {},
    [['queue-start', { start: false, all: true, reason: 's' }]],
    undefined,
    { enable: true, start: false, stop_reason: 's' },
  ],
  [{}, [['queue-start', { start: false, all: true, nocheckpoint: false }]], undefined, { enable: true, start: false }],
  [two, [['queue-start', { start: true, all: true }]], 'debug', { enable: true, start: true }],
  [two, [['queue-start', { start: true, all: false, name: 'batch' }]], 'debug', { enable: true, start: false }],
  [
    two,
    [['queue-enable', { enable: false, all: true, reason: 'x' }]],
    'debug',
    { enable: false, start: false, disable_reason: 'x' },
  ],
  [
    virtual,
    [['queue-start', { start: true, all: false, name: 'night' }]],
    'night',
    { enable: true, start: false, parent: 'batch', blocked: 'parent', stop_reason: "parent queue 'batch' is stopped" },
  ],
  [virtual, [['queue-start', { start: true, all: true }]], 'night', { enable: true, start: true, parent: 'batch' }],
] as [JsonObject, [string, JsonObject][], string | undefined, JsonObject][]) {
  test(`${requests.map(([method, payload]) => `${method} ${JSON.stringify(payload)}`)}: status of ${name}`, () => {
    const queues = new Fixture(config);
    for (const [method, payload] of requests) assert.equal(queues.call(method, payload), undefined);
    assert.deepEqual(queues.status(name), expected);
  });
}

for (const [config, method, payload, code, text] of [
  [{}, 'queue-enable', { enable: false, all: false }, 'EINVAL', /^reason is required for disable$/],
  [{}, 'queue-enable', { enable: true, all: false, name: 'x' }, 'EINVAL', /^'x' is not a valid queue$/],
  [two, 'queue-enable', { enable: true, all: false }, 'EINVAL', /^Use --all to apply this command to all queues$/],
  [two, 'queue-start', { start: true, all: false }, 'EINVAL', /^Use --all to apply this command to all queues$/],
  [{}, 'queue-start', { start: true, all: false, name: 'batch' }, 'EINVAL', /^'batch' is not a valid queue$/],
  [{}, 'queue-start', { start: 1, all: true }, 'EPROTO', /start/],
  [{}, 'queue-start', { start: true }, 'EPROTO', /all/],
  [{}, 'queue-enable', { all: true }, 'EPROTO', /enable/],
  [{}, 'queue-status', { name: 5 }, 'EPROTO', /name/],
] as [JsonObject, string, JsonObject, 'EINVAL' | 'EPROTO', RegExp][]) {
  test(`${method} ${JSON.stringify(payload)} is refused`, () =>
    throwsCode(() => new Fixture(config).call(method, payload), code, text));
}

test('guests may look at queues, and change nothing', () => {
  const { methods } = new Fixture().queues;
  const allowed = Object.entries(methods).filter(([, { allow }]) => allow === Role.user);
  assert.deepEqual(
    allowed.map(([name]) => name),
    ['queue-list', 'queue-status'],
  );
});

test('without a scheduler nothing is started', () => {
  const queues = new Fixture(virtual);
  queues.core.isSchedulerReady = false;
  const stop_reason = 'Scheduler is offline';
  assert.deepEqual(queues.status('batch'), { enable: true, start: false, stop_reason });
  queues.call('queue-start', { start: true, all: true });
  assert.deepEqual(queues.status('batch'), { enable: true, start: false, blocked: 'scheduler', stop_reason });
});

test('a disabled queue takes no jobs', () => {
  const anonymous = new Fixture();
  anonymous.call('queue-enable', { enable: false, all: false, reason: 'no more' });
  throwsCode(() => anonymous.submit(), 'EINVAL', /^job submission is disabled: no more$/);
  const queues = new Fixture(two);
  queues.call('queue-enable', { enable: false, all: false, name: 'batch', reason: 'no more' });
  throwsCode(() => queues.submit('batch'), 'EINVAL', /^job submission to batch is disabled: no more$/);
  queues.submit('debug');
});

test('jobs of a queue wait for resources while it and its parent are started', () => {
  const queues = new Fixture(virtual);
  const { core } = queues;
  const [batch, night, debug] = ['batch', 'night', 'debug'].map((queue) => core.job({ queue }));
  core.job({ queue: 'gone' });
  const start = (name: string) => queues.call('queue-start', { start: true, all: false, name });
  const stop = (name: string) => queues.call('queue-start', { start: false, all: false, name });
  start('night');
  assert.deepEqual(core.take(), ['enqueue']);
  start('batch');
  assert.deepEqual(core.take(), [`enqueue ${batch!.id} ${night!.id}`]);
  start('debug');
  assert.deepEqual(core.take(), [`enqueue ${debug!.id}`]);
  stop('night');
  assert.deepEqual(core.take(), [`dequeue ${night!.id}`]);
  assert.equal(queues.queues.isStarted(batch!), true);
  stop('batch');
  assert.deepEqual(core.take(), [`dequeue ${batch!.id} ${night!.id}`]);
  assert.deepEqual(
    [batch, night, debug].map((job) => queues.queues.isStarted(job!)),
    [false, false, true],
  );
});

test('a queue that stays in the configuration keeps its state; with the last the one without a name is back', () => {
  const queues = new Fixture(two);
  queues.call('queue-start', { start: true, all: true });
  queues.queues.configure({ queues: { batch: { requires: ['b'] }, night: { parent: 'batch' } } });
  assert.deepEqual(queues.call('queue-list'), { queues: ['batch', 'night'] });
  assert.deepEqual(queues.status('batch'), { enable: true, start: true });
  assert.deepEqual(queues.status('night'), { enable: true, start: false, parent: 'batch' });
  throwsCode(() => queues.queues.configure({ queues: { x: { parent: 'y' } } }), 'EINVAL', /'y' is not configured/);
  assert.deepEqual(queues.call('queue-list'), { queues: ['batch', 'night'] });
  queues.queues.configure({ queues: {} });
  assert.deepEqual(queues.status(), { enable: true, start: true });
});

for (const [queues, text] of [
  [5, /must be a table/],
  [{ a: 5 }, /queue a: configuration must be a table/],
  [{ a: { parent: 5 } }, /'parent' must be a string/],
  [{ a: { parent: 'a' } }, /parent queue is itself/],
  [{ a: { parent: 'b' } }, /parent queue 'b' is not configured/],
  [{ a: { parent: 'b' }, b: { parent: 'c' }, c: {} }, /parent queue 'b' is itself a virtual queue/],
  [{ a: { requires: [5] } }, /'requires' must be an array of strings/],
] as [JsonValue, RegExp][]) {
  test(`[queues] ${JSON.stringify(queues)} is refused`, () =>
    throwsCode(() => new Fixture({ queues }), 'EINVAL', text));
}

// ---- restarts

test('a restart finds queues as they were, but for what was not to be kept', () => {
  const queues = new Fixture(two);
  queues.call('queue-start', { start: true, all: true });
  queues.call('queue-start', { start: false, all: false, name: 'debug', nocheckpoint: true, reason: 'now' });
  queues.call('queue-enable', { enable: false, all: false, name: 'batch', reason: 'broken' });
  const saved = queues.queues.save();
  assert.deepEqual(saved, [
    { enable: false, start: true, name: 'batch', disable_reason: 'broken' },
    { enable: true, start: true, name: 'debug' },
  ]);
  const again = new Fixture({ queues: { debug: {}, batch: {}, new: {} } });
  const waits = again.core.job({ queue: 'new' });
  again.core.job({ queue: 'debug' });
  again.queues.restore(1, saved);
  assert.deepEqual(again.core.take(), [`dequeue ${waits.id}`]);
  assert.deepEqual(again.status('batch'), { enable: false, start: true, disable_reason: 'broken' });
  assert.deepEqual(again.status('debug'), { enable: true, start: true });
  assert.deepEqual(again.status('new'), { enable: true, start: false });
});

test('what flux-core writes is read: with and without a name, of both versions', () => {
  const queues = new Fixture();
  queues.queues.restore(1, [
    { enable: true, start: false, stop_reason: 'power' },
    { name: 'x', enable: true, start: true },
  ]);
  assert.deepEqual(queues.status(), { enable: true, start: false, stop_reason: 'power' });
  assert.deepEqual(queues.queues.save(), [{ enable: true, start: false, stop_reason: 'power' }]);
  const old = new Fixture();
  old.queues.restore(0, [{ enable: false, reason: 'old' }]);
  assert.deepEqual(old.status(), { enable: false, start: true, disable_reason: 'old' });
  for (const [version, saved] of [
    [2, []],
    [1, {}],
    [1, [{ enable: true }]],
  ] as const)
    assert.throws(() => old.queues.restore(version, saved));
});

test('queues may be stopped by each restart', () => {
  const queues = new Fixture({ 'job-manager': { 'stop-queues-on-restart': true } });
  const job = queues.core.job();
  queues.queues.restore(1, [{ enable: true, start: true }]);
  const stop_reason = 'Automatically stopped due to restart';
  assert.deepEqual(queues.status(), { enable: true, start: false, stop_reason });
  assert.deepEqual(queues.core.take(), [`dequeue ${job.id}`]);
  assert.equal(job.state, JobState.sched);
  throwsCode(() => new Fixture({ 'job-manager': { 'stop-queues-on-restart': 5 } }), 'EINVAL');
});
