// What users ask of the job manager: who may, and what is said to what can't be done.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject, JsonValue } from '../../../core/json.ts';
import type { Credentials } from '../../../core/message/credentials.ts';
import { JobFlag } from '../../../workers/job-manager/job.ts';
import { Fixture, guest, otherGuest, owner, plain, settled } from './fixture.ts';

/** Jobs 1 (held), 2 (running) and 3 (inactive) of one guest. */
async function threeJobs(config: JsonObject = {}): Promise<Fixture> {
  const manager = await Fixture.start({ config });
  await manager.schedulerComes();
  await manager.executorComes();
  await manager.submit({ id: 1n, urgency: 0 });
  await manager.submit({ id: 2n });
  await manager.grantAll();
  await manager.complete({ id: 3n });
  return manager;
}

interface Row {
  readonly method: string;
  readonly payload?: JsonObject;
  readonly user?: Credentials;
  /** What it is refused with, or what it answers. */
  readonly errno?: string;
  readonly text?: string;
  readonly answer?: JsonValue;
}

const raise = { severity: 1, type: 'note', note: 'hm' };
const rows: readonly Row[] = [
  // Malformed
  ...['raise', 'raiseall', 'kill', 'urgency', 'memo', 'getattr', 'purge', 'purge-id', 'list', 'exec-hello'].flatMap(
    (method): Row[] => [
      { method, errno: 'EPROTO' },
      { method, payload: { id: 'x' }, errno: 'EPROTO' },
    ],
  ),
  { method: 'killall', errno: 'EPROTO', text: 'error decoding request' },
  { method: 'wait', payload: { id: 'x' }, errno: 'EPROTO', text: 'malformed wait request' },
  { method: 'jobtap', payload: { remove: 5 }, errno: 'EPROTO' },
  { method: 'jobtap-query', payload: { id: 'x' }, errno: 'EINVAL', text: 'Protocol error' },
  // The owner's
  ...['list', 'drain', 'idle', 'resource-status', 'submit', 'sched-ready', 'exec-hello', 'purge', 'wait', 'jobtap'].map(
    (method): Row => ({ method, user: guest, errno: 'EPERM', text: 'Request requires owner credentials' }),
  ),
  { method: 'events-journal', payload: {}, user: guest, errno: 'EPERM', text: 'Request requires owner credentials' },

  // raise
  { method: 'raise', payload: { id: 1, ...raise } },
  { method: 'raise', payload: { id: 1, ...raise }, user: guest },
  { method: 'raise', payload: { id: 1, ...raise, severity: 8 }, errno: 'EPROTO', text: 'invalid exception severity' },
  { method: 'raise', payload: { id: 1, ...raise, severity: -1 }, errno: 'EPROTO', text: 'invalid exception severity' },
  { method: 'raise', payload: { id: 1, ...raise, type: 'a b' }, errno: 'EPROTO', text: 'invalid exception type' },
  { method: 'raise', payload: { id: 1, ...raise, type: 'a=b' }, errno: 'EPROTO', text: 'invalid exception type' },
  { method: 'raise', payload: { id: 1, ...raise, type: '' }, errno: 'EPROTO', text: 'invalid exception type' },
  { method: 'raise', payload: { id: 9, ...raise }, errno: 'ENOENT', text: 'unknown job id' },
  { method: 'raise', payload: { id: 3, ...raise }, errno: 'ENOENT', text: 'job is inactive' },
  {
    method: 'raise',
    payload: { id: 1, ...raise },
    user: otherGuest,
    errno: 'EPERM',
    text: 'guests can only raise exceptions on their own jobs',
  },
  // raiseall
  {
    method: 'raiseall',
    payload: { dry_run: true, userid: -1, states: 62, ...raise },
    answer: { count: 2, errors: 0 },
  },
  {
    method: 'raiseall',
    payload: { dry_run: false, userid: 4294967295, states: 48, ...raise },
    answer: { count: 1, errors: 0 },
  },
  {
    method: 'raiseall',
    payload: { dry_run: false, userid: 200, states: 62, ...raise },
    user: guest,
    answer: { count: 2, errors: 0 },
  },
  {
    method: 'raiseall',
    payload: { dry_run: false, userid: -1, states: 62, ...raise },
    user: guest,
    errno: 'EPERM',
    text: 'guests can only raise exceptions on their own jobs',
  },
  {
    method: 'raiseall',
    payload: { dry_run: false, userid: -1, states: 62, ...raise, severity: 9 },
    errno: 'EPROTO',
    text: 'invalid exception severity',
  },
  // kill
  { method: 'kill', payload: { id: 2, signum: 15 }, user: guest },
  { method: 'kill', payload: { id: 2, signum: 0 }, errno: 'EINVAL', text: 'Invalid signal number' },
  { method: 'kill', payload: { id: 2, signum: 65 }, errno: 'EINVAL', text: 'Invalid signal number' },
  { method: 'kill', payload: { id: 1, signum: 15 }, errno: 'EINVAL', text: 'job is not running' },
  { method: 'kill', payload: { id: 3, signum: 15 }, errno: 'EINVAL', text: 'job is inactive' },
  { method: 'kill', payload: { id: 9, signum: 15 }, errno: 'EINVAL', text: 'unknown job id' },
  {
    method: 'kill',
    payload: { id: 2, signum: 15 },
    user: otherGuest,
    errno: 'EPERM',
    text: 'guests may only send signals to their own jobs',
  },
  // killall
  { method: 'killall', payload: { dry_run: false, userid: -1, signum: 15 }, answer: { count: 1, errors: 0 } },
  { method: 'killall', payload: { dry_run: true, userid: 201, signum: 15 }, answer: { count: 0, errors: 0 } },
  {
    method: 'killall',
    payload: { dry_run: false, userid: 200, signum: 15 },
    user: otherGuest,
    errno: 'EPERM',
    text: 'guests can only kill their own jobs',
  },
  {
    method: 'killall',
    payload: { dry_run: false, userid: -1, signum: 99 },
    errno: 'EINVAL',
    text: 'Invalid signal number',
  },
  // urgency
  { method: 'urgency', payload: { id: 1, urgency: 31 }, answer: { old_urgency: 0 } },
  { method: 'urgency', payload: { id: 1, urgency: 16 }, user: guest, answer: { old_urgency: 0 } },
  {
    method: 'urgency',
    payload: { id: 1, urgency: 17 },
    user: guest,
    errno: 'EPERM',
    text: 'guests can only adjust urgency <= default',
  },
  {
    method: 'urgency',
    payload: { id: 1, urgency: 1 },
    user: otherGuest,
    errno: 'EPERM',
    text: 'guests can only reprioritize their own jobs',
  },
  { method: 'urgency', payload: { id: 1, urgency: 1.5 }, errno: 'EPROTO' },
  { method: 'urgency', payload: { id: 1, urgency: 32 }, errno: 'EINVAL', text: 'urgency value is out of range' },
  { method: 'urgency', payload: { id: 1, urgency: -1 }, errno: 'EINVAL', text: 'urgency value is out of range' },
  { method: 'urgency', payload: { id: 9, urgency: 1 }, errno: 'EINVAL', text: 'unknown job' },
  { method: 'urgency', payload: { id: 3, urgency: 1 }, errno: 'EINVAL', text: 'job is inactive' },
  {
    method: 'urgency',
    payload: { id: 2, urgency: 1 },
    errno: 'EINVAL',
    text: 'urgency cannot be changed once resources are allocated',
  },
  // memo
  { method: 'memo', payload: { id: 1, memo: { a: { b: 1 } } }, user: guest },
  { method: 'memo', payload: { id: 1, memo: [1] }, errno: 'EINVAL' },
  { method: 'memo', payload: { id: 1, memo: 'text' }, errno: 'EINVAL' },
  { method: 'memo', payload: { id: 9, memo: {} }, errno: 'ENOENT', text: 'unknown job id' },
  { method: 'memo', payload: { id: 3, memo: {} }, errno: 'ENOENT', text: 'job is inactive' },
  {
    method: 'memo',
    payload: { id: 1, memo: {} },
    user: otherGuest,
    errno: 'EPERM',
    text: 'guests can only add a memo to their own jobs',
  },
  // getattr
  { method: 'getattr', payload: { id: 1, attrs: [] }, user: guest, answer: {} },
  { method: 'getattr', payload: { id: 1, attrs: 'R' }, answer: {} },
  { method: 'getattr', payload: { id: 1, attrs: ['nosuch'] }, errno: 'ENOENT', text: 'unknown attr nosuch' },
  { method: 'getattr', payload: { id: 1, attrs: [3] }, errno: 'EPROTO', text: 'attribute list contains non-string' },
  { method: 'getattr', payload: { id: 1, attrs: ['R'] }, errno: 'ENOENT', text: 'R is NULL' },
  { method: 'getattr', payload: { id: 9, attrs: ['R'] }, errno: 'EINVAL', text: 'unknown job' },
  {
    method: 'getattr',
    payload: { id: 1, attrs: ['R'] },
    user: otherGuest,
    errno: 'EPERM',
    text: 'guests can only access their own jobs',
  },
  // what anybody may know
  { method: 'getinfo', user: guest, answer: { max_jobid: 3 } },
  { method: 'alloc-query', user: guest, answer: { queue_length: 0, alloc_pending: 0, running: 1 } },
  // list
  { method: 'list', payload: { max_entries: -1 }, errno: 'EPROTO' },
  // wait
  {
    method: 'wait',
    payload: { id: 2 },
    errno: 'ECHILD',
    text: 'job was not submitted with FLUX_JOB_WAITABLE',
  },
  {
    method: 'wait',
    payload: { id: 3 },
    errno: 'ECHILD',
    text: 'invalid job id, or job may be inactive and not waitable',
  },
  { method: 'wait', payload: { id: -1 }, errno: 'ECHILD', text: 'there are no more waitable jobs' },
  // purge
  { method: 'purge', payload: { age_limit: -1, num_limit: -1, batch: 9, force: true }, answer: { count: 0 } },
  { method: 'purge', payload: { age_limit: 0, num_limit: -1, batch: 9, force: false }, answer: { count: 0 } },
  { method: 'purge', payload: { age_limit: -1, num_limit: 0, batch: 9, force: false }, answer: { count: 1 } },
  {
    method: 'purge',
    payload: { age_limit: -2, num_limit: 0, batch: 9, force: false },
    errno: 'EINVAL',
    text: 'if set, age limit must be >= 0',
  },
  {
    method: 'purge',
    payload: { age_limit: 0, num_limit: -2, batch: 9, force: false },
    errno: 'EINVAL',
    text: 'if set, num limit must be >= 0',
  },
  {
    method: 'purge',
    payload: { age_limit: -1, num_limit: 0, batch: 101, force: true },
    errno: 'EINVAL',
    text: 'batch must be >= 1 and <= 100',
  },
  { method: 'purge', payload: { age_limit: -1, num_limit: 0, batch: 1, force: 1 }, errno: 'EPROTO' },
  { method: 'purge-id', payload: { id: 3, force: 0 }, answer: { count: 1 } },
  { method: 'purge-id', payload: { id: 3, force: true }, errno: 'EPROTO' },
  { method: 'purge-id', payload: { id: 9, force: 1 }, errno: 'ENOENT', text: 'id not found' },
  { method: 'purge-id', payload: { id: 2, force: 1 }, errno: 'EINVAL', text: 'cannot purge active job' },
];

