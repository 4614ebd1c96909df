// The module job-info: event logs of jobs as they grow, of the job itself and of its shell, before, while and after it runs.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { jobKey } from '../../../core/formats/job-keys.ts';
import { KvsTransaction } from '../../../core/handle/kvs-transaction.ts';
import type { JsonObject } from '../../../core/json.ts';
import type { Call } from '../../sim/client.ts';
import { ID, Jobs, other, told, user } from './fixture.ts';

const WAITCREATE = 1;
const SENTINEL = 2;

const noJobs = { lookups: 0, watchers: 0, guest_watchers: 0, update_lookups: 0, update_watchers: 0 };

// ---- what is refused

describe('requests that are none', () => {
  const rows: [method: string, payload: JsonObject, isStreaming: boolean, code: string, text: RegExp][] = [
    ['eventlog-watch', {}, true, 'EPROTO', /'id' is missing/],
    ['eventlog-watch', { id: 1.5, path: 'eventlog', flags: 0 }, true, 'EPROTO', /'id' is not an integer/],
    ['eventlog-watch', { id: 1, path: 5, flags: 0 }, true, 'EPROTO', /'path'/],
    ['eventlog-watch', { id: 1, path: 'eventlog' }, true, 'EPROTO', /'flags'/],
    ['eventlog-watch', { id: 1, path: 'eventlog', flags: 4 }, true, 'EPROTO', /rejected with invalid flag$/],
    ['eventlog-watch', { id: 1, path: 'eventlog', flags: 0 }, false, 'EPROTO', /without streaming RPC flag$/],
    ['eventlog-watch', { id: 1, path: 'eventlog', flags: 0 }, true, 'ENOENT', /./],
    ['eventlog-watch', { id: -1, path: 'eventlog', flags: 0 }, true, 'ENOENT', /./],
    ['eventlog-watch', { id: 1, path: 'guest.output', flags: 0 }, true, 'ENOENT', /./],
    ['update-watch', {}, true, 'EPROTO', /'id' is missing/],
    ['update-watch', { id: 1, key: 'R', flags: 1 }, true, 'EPROTO', /rejected with invalid flag$/],
    ['update-watch', { id: 1, key: 'R', flags: 0 }, false, 'EPROTO', /without streaming RPC flag$/],
    ['update-watch', { id: 1, key: 'J', flags: 0 }, true, 'EINVAL', /^update-watch unsupported key specified$/],
    ['update-watch', { id: 1, key: 'R', flags: 0 }, true, 'ENOENT', /./],
    ['eventlog-watch-cancel', {}, false, 'EPROTO', /'matchtag' is missing/],
    ['update-watch-cancel', { matchtag: 'x' }, false, 'EPROTO', /'matchtag'/],
  ];
  for (const [method, payload, isStreaming, code, text] of rows) {
    test(`${method} ${JSON.stringify(payload)}: ${code}`, async () => {
      const { client, sim } = await Jobs.start();
      const topic = `job-info.${method}`;
      const call = isStreaming ? client.stream(topic, payload) : client.call(topic, payload);
      await sim.settle();
      const error = call.finalAnswers[0]!.error();
      assert.equal(error.code, code);
      assert.match(error.message, text);
      assert.deepEqual(await client.rpc('job-info.stats-get'), noJobs);
    });
  }
});

test('a matchtag that is that of another watch is refused', async () => {
  const jobs = await Jobs.start();
  await jobs.submit(ID, { R: {} });
  const first = jobs.watch('eventlog');
  await jobs.settle();
  jobs.client.send(first.request);
  await jobs.settle();
  assert.deepEqual(told(first), ['submit', 'EINVAL']);
  assert.equal((await jobs.stats()).watchers, 1);
});

// ---- the log of a job

test('the log of a job is told to its end', async () => {
  const jobs = await Jobs.start();
  await jobs.submit();
  const call = jobs.watch('eventlog');
  await jobs.settle();
  assert.deepEqual(told(call), ['submit']);
  await jobs.event('validate');
  await jobs.commit(
    new KvsTransaction().append(jobKey(ID, 'eventlog'), jobs.line('depend') + jobs.line('note', { clean: 'clean' })),
  );
  await jobs.event('clean');
  assert.deepEqual(told(call), ['submit', 'validate', 'depend', 'note', 'clean', 'ENODATA']);
  await jobs.event('later');
  const late = jobs.watch('eventlog', SENTINEL);
  await jobs.settle();
  assert.deepEqual(told(late), ['submit', 'validate', 'depend', 'note', 'clean', '-', 'ENODATA']);
  assert.deepEqual(await jobs.stats(), noJobs);
});

test('the lines of a log are told as they are', async () => {
  const jobs = await Jobs.start();
  await jobs.submit();
  const line = '{"timestamp":1000.0,"name":"memo","context":{"ü":"\\n"}}\n';
  await jobs.commit(new KvsTransaction().append(jobKey(ID, 'eventlog'), line));
  const call = jobs.watch('eventlog');
  await jobs.settle();
  assert.deepEqual(call.values[1], { event: line });
});

