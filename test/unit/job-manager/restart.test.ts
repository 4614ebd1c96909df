// What the job manager knows again after a restart, by what the KVS has.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JobState } from '../../../core/formats/job-state.ts';
import { CommitFlag } from '../../../core/formats/kvs-flags.ts';
import { JobFlag } from '../../../workers/job-manager/job.ts';
import { Fixture, keyOf, makeR, plain, settled, storedJob, submitted } from './fixture.ts';

const cancel = ['exception', { type: 'cancel', severity: 0, note: '' }] as const;
const pending = [submitted, 'validate', 'depend', ['priority', { priority: 16 }]] as const;

test('jobs go on where they were', async () => {
  const first = await Fixture.start();
  await first.schedulerComes();
  await first.executorComes();
  await first.complete({ id: 1n });
  await first.submit({ id: 2n });
  await first.grantAll();
  for (const id of [2n]) {
    const start = first.takeAsked('job-exec.start').get(id);
    await first.answer(start, { id, type: 'start', data: {} });
  }
  await first.submit({ id: 3n }, { id: 4n, urgency: 0 });
  await first.stop();
  first.kvs.set(keyOf(2n, 'R'), JSON.stringify(plain(makeR(0))));
  assert.deepEqual(JSON.parse(first.kvs.get('checkpoint.job-manager')!), {
    version: 1,
    max_jobid: 4,
    queue: [{ name: 'saved' }],
  });

  const second = await Fixture.start({ kvs: first.kvs });
  assert.ok(second.logs.includes('queues restored: 1 [{"name":"saved"}]'));
  assert.ok(second.logs.includes('restart: 4 jobs'));
  assert.ok(second.logs.includes('restart: 1 running jobs'));
  const { active_jobs, inactive_jobs, max_jobid } = plain(await second.call('stats-get')) as Record<string, number>;
  assert.deepEqual([active_jobs, inactive_jobs, max_jobid], [3, 1, 4]);
  assert.deepEqual(
    (await second.schedulerComes()).map(({ payload }) => (plain(payload) as { id: number }).id),
    [2],
  );
  assert.deepEqual([...second.takeAsked('sched.alloc').keys()], [3n]);
  assert.equal(second.names(3n), 'submit validate depend priority flux-restart priority');
  await second.executorComes();
  const again = second.takeAsked('job-exec.start').get(2n);
  assert.deepEqual(plain(again!.json as never as { reattach: boolean }).reattach, true);
  await second.answer(again, { id: 2n, type: 'reattached', data: {} });
  await second.answer(again, { id: 2n, type: 'finish', data: { status: 0 } });
  await second.answer(again, { id: 2n, type: 'release', data: { ranks: 'all', final: true } });
  assert.equal(second.names(2n), 'submit validate depend priority alloc start finish release free clean');
});

test('jobs that were between two states go on', async () => {
  const kvs = new Map([
    ...storedJob(1n, [submitted, 'validate']),
    ...storedJob(2n, [submitted, 'validate', 'depend']),
    ...storedJob(3n, [submitted, 'validate', cancel]),
    ...storedJob(4n, [
      ...pending,
      'alloc',
      'start',
      ['finish', { status: 0 }],
      ['release', { ranks: 'all', final: true }],
    ]),
    ...storedJob(5n, [submitted, 'validate', ['dependency-add', { description: 'x' }]]),
    // An event log without a version, of long ago.
    ...storedJob(6n, [['submit', { userid: 1, urgency: 16, flags: 0 }]]),
    [keyOf(4n, 'R'), JSON.stringify(plain(makeR(0)))],
  ]);
  const manager = await Fixture.start({ kvs });
  await manager.schedulerComes();
  assert.equal(await manager.state(1n), JobState.sched);
  assert.equal(manager.names(3n), 'submit validate exception clean');
  assert.equal(manager.names(4n).split(' ').slice(-3).join(' '), 'release free clean');
  assert.deepEqual(plain(manager.cleaned.get(4n)), plain({ ...makeR(0), scheduling: undefined }));
  assert.equal(await manager.state(5n), JobState.depend);
  assert.equal(await manager.state(6n), JobState.sched);
  // A job in the state priority waits for a plugin that gives it one: nothing told them that it came.
  assert.equal(await manager.state(2n), JobState.priority);
  assert.deepEqual(plain(await manager.call('alloc-query')), { queue_length: 0, alloc_pending: 2, running: 0 });
});

test('a job that was accepted, and no more, goes on', async () => {
  const manager = await Fixture.start({ kvs: new Map(storedJob(1n, [submitted])) });
  assert.equal(manager.names(1n), 'submit validate depend priority');
});

test('a job that may have been started is not started again; one whose prolog was not over is', async () => {
  const kvs = new Map([
    ...storedJob(1n, [...pending, 'alloc']),
    ...storedJob(2n, [...pending, 'alloc', ['prolog-start', { description: 'x' }]]),
    [keyOf(1n, 'R'), JSON.stringify(plain(makeR(0)))],
    [keyOf(2n, 'R'), JSON.stringify(plain(makeR(1)))],
  ]);
  const manager = await Fixture.start({ kvs });
  await manager.executorComes();
  manager.core.post(manager.core.active(2n)!, 'prolog-finish', { description: 'x', status: 0 });
  await settled();
  const asked = manager.takeAsked('job-exec.start');
  const reattach = (id: bigint) => (asked.get(id)?.json as { reattach?: boolean } | undefined)?.reattach;
  assert.deepEqual([reattach(1n), reattach(2n)], [true, false]);
});