for (const { method, payload, user = owner, errno = '', text, answer } of rows)
  test(`${method} ${JSON.stringify(payload)} of user ${user.userid} is ${errno || 'answered'}`, async () => {
    const manager = await threeJobs();
    const got = await manager.ask(method, payload, { user });
    assert.equal(got.errno, errno, got.text);
    if (text !== undefined) assert.equal(got.text, text);
    if (answer !== undefined) assert.deepEqual(plain(got.payload), answer);
  });

test('signals are events for the shells of a job', async () => {
  const manager = await threeJobs();
  await manager.call('kill', { id: 2, signum: 10 });
  assert.deepEqual(plain(manager.published.at(-1) as never), { topic: 'shell-2.kill', payload: { signum: 10 } });
});

test('a job is listed with what is noted on it', async () => {
  const manager = await threeJobs();
  await manager.call('memo', { id: 1, memo: { a: { b: 1 }, c: 2 } });
  await manager.call('memo', { id: 1, volatile: true, memo: { a: null } });
  const { jobs } = plain(await manager.call('list', { max_entries: 0 })) as { jobs: JsonObject[] };
  assert.deepEqual(jobs, [
    {
      id: 1,
      userid: 200,
      urgency: 0,
      priority: 0,
      t_submit: 1_800_000_000.5,
      state: 8,
      annotations: { user: { c: 2 } },
    },
    {
      id: 2,
      userid: 200,
      urgency: 16,
      priority: 16,
      t_submit: 1_800_000_000.5,
      state: 16,
      annotations: { sched: { resource_summary: 'x' } },
    },
  ]);
  assert.equal(manager.names(1n), 'submit validate depend priority memo', 'what is volatile is not kept');
  const few = plain(await manager.call('list', { max_entries: 1 })) as { jobs: JsonObject[] };
  assert.equal(few.jobs.length, 1);
});

