/** Updates of jobs: who may, what plugins and the scheduler say, and which events follow. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errnoName, FluxError } from '../../../core/errno.ts';
import { callMethod, Request } from '../../../core/handle/methods.ts';
import type { JsonObject, JsonValue } from '../../../core/json.ts';
import { Role } from '../../../core/message/credentials.ts';
import { Message } from '../../../core/message/message.ts';
import type { Job, StateName } from '../../../workers/job-manager/job.ts';
import { Updates } from '../../../workers/job-manager/update.ts';
import { FakeCore } from './fake-core.ts';
import { resources } from './fake-jobtap.ts';
import { settled } from './service-world.ts';

const DURATION = 'attributes.system.duration';
const owner = { userid: 100, rolemask: Role.owner };
const guest = { userid: 200, rolemask: Role.user };

class Fixture {
  readonly core = new FakeCore();
  readonly updates = new Updates(this.core);

  job(state: StateName = 'sched', userid = 100, system: JsonObject = {}): Job {
    const R = resources('0', { starttime: this.core.world.now, expiration: this.core.world.now + 600 });
    return this.core.job(system, { state, userid, R: state === 'run' ? R : undefined });
  }

  /** `ok`, or the errno and text of the answer; undefined when there is none yet. */
  async ask(id: JsonValue, updates: JsonValue, credentials = owner): Promise<string | undefined> {
    let answer: string | undefined;
    const message = Message.request({
      topic: 'job-manager.update',
      payload: { id, updates },
      matchtag: 1,
      credentials,
    });
    const request = new Request(message, owner, (response) => {
      answer = response.errnum ? `${errnoName(response.errnum)} ${response.errorText()}` : 'ok';
    });
    callMethod(this.updates.methods.update!, request, (_, error) => assert.fail(String(error)));
    await settled();
    return answer;
  }
}

const change = { 'attributes.system.x': 1 };

test('an update is checked, and posted', async () => {
  const fixture = new Fixture();
  fixture.core.verdict = () => ({});
  const { id } = fixture.job();
  assert.equal(await fixture.ask(id, change), 'ok');
  const json = '{"attributes.system.x":1}';
  assert.deepEqual(fixture.core.take(), [`validate 1 ${json}`, `post 1 jobspec-update ${json}`]);
  assert.equal(await fixture.ask(id, {}), 'ok');
});

for (const [what, setUp, updates, credentials, expected] of [
  ['an unknown job', () => 99n, change, owner, 'ENOENT unknown job id'],
  [
    'a job that is over',
    ({ core }: Fixture) => {
      const job = core.job();
      core.retire(job);
      return job.id;
    },
    change,
    owner,
    'EINVAL job is inactive',
  ],
  [
    'a job of another user',
    (fixture: Fixture) => fixture.job().id,
    change,
    guest,
    'EPERM guests may only update their own jobs',
  ],
  [
    'a job that the owner has changed',
    (fixture: Fixture) => {
      const job = fixture.job('sched', 200);
      job.isImmutable = true;
      return job.id;
    },
    change,
    guest,
    'EPERM job is immutable due to previous instance owner update',
  ],
  [
    'a key that is none',
    (fixture: Fixture) => fixture.job().id,
    { tasks: 1 },
    owner,
    'EINVAL one or more jobspec updates are invalid',
  ],
] as [string, (fixture: Fixture) => bigint, JsonObject, typeof owner, string][]) {
  test(`${what} is refused`, async () => {
    const fixture = new Fixture();
    assert.equal(await fixture.ask(setUp(fixture), updates, credentials), expected);
    assert.deepEqual(fixture.core.take(), []);
  });
}

test('payloads that are none are refused', async () => {
  const fixture = new Fixture();
  assert.match((await fixture.ask('x', {}))!, /^EPROTO/);
  assert.match((await fixture.ask(1, [1]))!, /^EPROTO/);
});

test('one key that a plugin refuses refuses all, and so does one that they refuse together', async () => {
  const fixture = new Fixture();
  const { id } = fixture.job();
  fixture.core.verdict = ({ key }) => {
    if (key.endsWith('y')) throw new FluxError('EINVAL', `update of ${key} not supported`);
    return {};
  };
  const answer = await fixture.ask(id, { 'attributes.system.x': 1, 'attributes.system.y': 2 });
  assert.equal(answer, 'EINVAL update of attributes.system.y not supported');
  fixture.core.refusal = 'too much';
  assert.equal(await fixture.ask(id, change), 'EINVAL too much');
  assert.deepEqual(
    fixture.core.take().filter((line) => line.startsWith('post')),
    [],
  );
});

test('one key that needs a check has all of them checked', async () => {
  const fixture = new Fixture();
  fixture.core.verdict = ({ key }) => ({ isValidated: key.endsWith('x') });
  await fixture.ask(fixture.job().id, { 'attributes.system.x': 1, 'attributes.system.y': 2 });
  assert.match(fixture.core.take()[0]!, /^validate 1 .*x.*y/);
});

test("what the owner forces on a guest's job keeps the guest from changing it", async () => {
  const fixture = new Fixture();
  const { id } = fixture.job('sched', 200);
  assert.equal(await fixture.ask(id, change), 'ok');
  assert.deepEqual(fixture.core.take(), [
    `post ${id} set-flags {"flags":["immutable"]}`,
    `post ${id} jobspec-update {"attributes.system.x":1}`,
  ]);
  fixture.core.verdict = () => ({});
  await fixture.ask(id, change);
  assert.doesNotMatch(fixture.core.take().join(), /set-flags/);
});

