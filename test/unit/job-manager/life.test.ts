// The life of jobs, from their submission to their end, and what may come between.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FluxError } from '../../../core/errno.ts';
import { JobState } from '../../../core/formats/job-state.ts';
import type { JsonObject } from '../../../core/json.ts';
import { JobFlag } from '../../../workers/job-manager/job.ts';
import { Fixture, guest, keyOf, makeR, owner, plain, settled } from './fixture.ts';

const ended = 'submit validate depend priority alloc start finish release free clean';

test('a job is submitted, gets resources, runs and is over', async () => {
  const manager = await Fixture.start();
  await manager.schedulerComes();
  await manager.executorComes();
  assert.deepEqual(await manager.submit({ id: 5n }), []);
  assert.deepEqual(manager.eventlog(5n)[0], {
    timestamp: 1_800_000_000.5,
    name: 'submit',
    context: { userid: 200, urgency: 16, flags: 0, version: 1 },
  });
  const request = manager.takeAsked('sched.alloc').get(5n)!;
  assert.equal(request.matchtag, 0);
  const { jobspec, ...rest } = plain(request.json as JsonObject);
  assert.deepEqual(rest, { id: 5, priority: 16, userid: 200, t_submit: 1_800_000_000.5 });
  assert.deepEqual(((jobspec as JsonObject).attributes as JsonObject).system, { duration: 0 }, 'no environment');
  assert.equal(await manager.state(5n), JobState.sched);
  await manager.answer(request, { id: 5n, type: 1, annotations: { sched: { t_estimate: 9 } } });
  await manager.answer(request, {
    id: 5n,
    type: 0,
    R: makeR(0),
    annotations: { sched: { t_estimate: null, resource_summary: 'rank0/core0' } },
  });
  assert.deepEqual(manager.contextOf(5n, 'alloc'), { annotations: { sched: { resource_summary: 'rank0/core0' } } });
  assert.equal(await manager.state(5n), JobState.run);
  const start = manager.takeAsked('job-exec.start').get(5n)!;
  assert.equal(start.matchtag, 0);
  const { R, reattach, userid } = plain(start.json as JsonObject);
  assert.deepEqual([(R as JsonObject).scheduling, reattach, userid], [undefined, false, 200]);
  await manager.answer(start, { id: 5n, type: 'start', data: {} });
  const data = { status: 256, rusage: { utime: 1.5, maxrss: 3 } };
  await manager.answer(start, { id: 5n, type: 'finish', data });
  assert.deepEqual(manager.contextOf(5n, 'finish'), data, 'what else is told of the end is kept');
  assert.equal(await manager.state(5n), JobState.cleanup);
  await manager.answer(start, { id: 5n, type: 'release', data: { ranks: 'all', final: true } });
  assert.equal(manager.names(5n), ended);
  assert.equal(await manager.state(5n), undefined);
  const free = manager.takeAsked('sched.free').get(5n)!;
  assert.deepEqual(plain(free.json as JsonObject).final, true);
  assert.deepEqual(plain(await manager.call('stats-get')), {
    journal: { listeners: 0, events: 12 },
    active_jobs: 0,
    inactive_jobs: 1,
    max_jobid: 5,
    housekeeping: { running: {} },
  });
});

test('events of all jobs of one turn are one commit', async () => {
  const manager = await Fixture.start();
  await manager.schedulerComes();
  await manager.submit(...Array.from({ length: 500 }, (_, index) => ({ id: BigInt(index + 1) })));
  assert.deepEqual(
    manager.commits.map((operations) => operations.length),
    [500, 500],
    'submit alone first, then all up to priority',
  );
  assert.equal(manager.takeAsked('sched.alloc').size, 500);
});

