// The job manager with the plugins and parts that it comes with: what they do to jobs together.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type JsonObject, type JsonValue, real, stringifyJson } from '../../../core/json.ts';
import type { Message } from '../../../core/message/message.ts';
import { bundledParts } from '../../../workers/job-manager/bundled-parts.ts';
import { Fixture, type FixtureOptions, guest, keyOf, makeR, owner, plain, settled } from './fixture.ts';

async function start(options: FixtureOptions = {}): Promise<Fixture> {
  const manager = await Fixture.start({ ...options, parts: bundledParts });
  await manager.schedulerComes();
  await manager.executorComes();
  return manager;
}

const on = (scheme: string, value?: string) => ({ dependencies: [{ scheme, ...(value && { value }) }] });
const first = 0x10000n;
const second = 0x20000n;

/** Answers requests of a topic that nobody has answered. */
async function answerAll(manager: Fixture, topic: string, payload: JsonValue | undefined): Promise<Message[]> {
  const found = manager.asked.filter((message) => message.topic === topic);
  for (const message of found) {
    manager.asked.splice(manager.asked.indexOf(message), 1);
    manager.host.receive(message.respond(payload, owner));
  }
  await settled();
  return found;
}

/** Has programs that were asked for run, and end with a status; returns their ranks and commands. */
async function runPrograms(manager: Fixture, status = 0): Promise<string[]> {
  await answerAll(manager, 'broker.getenv', { env: {} });
  const started = await answerAll(manager, 'rexec.exec', { type: 'started', pid: 1 });
  for (const request of started) {
    manager.host.receive(request.respond({ type: 'finished', status }, owner));
    manager.host.receive(request.respondError(61, undefined, owner));
  }
  await settled();
  return started.map(({ nodeid, json }) => {
    const { cmd } = json as { cmd: { cmdline: string[] } };
    return `${nodeid} ${cmd.cmdline.join(' ')}`;
  });
}

test('all plugins are there, in the order in which they are asked', async () => {
  const manager = await start();
  assert.deepEqual(await manager.call('jobtap', { query_only: true }), {
    plugins: [
      '.priority-default',
      '.limit-job-size',
      '.limit-duration',
      '.dependency-after',
      '.dependency-singleton',
      '.begin-time',
      '.validate-duration',
      '.update-duration',
      '.history',
      '.post-event',
      '.update-queue',
    ],
  });
  for (const load of ['perilog.so', 'submit-hold.so', 'alloc-bypass.so', 'alloc-check.so'])
    await manager.call('jobtap', { load });
});

test('a job starts when the one that it waits for has ended well', async () => {
  const manager = await start();
  await manager.submit({ id: first }, { id: second, system: on('afterok', String(first)) });
  await manager.grantAll();
  await manager.run(first, manager.takeAsked('job-exec.start').get(first));
  assert.equal(manager.names(second), 'submit dependency-add validate dependency-remove depend priority');
  await manager.grantAll();
  await manager.run(second, manager.takeAsked('job-exec.start').get(second));
  assert.match(manager.names(second), / clean$/);
});

test('a job whose dependency fails ends, and one that could never be met is refused', async () => {
  const manager = await start();
  await manager.submit({ id: first }, { id: second, system: on('afternotok', String(first)) });
  await manager.grantAll();
  await manager.run(first, manager.takeAsked('job-exec.start').get(first));
  assert.equal(manager.names(second), 'submit dependency-add validate exception clean');
  assert.equal(
    manager.contextOf(second, 'exception')?.note,
    `dependency after-failure=${first} can never be satisfied`,
  );
  assert.deepEqual(await manager.submit({ id: second + 1n, system: on('afternotok', String(first)) }), [
    [Number(second + 1n), `dependency: afternotok: job ${first} succeeded`],
  ]);
});

test('dependencies outlive a restart', async () => {
  const before = await start();
  await before.submit(
    { id: first, system: { job: { name: 'a' } }, urgency: 0 },
    { id: second, system: on('afterany', String(first)) },
    { id: second + 1n, system: { job: { name: 'a' }, ...on('singleton') } },
    { id: second + 2n, system: on('begin-time', '1800000100') },
  );
  await before.stop();
  const manager = await start({ kvs: before.kvs });
  const depend = 'submit dependency-add validate';
  for (const id of [second, second + 1n, second + 2n]) assert.equal(manager.names(id), depend);
  await manager.call('raise', { id: first, type: 'cancel', severity: 0 });
  await settled();
  await manager.pass(101);
  for (const id of [second, second + 1n, second + 2n])
    assert.equal(manager.names(id), `${depend} dependency-remove depend priority`);
});

// ---- queues

const queues = {
  queues: { batch: { requires: ['b'] }, debug: { policy: { limits: { duration: '1h' } } }, night: { parent: 'batch' } },
};

test('jobs are sent to the scheduler while their queue is started', async () => {
  const manager = await start({ config: queues });
  await manager.submit({ id: first, system: { queue: 'batch' } }, { id: second, system: { queue: 'night' } });
  assert.equal(manager.takeAsked('sched.alloc').size, 0);
  await manager.call('queue-start', { start: true, all: false, name: 'batch' });
  assert.deepEqual([...manager.takeAsked('sched.alloc').keys()], [first]);
  await manager.call('queue-start', { start: true, all: false, name: 'night' });
  assert.deepEqual([...manager.takeAsked('sched.alloc').keys()], [second]);
  await manager.call('queue-start', { start: false, all: true });
  assert.deepEqual(new Set(manager.takeAsked('sched.cancel').keys()), new Set([first, second]));
});