test('a sentinel is between what is there and what comes', async () => {
  const jobs = await Jobs.start();
  await jobs.submit();
  const calls = [jobs.watch('eventlog', SENTINEL), jobs.watch('more', SENTINEL | WAITCREATE)];
  await jobs.settle();
  await jobs.event('depend');
  await jobs.commit(new KvsTransaction().append(jobKey(ID, 'more'), jobs.line('first')));
  assert.deepEqual(calls.map(told), [
    ['submit', '-', 'depend'],
    ['-', 'first'],
  ]);
});

test('who waits for a job is told when it is there', async () => {
  const jobs = await Jobs.start();
  const call = jobs.watch('eventlog', WAITCREATE, jobs.connect(user));
  const another = jobs.watch('eventlog', WAITCREATE, jobs.connect(other));
  await jobs.settle();
  assert.deepEqual(told(call), []);
  await jobs.submit();
  assert.deepEqual([told(call), told(another)], [['submit'], ['EPERM']]);
});

test('a log that somebody overwrites ends with an error', async () => {
  const jobs = await Jobs.start();
  await jobs.submit();
  const calls = [jobs.watch('eventlog'), jobs.watch('eventlog')];
  await jobs.settle();
  await jobs.commit(new KvsTransaction().put(jobKey(ID, 'eventlog'), ''));
  const late = jobs.watch('eventlog');
  await jobs.settle();
  assert.deepEqual([...calls, late].map(told), [['submit', 'EINVAL'], ['submit', 'EINVAL'], ['EINVAL']]);
  assert.deepEqual(await jobs.stats(), noJobs);
});

// ---- who may watch

describe('another user', () => {
  for (const path of ['eventlog', 'guest.output', 'exec']) {
    for (const isKnown of [false, true]) {
      test(`may not watch ${path}${isKnown ? ', and that is remembered' : ''}; who submitted the job may`, async () => {
        const jobs = await Jobs.start();
        await jobs.submit();
        await jobs.commit(new KvsTransaction().append(jobKey(ID, 'exec'), jobs.line('x')));
        await jobs.begin();
        await jobs.write('output', jobs.line('x'));
        if (isKnown) await jobs.client.rpc('job-info.lookup', { id: ID, keys: ['eventlog'], flags: 0 });
        const calls = [jobs.watch(path, 0, jobs.connect(other)), jobs.watch(path, 0, jobs.connect(user))];
        await jobs.settle();
        assert.deepEqual(
          calls.map((call) => told(call)[0]),
          ['EPERM', path === 'eventlog' ? 'submit' : 'x'],
        );
      });
    }
  }
});

test('a log that does not begin as one of a job is nobody’s but the owner’s', async () => {
  const jobs = await Jobs.start();
  await jobs.event('depend');
  const calls = [jobs.watch('eventlog', 0, jobs.connect(user)), jobs.watch('eventlog')];
  await jobs.settle();
  assert.deepEqual(calls.map(told), [['EPROTO'], ['depend']]);
});

// ---- the logs of a job's shell

type Step = (jobs: Jobs) => Promise<void>;

/** The life of a job, and what a watcher of its output is told that comes before each step. */
const life: readonly Step[] = [
  (jobs) => jobs.submit(),
  (jobs) => jobs.event('alloc'),
  (jobs) => jobs.begin(),
  (jobs) => jobs.write('output', '{"timestamp":1.0,"name":"header"}\n'),
  (jobs) => jobs.write('output', '{"timestamp":2.0,"name":"data"}\n{"timestamp":3.0,"name":"data"}\n'),
  (jobs) =>
    jobs.move({
      output:
        '{"timestamp":1.0,"name":"header"}\n{"timestamp":2.0,"name":"data"}\n{"timestamp":3.0,"name":"data"}\n{"timestamp":4.0,"name":"last"}\n',
    }),
  (jobs) => jobs.event('release', { ranks: 'all', final: true }),
  (jobs) => jobs.event('clean'),
];

describe('the output of a job is told once and whole', () => {
  for (let begun = 1; begun <= life.length; begun++) {
    for (const flags of [WAITCREATE, WAITCREATE | SENTINEL]) {
      test(`watched behind step ${begun}, flags ${flags}`, async () => {
        const jobs = await Jobs.start();
        for (const step of life.slice(0, begun)) await step(jobs);
        const call = jobs.watch('guest.output', flags, jobs.connect(user));
        await jobs.settle();
        for (const step of life.slice(begun)) await step(jobs);
        await jobs.settle();
        const events = told(call).filter((name) => name !== '-');
        assert.deepEqual(events, ['header', 'data', 'data', 'last', 'ENODATA']);
        assert.equal(told(call).length - events.length, flags & SENTINEL ? 1 : 0);
        assert.deepEqual(await jobs.stats(), noJobs);
      });
    }
  }
});