test('nothing is done for a job, nor is its submission answered, before its first event is in the KVS', async () => {
  const manager = await Fixture.start();
  await manager.schedulerComes();
  manager.heldCommits = [];
  const request = manager.send('submit', { jobs: [manager.submission({ id: 5n })] });
  assert.deepEqual(await manager.taken(request), []);
  assert.equal(await manager.state(5n), JobState.new);
  await manager.releaseCommits();
  assert.equal((await manager.taken(request)).length, 1);
  assert.equal(manager.names(5n), 'submit validate depend priority');
});

test('jobs that can not be submitted are named, the others are submitted', async () => {
  const manager = await Fixture.start({
    plugins: [
      {
        name: '.picky',
        start: () => ({
          validate: (_, jobspec) => {
            if (JSON.stringify(jobspec).includes('bad')) throw new FluxError('EINVAL', 'no bad jobs here');
          },
        }),
      },
    ],
  });
  const journal = manager.stream('events-journal', {});
  const errors = await manager.submit(
    { id: 1n },
    { id: 2n, system: { queue: 'bad' } },
    { id: 3n, system: { dependencies: [{ scheme: 'nosuch', value: '1' }] } },
    { id: 4n, system: { dependencies: { scheme: 'x' } } },
    { id: 5n, system: { dependencies: [{ value: '1' }] } },
    { id: 1n },
  );
  assert.deepEqual(errors, [
    [2, 'no bad jobs here'],
    [3, 'dependency scheme "nosuch" not supported'],
    [4, 'dependencies object must be an array'],
    [5, 'dependency[0] missing string scheme'],
    [1, 'there is such a job already'],
  ]);
  const events = (await manager.taken(journal)).map(({ payload }) => plain(payload as JsonObject) as never);
  const names = (events as { id: number; events: { name: string }[] }[]).map((each) => [each.id, each.events[0]?.name]);
  assert.deepEqual(
    names.filter(([id]) => id === 2),
    [
      [2, 'submit'],
      [2, 'invalidate'],
    ],
  );
  assert.equal(manager.kvs.has(keyOf(2n, 'eventlog')), false);
  assert.deepEqual(plain(await manager.call('getinfo')), { max_jobid: 1 });
  manager.isEnabled = false;
  assert.deepEqual(await manager.submit({ id: 9n }), [[9, 'job submission is disabled']]);
});

test('a submission that is malformed is refused as a whole', async () => {
  const manager = await Fixture.start();
  const good = manager.submission({ id: 1n });
  for (const bad of [{}, { ...good, id: 'x' }, { ...good, urgency: 1.5 }, { ...good, jobspec: 'x' }, 5]) {
    const { errno } = await manager.ask('submit', { jobs: [good, bad] });
    assert.equal(errno, 'EPROTO');
  }
  assert.equal((await manager.ask('submit', { jobs: {} })).errno, 'EPROTO');
  assert.equal((await manager.ask('submit', { jobs: [good] }, { user: guest })).errno, 'EPERM');
  assert.equal(manager.kvs.size, 0);
});