// ---- the scheduler

test('the scheduler is asked whether the job could run so, with what the plugin adds', async () => {
  const fixture = new Fixture();
  const { world } = fixture.core;
  const { id } = fixture.job();
  const updates = { 'attributes.system.constraints': { properties: ['b'] } };
  fixture.core.verdict = () => ({ needsFeasibility: true, isValidated: true, updates });
  assert.equal(await fixture.ask(id, { 'attributes.system.queue': 'b' }), 'ok');
  assert.deepEqual(world.asked('feasibility.check'), [
    {
      jobspec: {
        version: 1,
        attributes: { system: { duration: 0, queue: 'b', constraints: { properties: ['b'] } } },
      },
    },
  ]);
  assert.deepEqual(fixture.core.take(), [
    'post 1 jobspec-update {"attributes.system.queue":"b","attributes.system.constraints":{"properties":["b"]}}',
  ]);
  world.answers.set('feasibility.check', () => {
    throw new FluxError('EINVAL', 'unsatisfiable request');
  });
  assert.equal(await fixture.ask(id, { 'attributes.system.queue': 'b' }), 'EINVAL unsatisfiable request');
  assert.deepEqual(fixture.core.take(), []);
});

for (const [value, expected] of [
  [3600, 3600],
  [0, undefined],
] as const) {
  test(`a job that runs gets ${value} seconds: its resources end at another time`, async () => {
    const fixture = new Fixture();
    const { world } = fixture.core;
    const { id } = fixture.job('run');
    const expiration = expected === undefined ? 0 : world.now + expected;
    assert.equal(await fixture.ask(id, { [DURATION]: value }), 'ok');
    assert.deepEqual(
      world.asked('sched.expiration').map((payload) => Number((payload as JsonObject).expiration)),
      [expiration],
    );
    assert.deepEqual(fixture.core.take(), [
      `post 1 jobspec-update {"${DURATION}":${value}}`,
      `post 1 resource-update {"expiration":${expiration}}`,
    ]);
  });
}

for (const [error, expected] of [
  [new FluxError('ENOSYS'), 'ok'],
  [new FluxError('EINVAL', 'whatever'), 'EINVAL scheduler refused expiration update'],
  [new FluxError('EBUSY'), 'EBUSY scheduler refused expiration update'],
] as const) {
  test(`a scheduler that says ${error.code} to a longer time: ${expected}`, async () => {
    const fixture = new Fixture();
    fixture.core.world.answers.set('sched.expiration', () => {
      throw error;
    });
    assert.equal(await fixture.ask(fixture.job('run').id, { [DURATION]: 3600 }), expected);
    assert.equal(fixture.core.take().length, expected === 'ok' ? 2 : 0);
  });
}

test('a job that runs can not end before now, nor without a start', async () => {
  const fixture = new Fixture();
  const job = fixture.job('run');
  await fixture.core.world.pass(100);
  const past = 'EINVAL requested duration places job expiration in the past';
  assert.equal(await fixture.ask(job.id, { [DURATION]: 99 }), past);
  job.R = resources('0');
  assert.equal(await fixture.ask(job.id, { [DURATION]: 500 }), 'EINVAL unable to get job starttime');
  assert.equal(await fixture.ask(job.id, { [DURATION]: '5m' }), `EINVAL ${DURATION} is not a number`);
  assert.deepEqual(fixture.core.take(), []);
});

test('a job that ends while the scheduler thinks is not updated; nor one when the manager stops', async () => {
  const fixture = new Fixture();
  const { core } = fixture;
  core.verdict = () => ({ needsFeasibility: true });
  const job = fixture.job();
  core.world.answers.set('feasibility.check', () => {
    core.retire(job);
    return undefined;
  });
  assert.match((await fixture.ask(job.id, change))!, /^ENOENT/);

  core.take();
  const other = fixture.job();
  core.world.answers.set('feasibility.check', () => {
    fixture.updates.stop();
    return undefined;
  });
  assert.equal(await fixture.ask(other.id, change), 'EAGAIN job manager is shutting down');
  assert.doesNotMatch(core.take().join(), /post/);
});

// ---- the instance's own time

test('when the instance has more time, jobs without a limit of their own have it, too', async () => {
  const fixture = new Fixture();
  const { core } = fixture;
  fixture.updates.started();
  await settled();
  const first = core.world.now + 1000;
  const running = fixture.job('run');
  fixture.job('run', 100, { duration: 60 });
  fixture.job('sched');
  fixture.job('run').R = resources('0');
  await core.world.setExpiration(first);
  await core.world.setExpiration(first);
  assert.deepEqual(core.take(), []);
  await core.world.setExpiration(first + 500);
  assert.deepEqual(core.take(), [`post ${running.id} resource-update {"expiration":${first + 500}}`]);
  assert.match(core.world.logs.join('\n'), /resource expiration updated from [\d.]+ to [\d.]+ \(\+500\)/);
  await core.world.setExpiration(0);
  assert.deepEqual(core.take(), [`post ${running.id} resource-update {"expiration":0}`]);
  fixture.updates.stop();
  await core.world.setExpiration(first);
  assert.deepEqual(core.take(), []);
});
