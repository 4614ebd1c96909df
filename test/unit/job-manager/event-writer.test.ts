// Event logs on their way to the KVS: what a commit that fails means for those who wait, and for events.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FluxError } from '../../../core/errno.ts';
import type { Message } from '../../../core/message/message.ts';
import { Fixture, keyOf, makeR, plain, settled } from './fixture.ts';

test('while a commit is under way, all that comes is the next one', async () => {
  const manager = await Fixture.start();
  await manager.submit({ id: 1n, urgency: 0 }, { id: 2n, urgency: 0 });
  const before = manager.commits.length;
  manager.heldCommits = [];
  for (let n = 0; n < 20; n++) {
    await manager.call('memo', { id: 1, memo: { n } });
    await manager.call('memo', { id: 2, memo: { n } });
  }
  await manager.releaseCommits();
  assert.deepEqual(
    manager.commits.slice(before).map((operations) => operations.length),
    [1, 2],
  );
  assert.equal(manager.eventlog(1n).filter(({ name }) => name === 'memo').length, 20);
});

test('a commit is no larger than others can wait for', async () => {
  const manager = await Fixture.start();
  await manager.submit(...Array.from({ length: 2500 }, (_, index) => ({ id: BigInt(index + 1) })));
  const sizes = manager.commits.map((operations) => operations.length);
  assert.equal(Math.max(...sizes), 1000);
  assert.equal(manager.names(2500n), 'submit validate depend priority');
  assert.equal(manager.names(1n), 'submit validate depend priority');
});

test('a submission that can not be stored is refused, and may be tried again', async () => {
  const manager = await Fixture.start();
  await manager.schedulerComes();
  const journal = manager.stream('events-journal', {});
  await manager.taken(journal);
  manager.commitError = new FluxError('ENOSPC');
  assert.deepEqual(await manager.submit({ id: 1n }, { id: 2n }), [
    [1, 'KVS commit failed', 28],
    [2, 'KVS commit failed', 28],
  ]);
  assert.equal((await manager.call('stats-get')).active_jobs, 0);
  assert.equal(manager.takeAsked('sched.alloc').size, 0);
  manager.commitError = undefined;
  await manager.pass(60);
  assert.equal(manager.kvs.has(keyOf(1n, 'eventlog')), false);
  assert.deepEqual(await manager.submit({ id: 1n }), []);
  assert.equal(manager.names(1n), 'submit validate depend priority');
  assert.ok(manager.logs.some((text) => text.includes('eventlog update failed')));
});

test('who submits while commits fail is told so, behind what is tried again', async () => {
  const manager = await Fixture.start();
  await manager.submit({ id: 1n, urgency: 0 });
  manager.commitError = new FluxError('ENOSPC');
  await manager.call('memo', { id: 1, memo: { a: 1 } }).catch(() => {});
  await manager.pass(1);
  const submitted = manager.submit({ id: 2n });
  await manager.pass(60);
  assert.deepEqual(await submitted, [[2, 'KVS commit failed', 28]]);
  manager.commitError = undefined;
  await manager.pass(60);
  assert.match(manager.names(1n), / memo$/);
});