test('a job can be canceled in each state', async () => {
  const manager = await Fixture.start({
    plugins: [{ name: '.hold', start: (tap) => ({ dependency: { hold: (job) => tap.addDependency(job, 'held') } }) }],
  });
  const cancel = (id: bigint) => manager.call('raise', { id, severity: 0, type: 'cancel', note: 'enough' });
  await manager.submit({ id: 1n, system: { dependencies: [{ scheme: 'hold', value: '1' }] } });
  assert.equal(await manager.state(1n), JobState.depend);
  await cancel(1n);
  assert.equal(manager.names(1n), 'submit dependency-add validate exception clean');
  assert.deepEqual(manager.contextOf(1n, 'exception'), { type: 'cancel', severity: 0, note: 'enough', userid: 100 });
  assert.deepEqual(plain(manager.published.at(-1)!.payload), { id: 1, type: 'cancel', severity: 0 });

  // Queued, with no scheduler.
  await manager.submit({ id: 2n });
  assert.deepEqual(plain(await manager.call('alloc-query')), { queue_length: 1, alloc_pending: 0, running: 0 });
  await cancel(2n);
  assert.equal(manager.names(2n), 'submit validate depend priority exception clean');
  assert.deepEqual(plain(await manager.call('alloc-query')), { queue_length: 0, alloc_pending: 0, running: 0 });

  // With the scheduler, which gives it resources all the same.
  await manager.schedulerComes();
  await manager.submit({ id: 3n });
  const request = manager.takeAsked('sched.alloc').get(3n);
  await cancel(3n);
  assert.ok(manager.takeAsked('sched.cancel').has(3n));
  assert.equal(manager.names(3n), 'submit validate depend priority exception clean');
  await manager.answer(request, { id: 3n, type: 0, R: makeR(0) });
  assert.ok(manager.takeAsked('sched.free').has(3n));

  // Allocated, but nobody can start it.
  await manager.submit({ id: 4n });
  await manager.grantAll();
  await cancel(4n);
  assert.equal(manager.names(4n), 'submit validate depend priority alloc exception free clean');

  // Started: it waits for the executor, which is told by the event.
  await manager.executorComes();
  await manager.submit({ id: 5n });
  await manager.grantAll();
  const start = manager.takeAsked('job-exec.start').get(5n);
  await manager.answer(start, { id: 5n, type: 'start', data: {} });
  await cancel(5n);
  assert.equal(await manager.state(5n), JobState.cleanup);
  await cancel(5n);
  await manager.answer(start, { id: 5n, type: 'finish', data: { status: 15 } });
  await manager.answer(start, { id: 5n, type: 'release', data: { ranks: 'all', final: true } });
  assert.equal(
    manager.names(5n),
    'submit validate depend priority alloc start exception exception finish release free clean',
  );

  const { errno, text } = await manager.ask('raise', { id: 5n, severity: 0, type: 'cancel' });
  assert.deepEqual([errno, text], ['ENOENT', 'job is inactive']);
});

test('ten thousand jobs are canceled at once', async () => {
  const manager = await Fixture.start();
  await manager.schedulerComes({ mode: 'limited', limit: 8 });
  const count = 10_000;
  await manager.submit(...Array.from({ length: count }, (_, index) => ({ id: BigInt(index + 1) })));
  const before = manager.commits.length;
  const answer = await manager.call('raiseall', {
    dry_run: false,
    userid: -1,
    states: JobState.active,
    severity: 0,
    type: 'cancel',
  });
  assert.deepEqual(plain(answer), { count, errors: 0 });
  await manager.call('drain');
  assert.equal(manager.names(10_000n), 'submit validate depend priority exception clean');
  assert.ok(manager.commits.length - before <= 12, `${manager.commits.length - before} commits`);
  assert.equal((await manager.call('stats-get')).inactive_jobs, count);
});

// ---- the scheduler

test('a scheduler in limited mode gets so many requests, the most urgent first', async () => {
  const manager = await Fixture.start();
  await manager.submit({ id: 1n, urgency: 1 }, { id: 2n, urgency: 9 }, { id: 3n, urgency: 0 }, { id: 4n, urgency: 9 });
  await manager.schedulerComes({ mode: 'limited', limit: 2 });
  const requests = manager.takeAsked('sched.alloc');
  assert.deepEqual([...requests.keys()], [2n, 4n]);
  // One that is more urgent takes the place of the last.
  await manager.submit({ id: 5n, urgency: 31 });
  assert.deepEqual([...manager.takeAsked('sched.cancel').keys()], [4n]);
  await manager.answer(requests.get(4n), { id: 4n, type: 3 });
  assert.deepEqual([...manager.takeAsked('sched.alloc').keys()], [5n]);
  await manager.answer(requests.get(2n), { id: 2n, type: 0, R: makeR(0) });
  assert.deepEqual([...manager.takeAsked('sched.alloc').keys()], [4n]);
  assert.deepEqual(plain(await manager.call('alloc-query')), { queue_length: 1, alloc_pending: 2, running: 1 });
});