test('attributes of active and of inactive jobs are told', async () => {
  const manager = await threeJobs();
  const names = (answer: JsonObject) => (answer.eventlog as { name: string }[]).map(({ name }) => name).join(' ');
  const running = plain(await manager.call('getattr', { id: 2, attrs: ['jobspec', 'R', 'eventlog'] }, { user: guest }));
  assert.equal(names(running as JsonObject), 'submit validate depend priority alloc');
  assert.equal(((running as JsonObject).R as JsonObject).version, 1);
  // R of an inactive job is what the scheduler has stored.
  manager.kvs.set('job.0000.0000.0000.0003.R', JSON.stringify({ version: 1, execution: {}, scheduling: 'x' }));
  const over = plain(await manager.call('getattr', { id: 3, attrs: ['jobspec', 'R', 'eventlog'] })) as JsonObject;
  assert.equal(names(over), 'submit validate depend priority alloc start finish release free clean');
  assert.deepEqual(over.R, { version: 1, execution: {} });
  assert.deepEqual(((over.jobspec as JsonObject).attributes as JsonObject).system, { duration: 0 });
});

test('in private mode guests are told of nothing but their own jobs', async () => {
  const manager = await threeJobs({ access: { 'private-mode': true } });
  for (const method of ['getinfo', 'stats-get'])
    assert.equal((await manager.ask(method, undefined, { user: guest })).errno, 'EPERM');
  for (const id of [1, 9]) {
    const { errno, text } = await manager.ask('getattr', { id, attrs: [] }, { user: otherGuest });
    assert.equal(errno, 'EPERM');
    assert.equal(text, undefined, 'not even that there is such a job');
  }
  assert.equal((await manager.ask('getattr', { id: 1, attrs: [] }, { user: guest })).errno, '');
  assert.deepEqual(plain(await manager.call('getinfo')), { max_jobid: 3 });
});

