// The journal of all jobs' events: what there is at first, what follows, and who wants what of it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '../../../core/json.ts';
import { type Answer, Fixture, keyOf, plain, storedJob, submitted, told } from './fixture.ts';

const ended = 'submit validate depend priority alloc start finish release free clean';

async function twoJobs(): Promise<Fixture> {
  const manager = await Fixture.start();
  await manager.schedulerComes();
  await manager.executorComes();
  await manager.complete({ id: 1n });
  manager.kvs.set(keyOf(1n, 'R'), JSON.stringify({ version: 1, execution: {}, scheduling: {} }));
  await manager.submit({ id: 2n, urgency: 0 });
  return manager;
}

test('the backlog has active jobs, with `full` inactive ones before them, and ends with an empty response', async () => {
  const manager = await twoJobs();
  const active = await manager.taken(manager.stream('events-journal', {}));
  assert.deepEqual(told(active), ['2: submit validate depend priority', '-1: ']);
  const full = await manager.taken(manager.stream('events-journal', { full: true }));
  assert.deepEqual(told(full), [`1: ${ended}`, '2: submit validate depend priority', '-1: ']);
  const [over, held, end] = full.map(({ payload }) => plain(payload as JsonObject));
  assert.deepEqual(over!.R, { version: 1, execution: {} });
  assert.deepEqual(((over!.jobspec as JsonObject).attributes as JsonObject).system, { duration: 0 });
  assert.equal(held!.R, undefined);
  assert.deepEqual(end, { id: -1, events: [] });
});

test('each event follows as it happens, the jobspec with the first, R with its allocation', async () => {
  const manager = await Fixture.start();
  await manager.schedulerComes();
  await manager.executorComes();
  const journal = manager.stream('events-journal', { full: true });
  await manager.taken(journal);
  await manager.complete({ id: 7n });
  const events = (await manager.taken(journal)).map(({ payload }) => plain(payload as JsonObject));
  assert.deepEqual(
    events.map((each) => (each.events as { name: string }[]).map(({ name }) => name).join()),
    [...'submit validate depend priority annotations alloc start finish release free clean'.split(' ')],
  );
  const [submit, alloc] = [events[0]!, events[5]!];
  assert.equal((submit.jobspec as JsonObject).version, 1);
  assert.equal((alloc.R as JsonObject).version, 1);
  assert.equal((await manager.call('stats-get')).journal && events.length, 11);
});

const filters: readonly (readonly [JsonObject, string[], string])[] = [
  [{ allow: { submit: 1, clean: 1 } }, ['2: submit', '-1: '], 'submit clean'],
  [{ deny: { submit: 1, validate: 1 } }, ['2: depend priority', '-1: '], 'depend priority exception clean'],
  [{ allow: { submit: 1, clean: 1 }, deny: { clean: 1 } }, ['2: submit', '-1: '], 'submit'],
  [{ allow: {} }, ['2: ', '-1: '], ''],
];
for (const [filter, backlog, live] of filters)
  test(`who wants ${JSON.stringify(filter)} gets that, in the backlog and later`, async () => {
    const manager = await twoJobs();
    const journal = manager.stream('events-journal', filter);
    assert.deepEqual(told(await manager.taken(journal)), backlog);
    await manager.submit({ id: 3n, urgency: 0 });
    await manager.call('raise', { id: 3, severity: 0, type: 'cancel' });
    const names = told(await manager.taken(journal)).map((text) => text.slice('3: '.length));
    assert.equal(names.join(' '), live);
  });

test('a job that ends while the inactive ones are sent is neither missed nor told twice', async () => {
  const kvs = new Map(
    Array.from({ length: 200 }, (_, index) =>
      storedJob(BigInt(index + 1), [submitted, 'validate', ['exception', { type: 'cancel', severity: 0 }], 'clean']),
    ).flat(),
  );
  const manager = await Fixture.start({ kvs });
  await manager.submit({ id: 901n, urgency: 0 }, { id: 902n, urgency: 0 });
  const journal = manager.stream('events-journal', { full: true });
  // Not a turn has passed since: what follows happens in the middle of it.
  const cancel = manager.send('raise', { id: 901, severity: 0, type: 'cancel' });
  const answers = told(await manager.taken(journal));
  assert.equal((await manager.taken(cancel)).length, 1);
  assert.equal(answers.length, 203);
  assert.equal(answers.at(-1), '-1: ');
  assert.equal(answers.at(-2), '902: submit validate depend priority');
  assert.equal(answers.at(-3), '901: submit validate depend priority exception clean');
  assert.equal(new Set(answers).size, answers.length);
});