test('a held job is not sent; urgency lets it go, and takes others back', async () => {
  const manager = await Fixture.start();
  await manager.schedulerComes();
  await manager.submit({ id: 1n, urgency: 0 });
  assert.equal(manager.takeAsked('sched.alloc').size, 0);
  assert.deepEqual(plain(await manager.call('urgency', { id: 1n, urgency: 31 })), { old_urgency: 0 });
  const request = manager.takeAsked('sched.alloc').get(1n);
  assert.equal(manager.contextOf(1n, 'priority')?.priority, 4294967295);
  await manager.call('urgency', { id: 1n, urgency: 0 });
  assert.ok(manager.takeAsked('sched.cancel').has(1n));
  await manager.answer(request, { id: 1n, type: 3 });
  assert.equal(await manager.state(1n), JobState.sched);
  assert.equal(manager.takeAsked('sched.alloc').size, 0);
  assert.equal(manager.names(1n), 'submit validate depend priority urgency priority urgency priority');
});

test('a request that is denied ends the job', async () => {
  const manager = await Fixture.start();
  await manager.schedulerComes();
  await manager.submit({ id: 1n });
  const request = manager.takeAsked('sched.alloc').get(1n);
  await manager.answer(request, { id: 1n, type: 2, note: 'unsatisfiable request' });
  assert.deepEqual(manager.contextOf(1n, 'exception'), {
    type: 'alloc',
    severity: 0,
    note: 'unsatisfiable request',
    userid: 100,
  });
  assert.equal(manager.names(1n), 'submit validate depend priority exception clean');
});

test('a request that is answered before its sender goes on is answered', async () => {
  const manager = await Fixture.start();
  await manager.schedulerComes();
  manager.schedule = (request) => ({ id: request.unpack({ id: 'I' }).id, type: 2, note: 'unsatisfiable request' });
  await manager.submit({ id: 1n }, { id: 2n, flags: JobFlag.debug });
  assert.equal(manager.names(1n), 'submit validate depend priority exception clean');
  assert.equal(manager.names(2n), 'submit validate depend priority debug.alloc-request exception clean');
  assert.deepEqual(plain(await manager.call('alloc-query')), { queue_length: 0, alloc_pending: 0, running: 0 });
});

test('a scheduler may go and another come: it is told what is allocated, and asked what is not', async () => {
  const manager = await Fixture.start();
  await manager.schedulerComes();
  await manager.executorComes();
  await manager.submit({ id: 1n });
  await manager.grantAll();
  const start = manager.takeAsked('job-exec.start').get(1n);
  await manager.submit({ id: 2n });
  manager.takeAsked('sched.alloc');
  manager.notify('disconnect', undefined, { client: 'somebody' });
  manager.notify('disconnect', undefined, { client: 'sched' });
  await settled();
  assert.equal(manager.core.isSchedulerReady, false);
  // What is freed meanwhile, the next scheduler never hears of.
  await manager.run(1n, start);
  assert.equal(manager.names(1n), ended);
  assert.equal(manager.takeAsked('sched.free').size, 0);
  await manager.submit({ id: 3n });
  assert.deepEqual(await manager.schedulerComes({ mode: 'unlimited' }, 'sched2'), []);
  const requests = manager.takeAsked('sched.alloc');
  assert.deepEqual([...requests.keys()], [2n, 3n]);
  await manager.answer(requests.get(3n), { id: 3n, type: 0, R: makeR(0) });
  const hello = await manager.schedulerComes({ mode: 'unlimited' }, 'sched3');
  assert.deepEqual(
    hello.map(({ payload }) => plain(payload)),
    [{ id: 3, priority: 16, userid: 200, t_submit: 1_800_000_000.5 }],
  );
});