// ---- waiting

test('each end of a waitable job is told once', async () => {
  const manager = await Fixture.start();
  await manager.schedulerComes();
  await manager.executorComes();
  const flags = JobFlag.waitable;
  await manager.complete({ id: 1n, flags });
  await manager.complete({ id: 2n, flags }, 1 << 8);
  await manager.complete({ id: 3n, flags }, 9);
  const { jobs } = plain(await manager.call('list', { max_entries: 0 })) as { jobs: JsonObject[] };
  assert.deepEqual(
    jobs.map(({ id, state }) => [id, state]),
    [
      [1, 64],
      [2, 64],
      [3, 64],
    ],
  );
  assert.deepEqual(plain(await manager.call('wait', { id: 2 })), {
    id: 2,
    success: false,
    errstr: 'task(s) exited with exit code 1',
  });
  assert.equal((await manager.ask('wait', { id: 2 })).errno, 'ECHILD');
  assert.deepEqual(plain(await manager.call('wait', { id: -1 })), { id: 1, success: true, errstr: '' });
  assert.deepEqual(plain(await manager.call('wait', { id: -1 })), {
    id: 3,
    success: false,
    errstr: 'job shell Killed',
  });
  assert.equal((await manager.ask('wait', { id: -1 })).errno, 'ECHILD');
});

