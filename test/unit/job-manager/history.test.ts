// Jobs that are over come back after a restart without their event logs; what is not in their records is read as before.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type InactiveJob, JobFlag, type JobRecord } from '../../../workers/job-manager/job.ts';
import { Fixture, keyOf, plain } from './fixture.ts';

const statedir = '/state';
const PIECE = 'checkpoint.job-manager-inactive.1';
const OTHERS = 'checkpoint.job-manager-others';

/** The id of a job submitted so many seconds after the instance's start. */
function idAt(seconds: number): bigint {
  return BigInt(Math.round(seconds * 1000)) << 24n;
}

/** A manager in whose time these jobs run to their end. */
async function withJobs(ids: readonly bigint[], { kvs = new Map<string, string>(), flags = 0 } = {}) {
  const manager = await Fixture.start({ statedir, kvs });
  await manager.schedulerComes();
  await manager.executorComes();
  for (const id of ids) await manager.complete({ id, flags });
  return manager;
}

async function inactiveCount(manager: Fixture): Promise<number> {
  return Number((await manager.call('stats-get')).inactive_jobs);
}

/** A restart that reads one of these event logs puts its job aside. */
function spoil({ kvs }: Fixture, ids: readonly bigint[]): void {
  for (const id of ids) kvs.set(keyOf(id, 'eventlog'), 'x\n');
}

function fieldsOf(job: JobRecord | undefined): object {
  const { piece: _, ...fields } = job as InactiveJob;
  return fields;
}

const early = [idAt(10), idAt(20), idAt(30)];
const late = [idAt(40), idAt(50)];

test('of jobs that are over records are read, of others event logs', async () => {
  const first = await withJobs(early);
  const before = fieldsOf(first.core.lookup(early[1]!));
  await first.submit({ id: idAt(5), urgency: 0 });
  await first.stop();
  spoil(first, early);
  const second = await Fixture.start({ statedir, kvs: first.kvs });
  assert.equal(await inactiveCount(second), 3);
  const job = second.core.lookup(early[1]!)!;
  assert.deepEqual(fieldsOf(job), before);
  assert.ok(job.hasEvent('alloc') && job.hasEvent('clean') && !job.hasEvent('exception'));
  assert.equal(second.core.active(idAt(5))?.urgency, 0);
  assert.equal((await second.call('getinfo')).max_jobid, early[2]);
  assert.ok(!second.commits.flat().some(({ key }) => key.startsWith('checkpoint')), 'a restart changes no records');
});

test('after a crash jobs without records are found', async () => {
  const first = await withJobs(early);
  await first.submit({ id: idAt(5), urgency: 0 }, { id: idAt(6), urgency: 0 });
  await first.stop();
  const second = await withJobs(late, { kvs: first.kvs });
  await second.call('raise', { id: idAt(5), severity: 0, type: 'cancel' });
  await second.pass(1);
  spoil(second, early);
  const third = await Fixture.start({ statedir, kvs: second.kvs });
  assert.equal(await inactiveCount(third), 6);
  assert.ok(third.core.active(idAt(6)));
  for (const id of late) assert.ok(third.core.lookup(id)?.hasEvent('finish'));
  assert.ok(!third.logs.some((line) => line.includes('not replayed')), third.logs.join('\n'));
});

test('a job whose id is far behind others is found, too', async () => {
  const first = await withJobs(early);
  await first.stop();
  const second = await withJobs([idAt(3)], { kvs: first.kvs });
  await second.submit({ id: idAt(1), urgency: 0 });
  const third = await Fixture.start({ statedir, kvs: second.kvs });
  assert.equal(await inactiveCount(third), 4);
  assert.ok(third.core.active(idAt(1)));
});