const badAnswers: readonly JsonObject[] = [
  { id: 1n },
  { id: 1n, type: 0 },
  { id: 1n, type: 1 },
  { id: 1n, type: 9 },
  { id: 'x', type: 0 },
];
for (const answer of badAnswers)
  test(`a scheduler that answers ${JSON.stringify({ ...answer, id: String(answer.id) })} is not asked any more`, async () => {
    const manager = await Fixture.start();
    await manager.schedulerComes();
    await manager.submit({ id: 1n });
    await manager.answer(manager.takeAsked('sched.alloc').get(1n), answer);
    assert.equal(manager.core.isSchedulerReady, false);
    assert.deepEqual(plain(await manager.call('alloc-query')), { queue_length: 1, alloc_pending: 0, running: 0 });
  });

test('a scheduler that is gone without a word, too', async () => {
  const manager = await Fixture.start();
  await manager.schedulerComes();
  await manager.submit({ id: 1n });
  const request = manager.takeAsked('sched.alloc').get(1n)!;
  manager.host.receive(request.respondError(38, undefined, owner));
  await settled();
  assert.equal(manager.core.isSchedulerReady, false);
});

const badReadys: readonly JsonObject[] = [{}, { mode: 'x' }, { mode: 'limited' }, { mode: 'limited', limit: 0 }];
test('a scheduler must say how many requests it takes', async () => {
  const manager = await Fixture.start();
  for (const mode of badReadys) assert.equal((await manager.ask('sched-ready', mode)).errno, 'EPROTO');
  assert.equal((await manager.ask('sched-hello', {})).errno, 'EPROTO', 'no stream');
});

test('what is allocated is told, with what housekeeping has', async () => {
  const manager = await Fixture.start();
  await manager.schedulerComes();
  await manager.executorComes();
  const allocated = async () =>
    (plain(await manager.call('resource-status')) as never as { allocated: { execution: { R_lite: unknown } } })
      .allocated.execution.R_lite;
  assert.deepEqual(await allocated(), []);
  await manager.submit({ id: 1n }, { id: 2n }, { id: 3n });
  await manager.grantAll();
  assert.deepEqual(await allocated(), [{ rank: '0', children: { core: '0-2' } }]);
  manager.keeps = true;
  const starts = manager.takeAsked('job-exec.start');
  await manager.run(1n, starts.get(1n));
  assert.equal(manager.names(1n), ended, 'housekeeping does not hold up the job');
  assert.deepEqual(await allocated(), [{ rank: '0', children: { core: '0-2' } }]);
  manager.keeps = false;
  manager.core.free(manager.cleaned.get(1n)!, 1n, true);
  assert.deepEqual(await allocated(), [{ rank: '0', children: { core: '1-2' } }]);
});

test('jobs of a queue that is stopped are withdrawn, and sent again when it is started', async () => {
  const manager = await Fixture.start();
  await manager.schedulerComes({ mode: 'limited', limit: 1 });
  await manager.submit({ id: 1n }, { id: 2n });
  const request = manager.takeAsked('sched.alloc').get(1n);
  manager.isStarted = false;
  manager.core.dequeue(manager.core.activeJobs());
  assert.ok(manager.takeAsked('sched.cancel').has(1n));
  await manager.answer(request, { id: 1n, type: 3 });
  assert.deepEqual(plain(await manager.call('alloc-query')), { queue_length: 0, alloc_pending: 0, running: 0 });
  manager.isStarted = true;
  manager.core.enqueue(manager.core.activeJobs());
  await settled();
  assert.deepEqual([...manager.takeAsked('sched.alloc').keys()], [1n]);
});

// ---- the execution service

