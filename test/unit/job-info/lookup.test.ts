// The module job-info: what is stored of jobs, and R and jobspecs as events change them.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { jobKey } from '../../../core/formats/job-keys.ts';
import { KvsTransaction } from '../../../core/handle/kvs-transaction.ts';
import { type JsonObject, type JsonValue, Real, stringifyJson } from '../../../core/json.ts';
import type { Credentials } from '../../../core/message/credentials.ts';
import { owner } from '../../sim/client.ts';
import { ID, Jobs, other, told, user } from './fixture.ts';

const R = { version: 1, execution: { R_lite: [], expiration: new Real(0) } };
const spec = { version: 1, attributes: { system: { duration: 1 } } };
const DECODE = 1;
const CURRENT = 2;

/** A job with R and jobspec, and updates of both. */
async function withUpdates(): Promise<Jobs> {
  const jobs = await Jobs.start();
  await jobs.submit(ID, { R, jobspec: spec, J: 'x' });
  await jobs.event('resource-update', { expiration: 100, other: 1 });
  await jobs.event('resource-update');
  await jobs.event('jobspec-update', { 'attributes.system.queue': 'q', 'attributes.system.duration.x': 2 });
  await jobs.event('resource-update', { expiration: new Real(200) });
  return jobs;
}

const updatedR = { version: 1, execution: { R_lite: [], expiration: new Real(200) } };
const updatedSpec = { version: 1, attributes: { system: { duration: 1, queue: 'q' } } };

describe('a lookup', () => {
  const spaced = '{"version": 1, "execution": {"R_lite": [], "expiration": 200.0}}';
  const rows: [string, keys: string[], flags: number, answer: JsonObject][] = [
    ['of nothing', [], 0, {}],
    ['of one key', ['R'], 0, { R: stringifyJson(R) }],
    ['of a key twice', ['J', 'J'], 0, { J: '"x"' }],
    ['of a key as an object', ['R'], DECODE, { R }],
    ['of what is no object', ['J'], DECODE | CURRENT, { J: '"x"' }],
    ['of R as it is now', ['R'], CURRENT, { R: spaced }],
    ['of R as it is now, as an object', ['R'], DECODE | CURRENT, { R: updatedR }],
    ['of both as they are now', ['R', 'jobspec'], DECODE | CURRENT, { R: updatedR, jobspec: updatedSpec }],
  ];
  for (const [name, keys, flags, answer] of rows) {
    for (const credentials of [owner, user]) {
      test(`${name}, by ${credentials === owner ? 'the owner' : 'who submitted it'}`, async () => {
        const { sim } = await withUpdates();
        const client = sim.connect(0, credentials);
        for (let i = 0; i < 2; i++)
          assert.deepEqual(await client.rpc('job-info.lookup', { id: ID, keys, flags }), { id: Number(ID), ...answer });
      });
    }
  }
});

test('event logs are read whole', async () => {
  const jobs = await Jobs.start();
  await jobs.submit();
  await jobs.event('clean');
  const { eventlog } = await jobs.client.rpc('job-info.lookup', { id: ID, keys: ['eventlog'], flags: 0 });
  assert.deepEqual(String(eventlog).match(/"name":"[a-z]+"/g), ['"name":"submit"', '"name":"clean"']);
});

test('what the job manager has not committed yet is waited for', async () => {
  const jobs = await Jobs.start();
  await jobs.submit();
  const { rootseq } = await jobs.client.rpc<{ rootseq: number }>('kvs.getroot', { namespace: 'primary', flags: 0 });
  await jobs.connect().serve('job-manager', (request, manager) => {
    const ops = new KvsTransaction().putJson(jobKey(ID, 'R'), R).operations as unknown as JsonValue;
    manager.call('kvs.commit', { namespace: 'primary', flags: 0, ops });
    manager.respond(request, { rootseq: rootseq + 1 });
  });
  const answer = await jobs.client.rpc('job-info.lookup', { id: ID, keys: ['R'], flags: DECODE });
  assert.deepEqual(answer, { id: Number(ID), R });
});

