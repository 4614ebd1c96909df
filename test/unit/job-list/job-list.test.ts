/** What job-list tells beside lists: of one job, statistics; whom it tells what; and how it follows the journal. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { encodeFluid } from '../../../core/formats/fluid.ts';
import { JobState } from '../../../core/formats/job-state.ts';
import type { JsonObject } from '../../../core/json.ts';
import { Flag } from '../../../core/message/message.ts';
import { Fixture, guest } from './fixture.ts';
import { event, events, history, jobspec, more } from './job-history.ts';

// ---- one job

describe('list-id', () => {
  const kvsKey = encodeFluid(7n, 'kvs');
  const request = { id: 7, attrs: ['state'] };

  test('there is no such job', async () => {
    const fixture = await Fixture.start();
    assert.deepEqual(await fixture.ask('list-id', request), { errno: 'ENOENT', text: undefined, payload: undefined });
  });

  test('a job that the journal has not told of yet', async () => {
    const fixture = await Fixture.start();
    fixture.kvs.add(kvsKey);
    const waiting = fixture.send('list-id', request);
    await fixture.settle();
    assert.deepEqual(fixture.taken(waiting), []);
    assert.deepEqual((await fixture.call('stats-get')).idsync, { lookups: 0, waits: 1 });
    fixture.tell(history(7, 10, 'submit'));
    await fixture.settle();
    assert.deepEqual(fixture.taken(waiting), []);
    fixture.tell(more(7, event(11, 'validate')));
    await fixture.settle();
    assert.deepEqual(fixture.taken(waiting)[0]?.payload, { job: { id: 7, state: 2 } });
    assert.deepEqual((await fixture.call('stats-get')).idsync, { lookups: 0, waits: 0 });
  });

  test('a job that comes while the KVS is asked', async () => {
    const fixture = await Fixture.start();
    fixture.holdsLookups = true;
    fixture.kvs.add(kvsKey);
    const waiting = fixture.send('list-id', request);
    await fixture.settle();
    assert.deepEqual((await fixture.call('stats-get')).idsync, { lookups: 1, waits: 0 });
    fixture.tell(history(7, 10, 'start'));
    fixture.answerLookups();
    await fixture.settle();
    assert.deepEqual(fixture.taken(waiting)[0]?.payload, { job: { id: 7, state: 16 } });
  });

  test('a job whose submission comes to nothing', async () => {
    const fixture = await Fixture.start();
    fixture.kvs.add(kvsKey);
    const waiting = fixture.send('list-id', request);
    await fixture.settle();
    fixture.tell(history(7, 10, 'submit'));
    fixture.tell(more(7, event(11, 'invalidate')));
    await fixture.settle();
    assert.equal(fixture.taken(waiting)[0]?.errno, 'ENOENT');
    assert.deepEqual(await fixture.ids(), []);
  });

  const states: [from: string, wanted: number, events: JsonObject[], state: number][] = [
    ['priority', JobState.sched, [], JobState.sched],
    ['start', JobState.sched, [], JobState.run],
    ['priority', JobState.run, [event(20, 'alloc')], JobState.run],
    ['priority', JobState.run | JobState.inactive, [event(20, 'alloc')], JobState.run],
    // It never runs.
    [
      'priority',
      JobState.run,
      [event(20, 'exception', { type: 'cancel', severity: 0, note: '' }), event(21, 'clean')],
      64,
    ],
    ['clean', JobState.run, [], JobState.inactive],
  ];
  for (const [from, wanted, later, state] of states) {
    test(`a job with event ${from} until it is in one of the states ${wanted}`, async () => {
      const fixture = await Fixture.start({ backlog: [history(7, 10, from)] });
      const waiting = fixture.send('list-id', { ...request, state: wanted });
      await fixture.settle();
      if (later.length) assert.deepEqual(fixture.taken(waiting), []);
      fixture.tell(more(7, ...later));
      await fixture.settle();
      assert.deepEqual(fixture.taken(waiting)[0]?.payload, { job: { id: 7, state } });
    });
  }

  test('a client that is gone waits no more', async () => {
    const fixture = await Fixture.start({ backlog: [history(7, 10, 'priority')] });
    const waits = ['c1', 'c2'].map((client) => fixture.send('list-id', { ...request, state: 16 }, { client }));
    await fixture.settle();
    fixture.notify('disconnect', 'c1');
    fixture.tell(more(7, event(20, 'alloc')));
    await fixture.settle();
    assert.deepEqual(
      waits.map((wait) => fixture.taken(wait).length),
      [0, 1],
    );
  });
});

// ---- statistics

describe('statistics', () => {
  const queues = { batch: {}, debug: {} };
  const job = (id: number, last: string, queue?: string) =>
    history(id, id * 10, last, { system: { ...(queue && { queue }) } });

  test('of all jobs, and of those in each queue', async () => {
    const backlog = [
      job(1, 'validate'),
      job(2, 'depend', 'batch'),
      job(3, 'priority'),
      job(4, 'alloc', 'batch'),
      job(5, 'finish'),
      job(6, 'clean', 'batch'),
      job(9, 'submit'),
    ];
    const fixture = await Fixture.start({ backlog, config: { queues } });
    fixture.tell(more(4, event(20, 'exception', { type: 'timeout', severity: 0, note: '' }), event(21, 'clean')));
    fixture.tell(more(3, event(20, 'exception', { type: 'cancel', severity: 0, note: '' }), event(21, 'clean')));
    fixture.tell(more(5, event(20, 'finish', { status: 1 }), event(21, 'clean')));
    await fixture.settle();
    const none = { depend: 0, priority: 0, sched: 0, run: 0, cleanup: 0, inactive: 0, total: 0 };
    assert.deepEqual(await fixture.call('job-stats', undefined, { user: guest }), {
      job_states: { ...none, depend: 1, priority: 1, inactive: 4, total: 6 },
      successful: 1,
      failed: 1,
      canceled: 1,
      timeout: 1,
      inactive_purged: 0,
      queues: [
        {
          job_states: { ...none, priority: 1, inactive: 2, total: 3 },
          successful: 1,
          failed: 0,
          canceled: 0,
          timeout: 1,
          inactive_purged: 0,
          name: 'batch',
        },
        { job_states: none, successful: 0, failed: 0, canceled: 0, timeout: 0, inactive_purged: 0, name: 'debug' },
      ],
    });
    assert.deepEqual(await fixture.call('stats-get', undefined, { user: guest }), {
      jobs: { pending: 2, running: 0, inactive: 4 },
      idsync: { lookups: 0, waits: 0 },
      stats_watchers: 0,
    });
  });

  const counted = (stats: JsonObject) =>
    (stats.queues as unknown as { name: string; job_states: { total: number } }[])
      .filter(({ job_states }) => job_states.total)
      .map(({ name, job_states }) => `${name}:${job_states.total}`);

  test('a job that moves to another queue', async () => {
    const fixture = await Fixture.start({
      backlog: [job(1, 'priority', 'batch'), job(2, 'priority')],
      config: { queues },
    });
    fixture.tell(more(1, event(20, 'jobspec-update', { 'attributes.system.queue': 'debug' })));
    fixture.tell(more(2, event(20, 'jobspec-update', { 'attributes.system.queue': 'new' })));
    await fixture.settle();
    assert.deepEqual(counted(await fixture.call('job-stats')), ['debug:1', 'new:1']);
  });

  test('whoever follows them is told of changes, not more often than each 0.2 s', async () => {
    const fixture = await Fixture.start({ config: { queues } });
    const watch = fixture.send('job-stats', undefined, { flags: Flag.streaming });
    const totals = () =>
      fixture.taken(watch).map(({ payload }) => (payload as { job_states: { total: number } }).job_states.total);
    await fixture.settle();
    assert.deepEqual(totals(), [0]);
    for (let id = 1; id <= 10; id++) {
      fixture.tell(job(id, 'priority'));
      await fixture.pass(0.05);
    }
    assert.deepEqual(totals(), [5, 9]);
    await fixture.pass(0.2);
    assert.deepEqual(totals(), [10]);
    await fixture.pass(10);
    assert.deepEqual(totals(), []);
    assert.equal((await fixture.call('stats-get')).stats_watchers, 1);
    fixture.notify('disconnect');
    fixture.tell(job(11, 'priority'));
    await fixture.pass(1);
    assert.deepEqual(totals(), []);
  });

  test('jobs that are purged', async () => {
    const backlog = [job(1, 'clean', 'batch'), job(2, 'clean'), job(3, 'start')];
    const fixture = await Fixture.start({ backlog, config: { queues } });
    fixture.event('job-purge-inactive', { jobs: [1, 3, 99] });
    fixture.event('job-purge-inactive.other', { jobs: [2] });
    await fixture.settle();
    assert.deepEqual(await fixture.ids(), [3, 2]);
    const stats = await fixture.call('job-stats');
    assert.deepEqual([stats.inactive_purged, stats.successful], [1, 1]);
    assert.deepEqual(counted(stats), []);
    assert.match(fixture.logs.join('\n'), /purged 1 inactive jobs/);
    // The journal had not told of its end yet.
    fixture.tell(more(3, event(50, 'finish', { status: 0 }), event(51, 'clean')));
    await fixture.settle();
    assert.deepEqual(await fixture.ids(), [2]);
  });
});

// ---- private mode

describe('private mode', () => {
  const config = { access: { 'private-mode': true, 'allow-guest-user': true } };
  const backlog = [history(1, 10, 'priority', { userid: 100 }), history(2, 20, 'start', { userid: guest.userid })];
  const asGuest = { user: guest };

  test('guests see their own jobs only', async () => {
    const fixture = await Fixture.start({ config, backlog });
    assert.deepEqual(await fixture.ids(undefined, asGuest), [2]);
    assert.deepEqual(await fixture.ids({ userid: [100] }, asGuest), []);
    assert.deepEqual(await fixture.ids({ or: [{ userid: [100] }, {}] }, asGuest), [2]);
    assert.deepEqual(await fixture.ids({ not: [{ userid: [200] }] }, asGuest), []);
    assert.deepEqual(await fixture.ids(), [1, 2]);
    assert.deepEqual(await fixture.ids(undefined, { user: { userid: 5, rolemask: 8 | 2 } }), [1, 2]);
  });

  test('old requests do not tell more', async () => {
    const fixture = await Fixture.start({ config, backlog });
    assert.deepEqual(await fixture.list({ userid: -1, states: 0, results: 0 }, asGuest), [{ id: 2 }]);
  });

  test('a job of others is as one that is not there', async () => {
    const fixture = await Fixture.start({ config, backlog });
    const unknown = await fixture.ask('list-id', { id: 77, attrs: [] }, asGuest);
    assert.equal(unknown.errno, 'ENOENT');
    assert.deepEqual(await fixture.ask('list-id', { id: 1, attrs: [] }, asGuest), unknown);
    assert.deepEqual(await fixture.ask('list-id', { id: 1, attrs: [], state: 64 }, asGuest), unknown);
    assert.deepEqual(await fixture.call('list-id', { id: 2, attrs: [] }, asGuest), { job: { id: 2 } });
    fixture.kvs.add(encodeFluid(3n, 'kvs'));
    const early = fixture.send('list-id', { id: 3, attrs: [] }, asGuest);
    await fixture.settle();
    fixture.tell(history(3, 10, 'priority'));
    await fixture.settle();
    assert.deepEqual(fixture.taken(early), [unknown]);
  });

  test('statistics are the owner’s', async () => {
    const fixture = await Fixture.start({ config, backlog });
    for (const method of ['job-stats', 'stats-get']) {
      assert.equal((await fixture.ask(method, undefined, asGuest)).errno, 'EPERM');
      await fixture.call(method);
    }
    await fixture.call('config-reload', { access: { 'private-mode': false } });
    await fixture.call('job-stats', undefined, asGuest);
  });
});

// ---- the journal

describe('the journal', () => {
  test('requests wait until it has told all', async () => {
    const fixture = await Fixture.start({ isLate: true });
    const list = fixture.send('list', { max_entries: 0, attrs: ['nosuch'] });
    const id = fixture.send('list-id', { id: 7, attrs: [] });
    fixture.tell(history(7, 10, 'priority'));
    // It is purged before the journal has told of its end.
    fixture.event('job-purge-inactive', { jobs: [8, 9] });
    fixture.tell(history(8, 10, 'clean'));
    await fixture.settle();
    assert.deepEqual([fixture.taken(list), fixture.taken(id)], [[], []]);
    fixture.tellEnd();
    await fixture.settle();
    assert.equal(fixture.taken(list)[0]?.errno, 'EINVAL');
    assert.deepEqual(fixture.taken(id)[0]?.payload, { job: { id: 7 } });
    assert.deepEqual(await fixture.ids(), [7]);
  });

  test('who asks is told of all that happened before, however long that takes to be read', async () => {
    const fixture = await Fixture.start({ lookTakes: 0.004 });
    const ids = Array.from({ length: 50 }, (_, index) => index + 1);
    for (const id of ids) fixture.tell(history(id, 10, 'priority'));
    const list = fixture.send('list', { max_entries: 0, attrs: [] });
    await fixture.settle();
    assert.deepEqual(fixture.taken(list)[0]?.payload, { jobs: ids.map((id) => ({ id })) });
    for (const id of ids) fixture.tell(history(id + 50, 10, 'priority'));
    fixture.endJournal();
    const late = fixture.send('list', { max_entries: 0, attrs: [] });
    await fixture.settle();
    assert.equal(fixture.taken(late)[0]?.errno, 'ENOSYS');
  });

  test('paused, and going on', async () => {
    const fixture = await Fixture.start({ backlog: [history(7, 10, 'priority')] });
    await fixture.call('job-state-pause', undefined, { user: guest });
    fixture.tell({ ...history(7, 10, 'alloc'), events: [event(20, 'alloc')] });
    fixture.tell(history(8, 30, 'priority'));
    await fixture.settle();
    assert.deepEqual(await fixture.ids({ states: ['pending'] }), [7]);
    await fixture.call('job-state-unpause', undefined, { user: guest });
    assert.deepEqual(await fixture.ids(), [8, 7]);
  });

  test('events of a job that is not known', async () => {
    const fixture = await Fixture.start();
    fixture.tell(more(7, event(10, 'validate')));
    await fixture.settle();
    assert.deepEqual(await fixture.ids(), []);
    assert.match(fixture.logs.join('\n'), /job ƒ8 is not known/);
  });

  test('messages that make no sense are told of, and passed over', async () => {
    const fixture = await Fixture.start();
    const bad = [{}, { id: 7, events: 3 }, { id: 7, events: [3] }, { id: 7, events: [{ name: 'submit' }] }];
    for (const record of bad) fixture.tell(record);
    fixture.tell(history(8, 10, 'priority'));
    await fixture.settle();
    assert.deepEqual(await fixture.ids(), [8]);
    assert.equal(fixture.logs.length, bad.length);
  });

  test('a job manager that is loaded anew', async () => {
    const fixture = await Fixture.start({ backlog: [history(7, 10, 'priority', { system: { queue: 'a' } })] });
    const waiting = fixture.send('list-id', { id: 7, attrs: [], state: 16 });
    await fixture.settle();
    fixture.tell(history(8, 10, 'priority'));
    fixture.hasManager = false;
    fixture.endJournal();
    await fixture.settle();
    assert.equal(fixture.taken(waiting)[0]?.errno, 'ENOSYS');
    assert.equal((await fixture.ask('list', { max_entries: 0, attrs: [] })).errno, 'ENOSYS');
    await fixture.pass(3);
    assert.equal(fixture.journals, 4);
    fixture.hasManager = true;
    await fixture.pass(1);
    assert.deepEqual(await fixture.ids(), [7]);
    assert.equal(((await fixture.call('job-stats')).job_states as JsonObject).total, 1);
    await fixture.host.stop();
    await fixture.pass(5);
    assert.equal(fixture.journals, 5);
  });

  test('updates that name nothing of a jobspec are told of', async () => {
    const fixture = await Fixture.start({ backlog: [history(7, 10, 'priority')] });
    fixture.tell(more(7, event(20, 'jobspec-update', { 'attributes..x': 1 })));
    fixture.tell({ id: 8, events: events(10, 'validate'), jobspec: { ...jobspec(), attributes: 3 } });
    await fixture.settle();
    assert.deepEqual(await fixture.ids(), [7, 8]);
    assert.equal(fixture.logs.length, 2);
  });
});
