// Jobs of the past are listed as before, though the journal tells nothing of them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '../../../core/json.ts';
import { Job } from '../../../workers/job-list/job.ts';
import { jobCodec } from '../../../workers/job-list/record.ts';
import { StringPool } from '../../../workers/job-list/string-pool.ts';
import { Fixture } from './fixture.ts';
import { event, events, history, more } from './job-history.ts';

const system = { queue: 'batch', cwd: '/tmp', bank: 'b', project: 'p', job: { name: 'n' }, duration: 1.5 };

const jobs: readonly JsonObject[] = [
  history(1, 100, 'clean', { system, ranks: '0-1', nodelist: 'node[0-1]', cores: '0-3', expiration: 200 }),
  history(2, 105, 'clean', { userid: 200, urgency: 31, priority: 4294967295 }),
  {
    ...history(3, 90, 'priority', { userid: 200 }),
    events: [
      ...events(90, 'priority', { userid: 200 }),
      event(95, 'dependency-add', { description: 'x' }),
      event(96, 'memo', { a: 'b' }),
      event(97, 'exception', { type: 'cancel', severity: 0, note: 'enough', userid: 200 }),
      event(98, 'clean'),
    ],
  },
  {
    ...history(4, 80, 'start'),
    events: [
      ...events(80, 'start'),
      event(86, 'finish', { status: 256, rusage: { utime: 1.5, stime: 2, maxrss: 300 } }),
      event(87, 'release', { ranks: 'all', final: true }),
      event(88, 'clean'),
    ],
  },
];

const attributes = { attrs: ['all', 'rusage'] };

/** One life with these jobs. */
async function live(store: Map<string, string>, backlog: readonly JsonObject[]): Promise<Fixture> {
  return Fixture.start({ store, backlog });
}

test('after a restart', async () => {
  const store = new Map<string, string>();
  const first = await live(store, [...jobs, history(5, 100, 'start')]);
  const before = await first.list({ ...attributes, constraint: { states: ['inactive'] } });
  const statsBefore = await first.call('job-stats');
  await first.host.stop();
  const second = await live(store, [history(5, 100, 'start')]);
  assert.deepEqual([...second.known].sort(), [1, 2, 3, 4]);
  assert.deepEqual(await second.list({ ...attributes, constraint: { states: ['inactive'] } }), before);
  assert.deepEqual(await second.call('job-stats'), statsBefore);
  second.tell(more(5, event(110, 'finish', { status: 0 }), event(111, 'clean')));
  await second.settle();
  await second.host.stop();
  const third = await live(store, []);
  assert.deepEqual(await third.ids({ states: ['inactive'] }), [2, 5, 1, 3, 4]);
});

test('what was purged meanwhile is told by the journal', async () => {
  const store = new Map<string, string>();
  await (await live(store, jobs)).host.stop();
  const second = await live(store, [{ id: 2, events: [event(200, 'invalidate')] }]);
  assert.deepEqual(await second.ids(), [1, 3, 4]);
  second.event('job-purge-inactive', { jobs: [3, 4] });
  await second.settle();
  await second.host.stop();
  assert.deepEqual([...(await live(store, [])).known], [1]);
});

test('a job manager that is loaded anew need not tell of jobs that are over', async () => {
  const fixture = await live(new Map(), jobs);
  fixture.endJournal();
  await fixture.settle();
  await fixture.pass(2);
  assert.deepEqual([...fixture.known].sort(), [1, 2, 3, 4]);
});

for (const [what, text] of [
  ['no JSON', '{'],
  ['something else', '{"jobs":[]}'],
  ['of another version', '{"version":99,"jobs":[]}'],
  ['with rows that are none', '{"version":1,"jobs":[["x"]]}'],
] as const)
  test(`records that are ${what} are made anew`, async () => {
    const store = new Map([['checkpoint.job-list.1', text]]);
    const first = await live(store, jobs);
    assert.deepEqual(first.known, []);
    assert.match(first.logs.join('\n'), /records of jobs are made anew: .*checkpoint\.job-list\.1/);
    await first.host.stop();
    assert.equal((await live(store, [])).known.length, 4);
  });

test('a record has all that is known of a job that is over', () => {
  const job = new Job(7n, undefined);
  job.active = undefined;
  const members = job as unknown as Record<string, unknown>;
  for (const [index, name] of Object.keys(job).entries())
    if (!['id', 'active', 'piece'].includes(name)) members[name] = `value ${index}`;
  const codec = jobCodec(new StringPool());
  assert.deepEqual(codec.decode(codec.encode([job])), [job]);
});