describe('lookups that fail', () => {
  const lookup = (payload: JsonObject): [string, JsonObject] => ['lookup', payload];
  const rows: [request: [string, JsonValue], code: string, text: RegExp, user?: Credentials][] = [
    [['lookup', [1]], 'EPROTO', /not a JSON object/],
    [lookup({ keys: [], flags: 0 }), 'EPROTO', /'id' is missing/],
    [lookup({ id: 'x', keys: [], flags: 0 }), 'EPROTO', /'id'/],
    [lookup({ id: 1, keys: 'R', flags: 0 }), 'EPROTO', /'keys' is not an array/],
    [lookup({ id: 1, keys: ['R', 5], flags: 0 }), 'EPROTO', /a key is not a string/],
    [lookup({ id: 1, keys: [] }), 'EPROTO', /'flags' is missing/],
    [lookup({ id: 1, keys: [], flags: 4 }), 'EPROTO', /^lookup request rejected with invalid flag$/],
    [lookup({ id: 1, keys: ['R'], flags: 0 }), 'ENOENT', /^invalid job id$/],
    [lookup({ id: 1, keys: ['R'], flags: 0 }), 'ENOENT', /^invalid job id$/, other],
    [lookup({ id: 2n ** 63n, keys: ['R'], flags: 0 }), 'ENOENT', /^invalid job id$/],
    [lookup({ id: ID, keys: ['nosuch'], flags: 0 }), 'ENOENT', /^nosuch: key not found$/],
    [lookup({ id: ID, keys: ['R', 'nosuch'], flags: 0 }), 'ENOENT', /^nosuch: key not found$/, user],
    [lookup({ id: ID, keys: [''], flags: 0 }), 'EISDIR', /^: Is a directory$/],
    [lookup({ id: ID, keys: ['empty'], flags: 0 }), 'EPROTO', /^empty: value is unexpectedly empty$/],
    [lookup({ id: ID, keys: ['R'], flags: 0 }), 'EPERM', /^access is restricted to job\/instance owner$/, other],
    [['update-lookup', { id: ID, key: 'R', flags: 1 }], 'EPROTO', /^update-lookup request rejected with invalid flag$/],
    [['update-lookup', { id: ID, key: 'J', flags: 0 }], 'EINVAL', /^update-lookup unsupported key specified$/],
    [['update-lookup', { id: ID, keys: ['R'], flags: 0 }], 'EPROTO', /'key' is missing/],
    [['update-lookup', { id: 1, key: 'R', flags: 0 }], 'ENOENT', /^invalid job id$/],
    [['update-lookup', { id: ID, key: 'R', flags: 0 }], 'EPERM', /^access is restricted/, other],
    [['stats-get', {}], 'EPERM', /./, user],
  ];
  for (const [[method, payload], code, text, credentials = owner] of rows) {
    test(`${method} ${stringifyJson(payload)}: ${code}`, async () => {
      const jobs = await Jobs.start();
      await jobs.submit(ID, { R });
      await jobs.commit(new KvsTransaction().put(jobKey(ID, 'empty'), ''));
      const client = jobs.connect(credentials);
      for (let i = 0; i < 2; i++)
        await assert.rejects(client.rpc(`job-info.${method}`, payload), (error: Error & { code: string }) => {
          assert.equal(error.code, code, error.message);
          assert.match(error.message, text);
          return true;
        });
      assert.equal((await jobs.stats()).lookups, 0);
    });
  }
});

describe('what is stored and is nothing that a lookup can use', () => {
  const rows: [string, value: string, flags: number][] = [
    ['no JSON', 'x', DECODE],
    ['no JSON', 'x', CURRENT],
    ['no object', '[]', DECODE],
  ];
  for (const [name, value, flags] of rows) {
    test(`${name}, flags ${flags}`, async () => {
      const jobs = await Jobs.start();
      await jobs.submit();
      await jobs.commit(new KvsTransaction().put(jobKey(ID, 'R'), value));
      await assert.rejects(jobs.client.rpc('job-info.lookup', { id: ID, keys: ['R'], flags }), { code: 'EINVAL' });
    });
  }
});