test('what is purged stays away', async () => {
  const first = await withJobs(early);
  await first.stop();
  const second = await Fixture.start({ statedir, kvs: first.kvs });
  await second.call('purge', { age_limit: -1, num_limit: 1, batch: 10, force: true });
  const third = await Fixture.start({ statedir, kvs: second.kvs });
  assert.deepEqual([await inactiveCount(third), third.core.lookup(early[2]!)?.id], [1, early[2]]);
  await third.call('purge', { age_limit: -1, num_limit: 0, batch: 10, force: true });
  assert.ok(!third.kvs.has(PIECE));
  assert.equal(await inactiveCount(await Fixture.start({ statedir, kvs: third.kvs })), 0);
});

test('a job that waited for its end and is purged since is no fault', async () => {
  const first = await withJobs(early);
  await first.submit({ id: idAt(5), urgency: 0 });
  await first.stop();
  const second = await Fixture.start({ statedir, kvs: first.kvs });
  await second.call('raise', { id: idAt(5), severity: 0, type: 'cancel' });
  await second.call('purge-id', { id: idAt(5), force: 1 });
  const third = await Fixture.start({ statedir, kvs: second.kvs });
  assert.equal(await inactiveCount(third), 3);
  assert.ok(!third.logs.some((line) => line.includes('not replayed')), third.logs.join('\n'));
});

test('waitable jobs can be waited for', async () => {
  const first = await withJobs(early.slice(0, 1), { flags: JobFlag.waitable });
  await first.stop();
  const second = await Fixture.start({ statedir, kvs: first.kvs });
  assert.deepEqual(plain(await second.call('wait', { id: -1 })), {
    id: Number(early[0]),
    success: true,
    errstr: '',
  });
  assert.equal(await inactiveCount(second), 1);
  await second.stop();
  assert.equal(await inactiveCount(await Fixture.start({ statedir, kvs: second.kvs })), 1);
});

test('where no job was there are no records, and none are missed', async () => {
  const first = await Fixture.start({ statedir });
  await first.stop();
  const second = await Fixture.start({ statedir, kvs: first.kvs });
  assert.ok(!second.logs.some((line) => line.includes('event logs')), second.logs.join('\n'));
});

test('a crash before records are made anew leaves none to rely on', async () => {
  const first = await withJobs(early);
  await first.stop();
  first.kvs.set(OTHERS, '{');
  const second = await withJobs(late, { kvs: first.kvs });
  await second.call('purge-id', { id: late[1]!, force: 1 });
  first.kvs.set(OTHERS, '{"until":"9999999999999","ids":[]}');
  const third = await Fixture.start({ statedir, kvs: second.kvs });
  assert.equal(await inactiveCount(third), 4);
});

const faults: readonly (readonly [string, (kvs: Map<string, string>) => void])[] = [
  [
    'were written by a manager that does not know of them',
    (kvs) => kvs.set('checkpoint.job-manager', '{"version":1,"max_jobid":9}'),
  ],
  ['of another version', (kvs) => kvs.set('checkpoint.job-manager', '{"version":1,"max_jobid":9,"history":99}')],
  ['that are no JSON', (kvs) => kvs.set(PIECE, '{')],
  ['that are something else', (kvs) => kvs.set(PIECE, '{"events":[],"jobs":[["x"]]}')],
  ['that do not say what is missing', (kvs) => kvs.delete(OTHERS)],
  ['with others that are none', (kvs) => kvs.set(OTHERS, '{"until":"x","ids":[]}')],
];
for (const [what, spoilRecords] of faults)
  test(`records ${what}: the event logs are read, and records made anew`, async () => {
    const first = await withJobs(early);
    await first.stop();
    spoilRecords(first.kvs);
    const second = await withJobs(late, { kvs: first.kvs });
    assert.equal(await inactiveCount(second), 5);
    await second.stop();
    spoil(second, [...early, ...late]);
    assert.equal(await inactiveCount(await Fixture.start({ statedir, kvs: second.kvs })), 5);
  });

test('where nothing outlasts the instance there are no records', async () => {
  const manager = await Fixture.start();
  await manager.schedulerComes();
  await manager.executorComes();
  await manager.complete({ id: early[0]! });
  await manager.stop();
  assert.deepEqual(
    [...manager.kvs.keys()].filter((key) => key.startsWith('checkpoint')),
    ['checkpoint.job-manager'],
  );
});
