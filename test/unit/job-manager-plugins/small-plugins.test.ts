/** The plugins that do one small thing: history, events by hand, urgencies, resources of one's own, and a watch on the scheduler. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FluxError } from '../../../core/errno.ts';
import { slicePositions } from '../../../core/formats/slice.ts';
import type { JsonObject } from '../../../core/json.ts';
import { InactiveJob } from '../../../workers/job-manager/job.ts';
import { allocBypass } from '../../../workers/job-manager/plugins/alloc-bypass.ts';
import { allocCheck } from '../../../workers/job-manager/plugins/alloc-check.ts';
import { history } from '../../../workers/job-manager/plugins/history.ts';
import { postEvent } from '../../../workers/job-manager/plugins/post-event.ts';
import { priorityDefault } from '../../../workers/job-manager/plugins/priority-default.ts';
import { submitHold } from '../../../workers/job-manager/plugins/submit-hold.ts';
import { throwsCode } from '../../errors.ts';
import { FakeJobtap, resources } from './fake-jobtap.ts';
import { settled } from './service-world.ts';

// ---- history

const list = (jobtap: FakeJobtap, slice: string, userid?: number) =>
  (jobtap.call('get', { slice }, userid) as { jobs: bigint[] }).jobs.map(Number);

test('a user gets his jobs, the newest first', () => {
  const jobtap = new FakeJobtap(history);
  const jobs = [1n, 2n, 3n, 4n, 5n].map((id) => jobtap.submit({ id }));
  jobtap.submit({ id: 6n, userid: 555 });
  for (const [slice, expected] of [
    ['[:]', [5, 4, 3, 2, 1]],
    ['[:1]', [5]],
    ['[0:2]', [5, 4]],
    ['[-1:]', [1]],
    ['[::-1]', [1, 2, 3, 4, 5]],
    ['[10:]', []],
  ] as const)
    assert.deepEqual(list(jobtap, slice), expected, slice);
  assert.deepEqual(list(jobtap, '[:]', 555), [6]);
  assert.deepEqual(list(jobtap, '[:]', 777), []);
  jobtap.end(jobs[1]!);
  assert.deepEqual(list(jobtap, '[:]'), [5, 4, 3, 2, 1]);
  jobtap.hooks.inactiveRemove!(jobtap.lookup(2n)!);
  jobtap.hooks.inactiveRemove!(jobtap.lookup(3n)!);
  assert.deepEqual(list(jobtap, '[:]'), [5, 4, 1]);
  for (const slice of ['', '0', '[0]', '[a:b]', '[::0]'])
    throwsCode(() => list(jobtap, slice), 'EINVAL', /^could not parse python-style slice expression$/);
  throwsCode(() => jobtap.call('get', {}), 'EPROTO');
});

test('jobs that come back in any order are told by the time of their submission', () => {
  const jobtap = new FakeJobtap(history);
  for (const id of [5n, 1n, 9n, 3n]) jobtap.hooks.inactiveAdd!(new InactiveJob(jobtap.job({ id })));
  jobtap.submit({ id: 7n });
  assert.deepEqual(list(jobtap, '[:]'), [9, 7, 5, 3, 1]);
});

for (const [slice, length, expected] of [
  ['[:]', 3, [0, 1, 2]],
  ['[1:]', 3, [1, 2]],
  ['[:-1]', 3, [0, 1]],
  ['[-2:]', 3, [1, 2]],
  ['[-9:2]', 3, [0, 1]],
  ['[::2]', 5, [0, 2, 4]],
  ['[1::2]', 5, [1, 3]],
  ['[::-1]', 3, [2, 1, 0]],
  ['[::-2]', 4, [3, 1]],
  ['[2:0:-1]', 4, [2, 1]],
  ['[9::-1]', 3, [2, 1, 0]],
  ['[:-3:-1]', 4, [3, 2]],
  ['[2:1]', 3, []],
  ['[:]', 0, []],
  ['[::-1]', 0, []],
] as [string, number, number[]][]) {
  test(`slice ${slice} of ${length}`, () => assert.deepEqual(slicePositions(slice, length), expected));
}

// ---- events, urgencies and priorities

test('the owner posts events to active jobs', () => {
  const jobtap = new FakeJobtap(postEvent);
  jobtap.submit({ id: 5n });
  jobtap.call('post', { id: 5, name: 'test', context: { note: 'hello' } });
  jobtap.call('post', { id: 5, name: 'bare' });
  assert.deepEqual(jobtap.take(), ['post 5 test {"note":"hello"}', 'post 5 bare']);
  throwsCode(() => jobtap.call('post', { id: 6, name: 'test' }), 'ENOENT');
  throwsCode(() => jobtap.call('post', { id: 5 }), 'EPROTO');
  throwsCode(() => jobtap.call('post', { id: 5, name: 'x', context: 5 }), 'EPROTO');
  assert.equal(jobtap.hooks.methods!.post!.allow, undefined);
});

test('all jobs are held', () => {
  const jobtap = new FakeJobtap(submitHold);
  jobtap.submit({ id: 5n });
  assert.deepEqual(jobtap.take(), ['post 5 urgency {"userid":100,"urgency":0}']);
});

test('a priority is the urgency', () => {
  const jobtap = new FakeJobtap(priorityDefault);
  const job = jobtap.submit({ id: 5n });
  job.urgency = 20;
  jobtap.event(job, 'depend', undefined, 'priority');
  assert.deepEqual(jobtap.take(), ['priority 5 20']);
  assert.equal(jobtap.hooks.priority!(job), 20);
});

// ---- alloc-bypass

test("the owner's job brings its own resources", async () => {
  const jobtap = new FakeJobtap(allocBypass);
  const R = resources('0-1');
  const job = jobtap.submit({ id: 5n, system: { 'alloc-bypass': { R } } });
  assert.deepEqual(jobtap.take(), ['flag 5 alloc-bypass']);
  jobtap.event(job, 'priority', { priority: 16 }, 'sched');
  assert.deepEqual(job.R, R);
  await settled();
  assert.deepEqual(jobtap.take(), ['post 5 alloc {"bypass":true}']);
  const [commit] = jobtap.world.asked('kvs.commit') as { ops: { key: string }[] }[];
  assert.equal(commit!.ops[0]!.key, 'job.0000.0000.0000.0005.R');
});

test('a job whose resources can not be written has an exception', async () => {
  const jobtap = new FakeJobtap(allocBypass);
  jobtap.world.answers.set('kvs.commit', () => {
    throw new FluxError('EIO', 'disk');
  });
  const job = jobtap.submit({ id: 5n, system: { 'alloc-bypass': { R: resources('0') } } });
  jobtap.take();
  jobtap.event(job, 'priority', { priority: 16 }, 'sched');
  await settled();
  assert.match(jobtap.take().join(), /^raise 5 alloc 0: failed to commit R to kvs: /);
});

for (const [system, userid, text] of [
  [{ 'alloc-bypass': { R: resources('0') } }, 555, /^Guest user cannot use alloc bypass$/],
  [{ 'alloc-bypass': { R: { version: 2 } } }, 100, /^alloc-bypass: invalid R: /],
  [{ 'alloc-bypass': { R: 5 } }, 100, /^invalid system\.alloc-bypass\.R/],
  [{ 'alloc-bypass': 5 }, 100, /^invalid system\.alloc-bypass\.R/],
] as [JsonObject, number, RegExp][]) {
  test(`${JSON.stringify(system)} of user ${userid} is refused`, () =>
    throwsCode(() => new FakeJobtap(allocBypass).submit({ system, userid }), 'EINVAL', text));
}

test('other jobs are left alone', () => {
  const jobtap = new FakeJobtap(allocBypass);
  for (const system of [{}, { 'alloc-bypass': {} }]) {
    const job = jobtap.submit({ system });
    jobtap.event(job, 'priority', { priority: 16 }, 'sched');
    assert.equal(job.R, undefined);
  }
  assert.deepEqual(jobtap.take(), []);
});

// ---- alloc-check

test('resources that two jobs are given are an exception; given back they are free', () => {
  const jobtap = new FakeJobtap(allocCheck);
  const allocate = (id: bigint, ranks: string) => {
    const job = jobtap.submit({ id });
    job.R = resources(ranks);
    jobtap.event(job, 'alloc', undefined, 'run');
    return job;
  };
  jobtap.restore({ id: 1n, state: 'run', events: ['alloc'], R: resources('7') });
  const first = allocate(2n, '0-3');
  allocate(3n, '4-5');
  assert.deepEqual(jobtap.take(), []);
  const second = allocate(4n, '3-4');
  allocate(5n, '7');
  assert.deepEqual(jobtap.take(), [
    'raise 4 alloc-check 0: resources already allocated',
    'raise 5 alloc-check 0: resources already allocated',
  ]);
  jobtap.event(second, 'free');
  allocate(6n, '4');
  assert.equal(jobtap.take().length, 1);
  jobtap.event(first, 'free');
  allocate(7n, '0-3');
  assert.deepEqual(jobtap.take(), []);
});