test('what was submitted is stored with the first event, and R with the event that tells of it, if nobody did', async () => {
  const manager = await Fixture.start();
  await manager.schedulerComes();
  await manager.submit({ id: 1n, J: 'x.y.z' });
  assert.equal(manager.kvs.get(keyOf(1n, 'J')), 'x.y.z');
  assert.equal(typeof manager.kvs.get(keyOf(1n, 'jobspec')), 'string');
  const request = manager.takeAsked('sched.alloc').get(1n);
  await manager.answer(request, { id: 1n, type: 0, R: makeR(0), stores: false });
  assert.match(manager.kvs.get(keyOf(1n, 'R'))!, /^\{"version": 1, "execution": /);
  await manager.submit({ id: 2n });
  assert.equal(manager.kvs.has(keyOf(2n, 'J')), false);
});

/** Job 1 has finished, and is to be released in answer to the request that started it. */
async function withFinishedJob(): Promise<{ manager: Fixture; request: Message | undefined }> {
  const manager = await Fixture.start();
  await manager.schedulerComes();
  await manager.executorComes();
  await manager.submit({ id: 1n });
  await manager.grantAll();
  const request = manager.takeAsked('job-exec.start').get(1n);
  await manager.answer(request, { id: 1n, type: 'start', data: {} });
  await manager.answer(request, { id: 1n, type: 'finish', data: { status: 0 } });
  return { manager, request };
}

test('what a job wrote is a part of the primary namespace with the event that it is over, and in its own until then', async () => {
  const { manager, request } = await withFinishedJob();
  manager.commitError = new FluxError('EIO');
  await manager.answer(request, { id: 1n, type: 'release', data: { ranks: 'all', final: true, guest: 'sha1-root' } });
  assert.deepEqual(manager.removedNamespaces, []);
  manager.commitError = undefined;
  await manager.pass(60);
  assert.match(manager.names(1n), / clean$/);
  assert.match(manager.kvs.get(keyOf(1n, 'guest'))!, /sha1-root/);
  assert.deepEqual(manager.removedNamespaces, ['job-1']);
});

test('what a short job wrote comes as texts', async () => {
  const { manager, request } = await withFinishedJob();
  const guest_log = { 'exec.eventlog': 'events\n', output: 'lines\n' };
  await manager.answer(request, { id: 1n, type: 'release', data: { ranks: 'all', final: true, guest_log } });
  await manager.pass(60);
  assert.equal(manager.kvs.get(keyOf(1n, 'guest.exec.eventlog')), 'events\n');
  assert.equal(manager.kvs.get(keyOf(1n, 'guest.output')), 'lines\n');
  assert.deepEqual(manager.contextOf(1n, 'release'), { ranks: 'all', final: true });
  assert.deepEqual(manager.removedNamespaces, ['job-1']);
});

test('events that can not be stored now are stored later, each once and in order', async () => {
  const manager = await Fixture.start();
  await manager.schedulerComes();
  await manager.executorComes();
  await manager.submit({ id: 1n });
  await manager.grantAll();
  manager.commitError = new FluxError('EIO', 'the disk is gone');
  const idle = manager.send('drain');
  await manager.run(1n, manager.takeAsked('job-exec.start').get(1n));
  await manager.call('memo', { id: 1, memo: {} }).catch(() => {});
  const [answer] = await manager.taken(idle);
  assert.equal(answer, undefined, 'a commit without it is under way');
  await manager.pass(0.2);
  const [told] = await manager.taken(idle);
  assert.equal(told, undefined);
  manager.commitError = undefined;
  await manager.pass(30);
  assert.equal(manager.names(1n), 'submit validate depend priority alloc start finish release free clean');
  assert.equal((await manager.taken(idle)).length, 1);
});

test('who waits for a commit that fails is told so', async () => {
  const manager = await Fixture.start();
  await manager.schedulerComes();
  await manager.executorComes();
  await manager.complete({ id: 1n });
  manager.commitError = new FluxError('EIO', 'the disk is gone');
  const { errno, text } = await manager.ask('purge', { age_limit: -1, num_limit: 0, batch: 5, force: true });
  assert.deepEqual([errno, text], ['EIO', 'the disk is gone']);
  manager.commitError = undefined;
  await manager.pass(1);
  assert.equal(manager.kvs.has(keyOf(1n, 'eventlog')), false, 'it is done when it can be');
  assert.deepEqual(plain(await manager.call('drain')), null);
  await settled();
});

for (const [when, pass] of [
  ['is under way', 0],
  ['waits to be tried again', 0.05],
] as const) {
  test(`a job manager that stops while a commit that fails ${when} gives it up, and leaves no timer`, async () => {
    const manager = await Fixture.start();
    await manager.submit({ id: 1n, urgency: 0 });
    manager.heldCommits = [];
    await manager.call('memo', { id: 1, memo: { n: 1 } });
    manager.commitError = new FluxError('ENOSYS');
    if (pass) {
      await manager.releaseCommits();
      await manager.pass(pass);
    }
    const stopped = manager.stop();
    await settled();
    if (!pass) await manager.releaseCommits();
    await stopped;
    assert.match(manager.logs.at(-1)!, /eventlog update failed, and is lost/);
    assert.deepEqual(manager.agenda.timerOwners(), []);
  });
}

test('a job manager that stops commits at once what waits for others to come', async () => {
  const manager = await Fixture.start();
  await manager.submit({ id: 1n, urgency: 0 });
  manager.heldCommits = [];
  await manager.call('memo', { id: 1, memo: { n: 1 } });
  manager.agenda.skipTo(manager.agenda.time + 0.01);
  await manager.releaseCommits();
  await manager.call('memo', { id: 1, memo: { n: 2 } });
  const before = manager.commits.length;
  await manager.stop();
  assert.equal(manager.eventlog(1n).filter(({ name }) => name === 'memo').length, 2);
  assert.equal(manager.commits.length, before + 1);
  assert.deepEqual(manager.agenda.timerOwners(), []);
});