test('jobs that could not be started are started by the service that comes, those that ran are reattached', async () => {
  const manager = await Fixture.start();
  await manager.schedulerComes();
  await manager.submit({ id: 1n });
  await manager.grantAll();
  assert.equal(await manager.state(1n), JobState.run);
  await manager.executorComes();
  const start = manager.takeAsked('job-exec.start').get(1n);
  await manager.answer(start, { id: 1n, type: 'start', data: {} });
  const { errno } = await manager.ask('exec-hello', { service: 'other' });
  assert.equal(errno, 'EINVAL', 'the first has a job');
  manager.notify('disconnect', undefined, { client: 'exec' });
  await manager.executorComes('other', 'exec2');
  const again = manager.takeAsked('other.start').get(1n);
  assert.equal(plain(again!.json as JsonObject).reattach, true);
  await manager.answer(again, { id: 1n, type: 'reattached', data: {} });
  // The old service is not listened to.
  await manager.answer(start, { id: 1n, type: 'finish', data: { status: 9 } });
  assert.equal(await manager.state(1n), JobState.run);
  await manager.answer(again, { id: 1n, type: 'finish', data: { status: 0 } });
  await manager.answer(again, { id: 1n, type: 'release', data: { ranks: 'all', final: true } });
  assert.equal(manager.names(1n), ended);
});

test('an exception of the execution service ends a job once all is released', async () => {
  const manager = await Fixture.start();
  await manager.schedulerComes();
  await manager.executorComes();
  await manager.submit({ id: 1n });
  await manager.grantAll();
  const start = manager.takeAsked('job-exec.start').get(1n);
  await manager.answer(start, { id: 1n, type: 'exception', data: { severity: 0, type: 'exec', note: 'no shell' } });
  assert.equal(await manager.state(1n), JobState.cleanup);
  await manager.answer(start, { id: 1n, type: 'release', data: { ranks: '0', final: false } });
  assert.equal(await manager.state(1n), JobState.cleanup);
  await manager.answer(start, { id: 1n, type: 'release', data: { ranks: 'all', final: true } });
  assert.equal(manager.names(1n), 'submit validate depend priority alloc exception release release free clean');
});

test('answers of the execution service that make no sense are logged and change nothing', async () => {
  const manager = await Fixture.start();
  await manager.schedulerComes();
  await manager.executorComes();
  await manager.submit({ id: 1n });
  await manager.grantAll();
  const start = manager.takeAsked('job-exec.start').get(1n);
  const before = manager.logs.length;
  const answers: JsonObject[] = [
    { id: 9n, type: 'start', data: {} },
    { id: 1n, type: 'nosuch', data: {} },
    { id: 1n, type: 'finish', data: {} },
    { id: 1n, type: 'release', data: {} },
    { id: 1n, type: 'exception', data: {} },
    { type: 'start' },
  ];
  for (const answer of answers) await manager.answer(start, answer);
  assert.equal(manager.logs.length - before, answers.length);
  assert.equal(manager.names(1n), 'submit validate depend priority alloc');
});

test('a job that is to end at another time tells it to the execution service', async () => {
  const manager = await Fixture.start();
  await manager.schedulerComes();
  await manager.executorComes();
  await manager.submit({ id: 1n });
  await manager.grantAll();
  manager.core.post(manager.core.active(1n)!, 'resource-update', { expiration: 77.5 });
  await settled();
  const request = manager.takeAsked('job-exec.expiration').get(1n)!;
  assert.deepEqual(plain(request.json), { id: 1, expiration: 77.5 });
  manager.host.receive(request.respondError(38, undefined, owner));
  await settled();
  const { type, severity, userid } = manager.contextOf(1n, 'exception')!;
  assert.deepEqual([type, severity, userid], ['exec', 1, undefined]);
});

test('jobs with the debug flag tell more', async () => {
  const manager = await Fixture.start();
  await manager.schedulerComes();
  await manager.executorComes();
  await manager.complete({ id: 1n, flags: JobFlag.debug });
  assert.equal(
    manager.names(1n),
    'submit validate depend priority debug.alloc-request alloc debug.start-request start finish release free clean',
  );
});