test('a job that never ran has no output', async () => {
  const jobs = await Jobs.start();
  await jobs.submit();
  const call = jobs.watch('guest.output');
  await jobs.settle();
  await jobs.event('exception');
  assert.deepEqual(told(call), []);
  await jobs.event('clean');
  assert.deepEqual(told(call), ['ENODATA']);
});

test('a log that a running job does not have is missing', async () => {
  const jobs = await Jobs.start();
  await jobs.submit();
  await jobs.begin();
  const call = jobs.watch('guest.nosuch');
  await jobs.settle();
  assert.deepEqual(told(call), ['ENOENT']);
});

// ---- ends

describe('a watch ends', () => {
  const begins: [string, (jobs: Jobs) => Promise<Call>][] = [
    ['of the log', async (jobs) => jobs.watch('eventlog', 0, jobs.connect(user))],
    ['of output to come', async (jobs) => jobs.watch('guest.output', 0, jobs.connect(user))],
    [
      'of output',
      async (jobs) => {
        await jobs.begin();
        return jobs.watch('guest.output', WAITCREATE, jobs.connect(user));
      },
    ],
    ['of R', async (jobs) => jobs.connect(user).stream('job-info.update-watch', { id: ID, key: 'R', flags: 0 })],
  ];
  for (const [name, begin] of begins) {
    for (const settles of [true, false]) {
      test(`${name}, ${settles ? 'later' : 'at once'}: when its client wants that, and by no other`, async () => {
        const jobs = await Jobs.start();
        await jobs.submit(ID, { R: { version: 1 } });
        const call = await begin(jobs);
        const client = jobs.sim.clients.find(({ calls }) => calls.includes(call))!;
        const method = name === 'of R' ? 'update-watch-cancel' : 'eventlog-watch-cancel';
        jobs.connect(other).notify(`job-info.${method}`, { matchtag: call.request.matchtag });
        if (settles) await jobs.settle();
        client.notify(`job-info.${method}`, { matchtag: call.request.matchtag });
        await jobs.settle();
        assert.equal(told(call).at(-1), 'ENODATA');
        assert.deepEqual(await jobs.stats(), noJobs);
        const { watchers } = (await jobs.client.rpc('kvs-watch.stats-get')) as JsonObject;
        assert.equal(watchers, 0);
      });

      test(`${name}, ${settles ? 'later' : 'at once'}: when its client is gone`, async () => {
        const jobs = await Jobs.start();
        await jobs.submit(ID, { R: { version: 1 } });
        const call = await begin(jobs);
        if (settles) await jobs.settle();
        jobs.sim.clients.find(({ calls }) => calls.includes(call))!.disconnect();
        await jobs.settle();
        assert.deepEqual(await jobs.stats(), noJobs);
        const { watchers } = (await jobs.client.rpc('kvs-watch.stats-get')) as JsonObject;
        assert.equal(watchers, 0);
      });
    }
  }
});

test('when the module is removed, who watches is told', async () => {
  const jobs = await Jobs.start();
  await jobs.submit(ID, { R: {} });
  await jobs.begin();
  const calls = [
    jobs.watch('eventlog'),
    jobs.watch('guest.output', WAITCREATE),
    jobs.client.stream('job-info.update-watch', { id: ID, key: 'R', flags: 0 }),
  ];
  await jobs.settle();
  await jobs.client.rpc('module.remove', { name: 'job-info' });
  await jobs.settle();
  for (const call of calls) assert.equal(told(call).at(-1), 'ENOSYS');
});

describe('a client that does not take what it is told holds up nobody but itself', () => {
  for (const path of ['eventlog', 'guest.output']) {
    test(path, async () => {
      const jobs = await Jobs.start();
      await jobs.submit();
      await jobs.begin();
      await jobs.write('output', jobs.line('x'));
      const [slow, quick] = [jobs.connect(user), jobs.connect(user)];
      const calls = [slow, quick].map((client) => jobs.watch(path, 0, client));
      await jobs.settle();
      const setSlow = (isSlow: boolean) =>
        jobs.sim.node.slowReaders.set(jobs.sim.ranks[0]!.connector.uuidOf(slow.endpoint)!, isSlow);
      setSlow(true);
      await (path === 'eventlog' ? jobs.event('y') : jobs.write('output', jobs.line('y')));
      const before = told(calls[0]!);
      assert.deepEqual(told(calls[1]!), [...before, 'y']);
      setSlow(false);
      await jobs.settle();
      assert.deepEqual(told(calls[0]!), [...before, 'y']);
    });
  }
});

test('any rank can be asked', async () => {
  const jobs = await Jobs.start(3);
  await jobs.submit();
  const call = jobs.watch('eventlog', 0, jobs.connect(user, 2));
  await jobs.settle();
  await jobs.event('clean');
  assert.deepEqual(told(call), ['submit', 'clean', 'ENODATA']);
});