test('where state is kept, a job is started once that is on disk', async () => {
  const manager = await Fixture.start({ statedir: '/state' });
  await manager.schedulerComes();
  await manager.executorComes();
  await manager.submit({ id: 1n });
  assert.ok(manager.commitFlags.length > 0 && manager.commitFlags.every((flags) => flags === CommitFlag.sync));
  manager.heldCommits = [];
  await manager.grantAll();
  await manager.pass(1);
  assert.equal(manager.takeAsked('job-exec.start').size, 0);
  await manager.releaseCommits();
  await manager.pass(1);
  assert.equal(manager.takeAsked('job-exec.start').size, 1);
});

test('updates are remembered', async () => {
  const kvs = new Map([
    ...storedJob(1n, [
      ...pending,
      ['jobspec-update', { 'attributes.system.duration': 60 }],
      ['priority', { priority: 16 }],
      ['memo', { a: 1 }],
      ['set-flags', { flags: ['immutable'] }],
    ]),
  ]);
  const manager = await Fixture.start({ kvs });
  const job = manager.core.active(1n)!;
  assert.equal(job.isImmutable, true);
  assert.deepEqual(job.annotations, { user: { a: 1 } });
  assert.deepEqual(plain(job.jobspec.attributes), { system: { duration: 60 } });
});

test('waitable jobs can be waited for again', async () => {
  const waitable = ['submit', { userid: 100, urgency: 16, flags: JobFlag.waitable, version: 1 }] as const;
  const kvs = new Map([
    ...storedJob(1n, [waitable, 'validate', cancel, 'clean']),
    ...storedJob(2n, [waitable, 'validate', 'depend', ['priority', { priority: 0 }]]),
  ]);
  const manager = await Fixture.start({ kvs });
  assert.deepEqual(plain(await manager.call('wait', { id: -1 })), {
    id: 1,
    success: false,
    errstr: 'Fatal exception type=cancel ',
  });
  const wait = manager.send('wait', { id: -1 });
  await manager.call('raise', { id: 2, severity: 0, type: 'cancel' });
  assert.equal((await manager.taken(wait))[0]?.errno, '');
});

const bad: readonly (readonly [string, [string, string][], RegExp])[] = [
  ['no event log', [[keyOf(9n, 'jobspec'), '{}']], /lookup job.0000.0000.0000.0009.eventlog: /],
  ['no jobspec', [storedJob(9n, [submitted, 'validate'])[0]!], /lookup job.0000.0000.0000.0009.jobspec: /],
  [
    'a jobspec that is none',
    [storedJob(9n, [submitted, 'validate'])[0]!, [keyOf(9n, 'jobspec'), '{']],
    /failed to decode jobspec/,
  ],
  [
    'an event log that is none',
    [
      [keyOf(9n, 'eventlog'), 'x\n'],
      [keyOf(9n, 'jobspec'), '{}'],
    ],
    /line 1 of the event log/,
  ],
  ['another first event', storedJob(9n, ['validate']), /first event is validate not submit/],
  [
    'a version of the future',
    storedJob(9n, [['submit', { userid: 1, urgency: 1, flags: 0, version: 2 }]]),
    /eventlog v2 is unsupported/,
  ],
  [
    'an event that does not fit',
    storedJob(9n, [submitted, 'validate', ['exception', { type: 'x' }]]),
    /could not apply exception/,
  ],
];
test('a job of which nothing is known but that it was submitted is submitted', async () => {
  const manager = await Fixture.start({ kvs: new Map(storedJob(9n, [submitted])) });
  assert.equal(await manager.state(9n), JobState.sched);
});

for (const [what, entries, text] of bad)
  test(`a job with ${what} is put aside, the others are not`, async () => {
    const kvs = new Map([...storedJob(1n, [...pending]), ...entries]);
    const manager = await Fixture.start({ kvs });
    assert.equal(await manager.state(1n), JobState.sched);
    assert.equal(manager.core.lookup(9n), undefined);
    assert.ok(
      manager.logs.some((line) => /^job ƒA not replayed: /.test(line) && text.test(line)),
      manager.logs.join('\n'),
    );
    assert.deepEqual(
      [...manager.kvs.keys()].filter((key) => key.startsWith('job.0000.0000.0000.0009')),
      [],
    );
    const kept = entries.map(([key]) => key.replace('job.0000.0000.0000.0009', 'job-lost+found.job.ƒA')).sort();
    assert.deepEqual([...manager.kvs.keys()].filter((key) => key.startsWith('job-lost+found')).sort(), kept);
  });

test('a checkpoint that can not be read ends the module', async () => {
  for (const text of ['{', '{}', '{"version":2,"max_jobid":1}', '[]'])
    await assert.rejects(
      Fixture.start({ kvs: new Map([['checkpoint.job-manager', text]]) }),
      /checkpoint|max_jobid|object/,
    );
});

test('inactive jobs are remembered in the order in which they ended', async () => {
  const over = (id: bigint, ended: number): [string, string][] => {
    const [[key, log], jobspec] = storedJob(id, [submitted, 'validate', cancel, 'clean']) as [
      [string, string],
      [string, string],
    ];
    return [[key, log.replace(/"timestamp":[\d.]+,"name":"clean"/, `"timestamp":${ended}.5,"name":"clean"`)], jobspec];
  };
  const kvs = new Map([...over(1n, 300), ...over(2n, 100), ...over(3n, 200)]);
  const manager = await Fixture.start({ kvs });
  await manager.call('purge', { age_limit: -1, num_limit: 1, batch: 10, force: true });
  assert.deepEqual(plain(manager.published.at(-1)!.payload), { jobs: [2, 3] });
});