test('queues are as they were after a restart; a job that is refused says why', async () => {
  const before = await start({ config: queues });
  await before.call('queue-start', { start: true, all: true });
  await before.call('queue-enable', { enable: false, name: 'batch', reason: 'broken', all: false });
  await before.stop();
  const manager = await start({ config: queues, kvs: before.kvs });
  assert.deepEqual(await manager.call('queue-status', { name: 'batch' }), {
    enable: false,
    start: true,
    disable_reason: 'broken',
  });
  assert.deepEqual(
    await manager.submit(
      { id: first, system: { queue: 'batch' } },
      { id: second, system: { queue: 'nosuch' } },
      { id: second + 1n, system: { queue: 'debug', duration: 7200 } },
    ),
    [
      [Number(first), 'job submission to batch is disabled: broken'],
      [Number(second), "'nosuch' is not a valid queue"],
      [Number(second + 1n), 'requested duration (2h) exceeds policy limit of 1h for queue debug'],
    ],
  );
});

test('a job moves to another queue when the scheduler has nothing against it', async () => {
  const manager = await start({ config: queues });
  await manager.submit({ id: first, system: { queue: 'debug', duration: 60 } });
  const update = manager.send(
    'update',
    { id: first, updates: { 'attributes.system.queue': 'batch' } },
    { user: guest },
  );
  await settled();
  const [question] = await answerAll(manager, 'feasibility.check', undefined);
  const { jobspec } = plain(question!.json) as { jobspec: { attributes: { system: JsonObject } } };
  assert.deepEqual(jobspec.attributes.system.constraints, { properties: ['b'] });
  assert.equal((await manager.taken(update))[0]!.errno, '');
  assert.deepEqual(manager.contextOf(first, 'jobspec-update'), {
    'attributes.system.queue': 'batch',
    'attributes.system.constraints': { properties: ['b'] },
  });
  await manager.call('queue-start', { start: true, all: false, name: 'batch' });
  assert.equal(manager.takeAsked('sched.alloc').size, 1);
});

test('a user may not ask for more than a limit by an update, the owner may', async () => {
  const manager = await start({ config: queues });
  await manager.submit({ id: first, system: { queue: 'debug', duration: 60 } });
  const payload = { id: first, updates: { 'attributes.system.duration': real(7200) } };
  const { text } = await manager.ask('update', payload, { user: guest });
  assert.equal(text, 'requested duration (2h) exceeds policy limit of 1h for queue debug');
  await manager.call('update', payload);
  assert.match(manager.names(first), / set-flags jobspec-update priority$/);
  const { errno } = await manager.ask('update', payload, { user: guest });
  assert.equal(errno, 'EPERM');
});

// ---- prolog, epilog, housekeeping

const scripts = {
  'job-manager': {
    plugins: [{ load: 'perilog.so' }],
    prolog: { command: ['prolog'] },
    epilog: { command: ['epilog'], 'per-rank': true },
    housekeeping: { command: ['tidy'] },
  },
};

test('a job has its prolog, its epilog, and housekeeping behind it', async () => {
  const manager = await start({ config: scripts });
  await manager.submit({ id: first });
  await manager.grantAll();
  assert.equal(manager.takeAsked('job-exec.start').size, 0);
  assert.deepEqual(await runPrograms(manager), ['0 prolog']);
  await manager.run(first, manager.takeAsked('job-exec.start').get(first));
  assert.match(manager.names(first), / prolog-start prolog-finish start finish epilog-start release$/);
  assert.deepEqual(await runPrograms(manager), ['0 epilog']);
  assert.match(manager.names(first), / epilog-finish free clean$/);
  assert.equal(manager.takeAsked('sched.free').size, 0);
  assert.deepEqual(await runPrograms(manager), ['0 tidy']);
  assert.deepEqual([...manager.takeAsked('sched.free').keys()], [first]);
});

test('a prolog that fails ends the job without a start, and the epilog follows', async () => {
  const manager = await start({ config: scripts });
  await manager.submit({ id: first });
  await manager.grantAll();
  assert.deepEqual(await runPrograms(manager, 256), ['0 prolog']);
  assert.match(manager.names(first), / prolog-start exception epilog-start prolog-finish$/);
  assert.deepEqual(await runPrograms(manager), ['0 epilog']);
  assert.match(manager.names(first), / epilog-finish free clean$/);
  assert.equal(manager.takeAsked('job-exec.start').size, 0);
});

test('a prolog that a restart interrupted runs again', async () => {
  const before = await start({ config: scripts });
  await before.submit({ id: first });
  await before.grantAll();
  before.kvs.set(keyOf(first, 'R'), stringifyJson(makeR(0)));
  await before.stop();
  const manager = await start({ config: scripts, kvs: before.kvs });
  assert.equal(manager.takeAsked('job-exec.start').size, 0);
  assert.deepEqual(await runPrograms(manager), ['0 prolog']);
  assert.equal(manager.takeAsked('job-exec.start').size, 1);
});

test('a scheduler that comes is told what housekeeping has', async () => {
  const manager = await start({ config: scripts });
  await manager.submit({ id: first });
  await manager.grantAll();
  await runPrograms(manager);
  await manager.run(first, manager.takeAsked('job-exec.start').get(first));
  await runPrograms(manager);
  manager.notify('disconnect', undefined, { client: 'sched' });
  const hello = await manager.schedulerComes();
  assert.deepEqual(
    hello.map(({ payload }) => Number((payload as JsonObject).id)),
    [Number(first)],
  );
  const { allocated } = plain(await manager.call('resource-status')) as { allocated: { execution: JsonObject } };
  assert.deepEqual(allocated.execution.R_lite, [{ rank: '0', children: { core: '0' } }]);
});