test('who waits for one job, and who for any, is told when it ends', async () => {
  const manager = await Fixture.start();
  const flags = JobFlag.waitable;
  await manager.submit({ id: 1n, flags }, { id: 2n, flags });
  const one = manager.send('wait', { id: 1 });
  const any = manager.send('wait', { id: -1 }, { client: 'c2' });
  assert.deepEqual(await manager.taken(one), []);
  const second = await manager.ask('wait', { id: 1 });
  assert.deepEqual([second.errno, second.text], ['ECHILD', 'job id already has a waiter']);
  const third = await manager.ask('wait', { id: -1 });
  assert.deepEqual([third.errno, third.text], ['ECHILD', 'there are no more waitable jobs']);
  for (const id of [1, 2]) await manager.call('raise', { id, severity: 0, type: 'cancel', note: 'no more' });
  const answers = [await manager.taken(one), await manager.taken(any)].map(([answer]) => plain(answer?.payload));
  assert.deepEqual(answers, [
    { id: 1, success: false, errstr: 'Fatal exception type=cancel no more' },
    { id: 2, success: false, errstr: 'Fatal exception type=cancel no more' },
  ]);
});

test('a client that is gone waits no more, and makes room for another', async () => {
  const manager = await Fixture.start();
  await manager.submit({ id: 1n, flags: JobFlag.waitable });
  const gone = manager.send('wait', { id: 1 }, { client: 'gone' });
  manager.notify('disconnect', undefined, { client: 'gone' });
  const other = manager.send('wait', { id: 1 });
  await manager.call('raise', { id: 1, severity: 0, type: 'cancel' });
  assert.equal((await manager.taken(other)).length, 1);
  assert.equal((await manager.taken(gone)).length, 0);
});

test('who waits when the module ends is told so', async () => {
  const manager = await Fixture.start();
  await manager.submit({ id: 1n, flags: JobFlag.waitable }, { id: 2n, flags: JobFlag.waitable });
  const waits = [
    manager.send('wait', { id: 1 }),
    manager.send('wait', { id: -1 }),
    manager.send('drain'),
    manager.stream('events-journal', { allow: {} }),
  ];
  await manager.stop();
  const ends = [];
  for (const wait of waits) ends.push((await manager.taken(wait)).at(-1)?.errno);
  assert.deepEqual(ends, ['ENOSYS', 'ENOSYS', 'ENOSYS', 'ENODATA']);
});