test('update-lookup is the R of now', async () => {
  const { client } = await withUpdates();
  assert.deepEqual(await client.rpc('job-info.update-lookup', { id: ID, key: 'R', flags: 0 }), {
    id: Number(ID),
    R: updatedR,
  });
});

test('owners of a thousand jobs are remembered, those that were asked for last', async () => {
  const jobs = await Jobs.start();
  const transaction = new KvsTransaction();
  for (let i = 1n; i <= 1001n; i++)
    transaction.append(jobKey(i, 'eventlog'), jobs.line('submit', { userid: user.userid })).put(jobKey(i, 'x'), 'x');
  await jobs.commit(transaction);
  const client = jobs.connect(user);
  for (let id = 1n; id <= 1001n; id++) await client.rpc('job-info.lookup', { id, keys: ['x'], flags: 0 });
  await jobs.commit(new KvsTransaction().unlink(jobKey(1n, 'eventlog')).unlink(jobKey(2n, 'eventlog')));
  await assert.rejects(client.rpc('job-info.lookup', { id: 1n, keys: ['x'], flags: 0 }), /invalid job id/);
  assert.deepEqual(await client.rpc('job-info.lookup', { id: 2n, keys: ['x'], flags: 0 }), { id: 2, x: 'x' });
});

// ---- updates

describe('R and jobspec are told as events change them', () => {
  test('to all who watch', async () => {
    const jobs = await withUpdates();
    const watch = (credentials: Credentials, key: string) =>
      jobs.connect(credentials).stream('job-info.update-watch', { id: ID, key, flags: 0 });
    const calls = [watch(owner, 'R'), watch(other, 'R'), watch(user, 'R'), watch(owner, 'jobspec')];
    await jobs.settle();
    const late = [watch(user, 'R'), watch(other, 'R')];
    await jobs.settle();
    assert.equal((await jobs.stats()).update_watchers, 4);
    await jobs.event('other', { expiration: 5 });
    await jobs.event('resource-update', { expiration: new Real(300) });
    await jobs.event('jobspec-update', { 'attributes.system.queue': 'p' });
    const lookup = await jobs.client.rpc('job-info.lookup', { id: ID, keys: ['R'], flags: DECODE | CURRENT });
    await jobs.event('clean');
    const text = (expiration: number) => `{"R":{"version":1,"execution":{"R_lite":[],"expiration":${expiration}.0}}}`;
    const plain = (call: (typeof calls)[number]) =>
      call.answers.map((answer) => (answer.errnum ? answer.error().code : stringifyJson(answer.json!)));
    const all = [text(200), text(300), 'ENODATA'];
    assert.deepEqual([calls[0]!, calls[2]!, late[0]!].map(plain), [all, all, all]);
    assert.deepEqual([calls[1]!, late[1]!].map(told), [['EPERM'], ['EPERM']]);
    assert.deepEqual(plain(calls[3]!), [
      stringifyJson({ jobspec: updatedSpec }),
      stringifyJson({ jobspec: { version: 1, attributes: { system: { duration: 1, queue: 'p' } } } }),
      'ENODATA',
    ]);
    assert.deepEqual(
      stringifyJson(lookup.R!),
      stringifyJson({ ...updatedR, execution: { R_lite: [], expiration: new Real(300) } }),
    );
    assert.equal((await jobs.stats()).update_watchers, 0);
  });

  test('of a job that has ended once', async () => {
    const jobs = await withUpdates();
    await jobs.event('clean');
    const call = jobs.client.stream('job-info.update-watch', { id: ID, key: 'R', flags: 0 });
    await jobs.settle();
    assert.deepEqual(
      call.answers.map(({ errnum }) => errnum),
      [0, 61],
    );
  });

  test('not when there is none', async () => {
    const jobs = await Jobs.start();
    await jobs.submit(ID, { jobspec: 5 });
    const calls = ['R', 'jobspec'].map((key) => jobs.client.stream('job-info.update-watch', { id: ID, key, flags: 0 }));
    await jobs.settle();
    assert.deepEqual(calls.map(told), [['ENOENT'], ['EINVAL']]);
    assert.equal((await jobs.stats()).update_watchers, 0);
  });
});