/** The responses of a batched journal, each as its entries in one line. */
function batches(answers: readonly Answer[]): string[] {
  return answers.map(({ payload }) =>
    (plain(payload as JsonObject).jobs as unknown as JsonObject[])
      .flatMap((entry) => told([{ errno: '', text: undefined, payload: entry }]))
      .join('; '),
  );
}

test('who wants it batched is told in one response what happens in one turn', async () => {
  const manager = await twoJobs();
  const journal = manager.stream('events-journal', { full: true, batched: true });
  assert.deepEqual(batches(await manager.taken(journal)), [
    `1: ${ended}`,
    '2: submit validate depend priority',
    '-1: ',
  ]);
  await manager.submit({ id: 3n, urgency: 0 }, { id: 4n, urgency: 0 });
  const told = await manager.taken(journal);
  assert.deepEqual(batches(told), ['3: submit; 4: submit', '3: validate depend priority; 4: validate depend priority']);
  const [first] = told.map(({ payload }) => plain(payload as JsonObject).jobs as unknown as JsonObject[]);
  assert.equal((first![0]!.jobspec as JsonObject).version, 1);
  await manager.grantAll();
  await manager.call('raiseall', { dry_run: false, userid: 200, states: 65535, severity: 0, type: 'cancel' });
  const cancels = await manager.taken(journal);
  assert.deepEqual(batches(cancels), ['2: exception clean; 3: exception clean; 4: exception clean']);
});

test('who joins in the middle of a turn is told nothing twice', async () => {
  const manager = await twoJobs();
  const first = manager.stream('events-journal', { batched: true });
  await manager.taken(first);
  const memo = manager.send('memo', { id: 2, memo: {} });
  const second = manager.stream('events-journal', { batched: true });
  await manager.taken(memo);
  assert.deepEqual(batches(await manager.taken(first)), ['2: memo']);
  assert.deepEqual(batches(await manager.taken(second)), ['2: submit validate depend priority memo', '-1: ']);
});

test('inactive jobs that are known are not told of, but when they are gone', async () => {
  const manager = await twoJobs();
  const journal = manager.stream('events-journal', { full: true, known: [1, 2, 9] });
  assert.deepEqual(told(await manager.taken(journal)), [
    '2: invalidate',
    '9: invalidate',
    '2: submit validate depend priority',
    '-1: ',
  ]);
});

test('a reader may stop, be gone, or be wrong', async () => {
  const manager = await twoJobs();
  const [stopped, gone, other] = ['a', 'b', 'c'].map((client) => manager.stream('events-journal', {}, { client }));
  for (const journal of [stopped!, gone!, other!]) await manager.taken(journal);
  manager.notify('events-journal-cancel', { matchtag: stopped! }, { client: 'b' });
  manager.notify('events-journal-cancel', { matchtag: stopped! }, { client: 'a' });
  manager.notify('disconnect', undefined, { client: 'b' });
  assert.deepEqual(plain((await manager.call('stats-get')).journal as JsonObject).listeners, 1);
  await manager.call('memo', { id: 2, memo: {} });
  assert.deepEqual(told(await manager.taken(stopped!)), ['ENODATA']);
  assert.deepEqual(told(await manager.taken(gone!)), []);
  assert.deepEqual(told(await manager.taken(other!)), ['2: memo']);
  for (const [payload, text] of [
    [{ allow: 5 }, 'job-manager.events allow should be an object'],
    [{ deny: [] }, 'job-manager.events deny should be an object'],
    [{ known: ['x'] }, 'job-manager.events known should be an array of job ids'],
    [{ batched: true, allow: {} }, 'job-manager.events batched has no allow and no deny'],
  ] as const) {
    const [answer] = await manager.taken(manager.stream('events-journal', payload));
    assert.deepEqual([answer?.errno, answer?.text], ['EPROTO', text]);
  }
  const { errno, text } = await manager.ask('events-journal', {});
  assert.deepEqual([errno, text], ['EPROTO', 'job-manager.events requires streaming RPC flag']);
});