test('drain waits for all jobs, idle for those that run', async () => {
  const manager = await Fixture.start();
  await manager.schedulerComes();
  await manager.executorComes();
  assert.deepEqual(plain(await manager.call('idle')), { pending: 0 });
  await manager.submit({ id: 1n, urgency: 0 }, { id: 2n });
  await manager.grantAll();
  const drain = manager.send('drain');
  const idle = manager.send('idle');
  await manager.run(2n, manager.takeAsked('job-exec.start').get(2n));
  assert.deepEqual(
    (await manager.taken(idle)).map(({ payload }) => plain(payload)),
    [{ pending: 1 }],
  );
  assert.deepEqual(await manager.taken(drain), []);
  await manager.call('raise', { id: 1, severity: 0, type: 'cancel' });
  assert.equal((await manager.taken(drain)).length, 1);
});

// ---- purging

test('inactive jobs are removed, the oldest first, and that is told', async () => {
  const manager = await Fixture.start();
  await manager.schedulerComes();
  await manager.executorComes();
  for (let id = 1n; id <= 5n; id++) {
    await manager.complete({ id });
    await manager.pass(10);
  }
  const purge = (limits: JsonObject) =>
    manager.call('purge', { age_limit: -1, num_limit: -1, batch: 10, force: true, ...limits });
  assert.deepEqual(plain(await purge({ num_limit: 4 })), { count: 1 });
  assert.deepEqual(plain(manager.published.at(-1) as never), { topic: 'job-purge-inactive', payload: { jobs: [1] } });
  assert.deepEqual(plain(await purge({ age_limit: 35.5 })), { count: 1 });
  assert.deepEqual(plain(await purge({ age_limit: 0, batch: 2 })), { count: 2 });
  assert.deepEqual([...manager.kvs.keys()], ['job.0000.0000.0000.0005.jobspec', 'job.0000.0000.0000.0005.eventlog']);
  assert.deepEqual(plain(await manager.call('purge-id', { id: 5, force: 1 })), { count: 1 });
  assert.deepEqual(
    [...manager.kvs].map(([key, text]) => [key, JSON.parse(text).max_jobid]),
    [['checkpoint.job-manager', 5]],
    'the newest id is remembered',
  );
});

test('the limits of the configuration are kept at heartbeats, and may change', async () => {
  const config = { 'job-manager': { 'inactive-num-limit': 1 } };
  const manager = await Fixture.start({ config });
  await manager.schedulerComes();
  await manager.executorComes();
  for (let id = 1n; id <= 3n; id++) await manager.complete({ id });
  const count = async () => (await manager.call('stats-get')).inactive_jobs;
  assert.equal(await count(), 3);
  await manager.event('heartbeat.pulse');
  assert.equal(await count(), 1);
  await manager.call('config-reload', { 'job-manager': { 'inactive-age-limit': '5s' } });
  await manager.pass(4);
  await manager.event('heartbeat.pulse');
  assert.equal(await count(), 1);
  await manager.pass(2);
  await manager.event('heartbeat.pulse');
  assert.equal(await count(), 0);
  await manager.call('config-reload', {});
  assert.equal(manager.isSubscribed('heartbeat.pulse'), false);
});

const badConfigs: readonly (readonly [JsonObject, RegExp])[] = [
  [{ 'job-manager': { 'inactive-age-limit': 'x' } }, /job-manager.inactive-age-limit: invalid FSD$/],
  [{ 'job-manager': { 'inactive-age-limit': 5 } }, /inactive-age-limit/],
  [{ 'job-manager': { 'inactive-num-limit': -5 } }, /job-manager.inactive-num-limit: must be >= 0$/],
  [{ 'job-manager': { 'inactive-num-limit': 'x' } }, /inactive-num-limit/],
  [{ access: { 'private-mode': 'x' } }, /private-mode/],
];
for (const [config, text] of badConfigs)
  test(`the configuration ${JSON.stringify(config)} is refused, at the start and later`, async () => {
    await assert.rejects(Fixture.start({ config }), text);
    const manager = await Fixture.start();
    const answer = await manager.ask('config-reload', config);
    assert.equal(answer.errno, 'EINVAL');
    assert.match(answer.text ?? '', text);
    await settled();
  });
