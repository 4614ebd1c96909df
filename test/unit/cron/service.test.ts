// The service cron: requests, and when each kind of entry runs.

import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { JsonObject } from '../../../core/json.ts';
import { refused } from '../../errors.ts';
import { CronBench, guest } from './support.ts';

const usualZone = process.env.TZ;
process.env.TZ = 'UTC';
after(() => {
  if (usualZone === undefined) delete process.env.TZ;
  else process.env.TZ = usualZone;
});

describe('requests', () => {
  const interval = { type: 'interval', name: 'n', command: 'true', args: { interval: 1 } };
  for (const [method, payload, expected] of [
    ['create', undefined, 'EPROTO'],
    ['create', {}, 'EPROTO'],
    ['create', { ...interval, command: undefined }, 'EPROTO'],
    ['create', { ...interval, args: 1 }, 'EPROTO'],
    ['create', { ...interval, repeat: '1' }, 'EPROTO'],
    ['create', { ...interval, environ: { A: 1 } }, 'EPROTO'],
    ['create', { ...interval, rank: -1 }, 'EINVAL'],
    ['create', { ...interval, 'task-history-count': 1e6 }, 'EINVAL'],
    ['create', { ...interval, type: 'nosuch' }, 'ENOSYS'],
    ['create', { ...interval, args: {} }, 'EPROTO'],
    ['create', { ...interval, args: { interval: -1 } }, 'EINVAL'],
    ['create', { ...interval, type: 'event', args: {} }, 'EPROTO'],
    ['create', { ...interval, type: 'event', args: { topic: 't', nth: 1.5 } }, 'EPROTO'],
    ['create', { ...interval, type: 'datetime', args: { minute: 'text' } }, 'EINVAL'],
    ['create', { ...interval, type: 'datetime', args: { minute: 60 } }, 'EINVAL'],
    ['delete', undefined, 'EPROTO'],
    ['delete', { id: -5 }, 'ENOENT'],
    ['start', { id: 42 }, 'ENOENT'],
    ['stop', { id: 'one' }, 'EPROTO'],
    ['sync', undefined, 'EPROTO'],
    ['sync', { topic: '' }, 'EINVAL'],
  ] as [string, JsonObject | undefined, string][])
    test(`${method} ${JSON.stringify(payload)}: ${expected}`, async () => {
      const bench = await CronBench.start();
      assert.equal(await bench.call(method, payload), expected);
      assert.deepEqual(await bench.call('list'), { entries: [] });
    });

  test('guests may not ask', async () => {
    const bench = await CronBench.start();
    for (const method of ['create', 'delete', 'list', 'start', 'stop', 'sync'])
      assert.equal(await bench.call(method, {}, guest), 'EPERM');
  });

  test('an entry as it is answered', async () => {
    const bench = await CronBench.start();
    const args = { interval: 60, after: 90 };
    const id = await bench.create('interval', args, { repeat: 3, timeout: 5 });
    const { 'stats.ctime': ctime, 'stats.starttime': starttime, ...rest } = (await bench.entry(id))!;
    assert.equal(ctime, starttime);
    assert.deepEqual(rest, {
      id: 1,
      rank: 0,
      name: 'n',
      command: 'true',
      repeat: 3,
      stopped: false,
      type: 'interval',
      timeout: 5,
      'stats.lastrun': 0,
      'stats.count': 0,
      'stats.failcount': 0,
      'stats.total': 0,
      'stats.success': 0,
      'stats.failure': 0,
      'stats.deferred': 0,
      'typedata.interval': 60,
      'typedata.after': 90,
      'typedata.next_wakeup': (ctime as number) + 90,
    });
  });

  test('an id is spent by an entry that cannot be made', async () => {
    const bench = await CronBench.start();
    await bench.call('create', { ...interval, type: 'nosuch' });
    await bench.call('create', {});
    assert.equal(await bench.create('interval', { interval: 1 }), 2);
  });

  test('what is stopped cannot be stopped, nor started what is started', async () => {
    const bench = await CronBench.start();
    const id = await bench.create('event', { topic: 't' });
    assert.equal(await bench.call('start', { id }), 'EINVAL');
    assert.equal(((await bench.call('stop', { id })) as JsonObject).stopped, true);
    assert.equal(await bench.call('stop', { id }), 'EINVAL');
    assert.equal(((await bench.call('start', { id })) as JsonObject).stopped, false);
  });

  test('arguments of the module', async () => {
    const bench = await CronBench.start('sync=a.b', 'sync_epsilon=25ms');
    assert.deepEqual(bench.subscriptions.includes('a.b'), true);
    const state = (await bench.call('sync', {})) as JsonObject;
    assert.deepEqual([state.sync_event, Number(state.sync_epsilon)], ['a.b', 0.025]);
    for (const wrong of ['badopt', 'sync', 'sync=', 'sync_epsilon=x']) await refused(CronBench.start(wrong), 'EINVAL');
  });
});

describe('interval', () => {
  test('first after one time, then each other time, without adding up delays', async () => {
    const bench = await CronBench.start();
    const id = await bench.create('interval', { interval: 10, after: 3.5 });
    const at: number[] = [];
    for (let second = 1; second <= 60; second++) {
      await bench.advance(1);
      if (bench.programs.length === at.length) continue;
      at.push(second);
      await bench.programs.at(-1)!.finish();
    }
    assert.deepEqual(at, [4, 14, 24, 34, 44, 54]);
    assert.equal(await bench.get(id, 'stats.success'), 6);
  });

  test('one of 0 runs once', async () => {
    const bench = await CronBench.start();
    const id = await bench.create('interval', { interval: 0, after: 0.5 });
    await bench.advance(100);
    await bench.programs[0]!.finish();
    await bench.advance(100);
    assert.equal(bench.programs.length, 1);
    assert.equal(await bench.get(id, 'stopped'), false);
  });

  test('what was left when it was stopped is left when it is started', async () => {
    const bench = await CronBench.start();
    const id = await bench.create('interval', { interval: 10 });
    await bench.advance(7);
    await bench.call('stop', { id });
    await bench.advance(100);
    assert.equal(bench.programs.length, 0);
    await bench.call('start', { id });
    await bench.advance(2.9);
    assert.equal(bench.programs.length, 0);
    await bench.advance(0.2);
    assert.equal(bench.programs.length, 1);
  });

  test('however short, it leaves the broker time', async () => {
    const bench = await CronBench.start();
    await bench.create('interval', { interval: 1e-9 });
    await bench.advance(1);
    assert.ok(bench.logs.length <= 1001, `${bench.logs.length} times`);
  });

  test('after so many runs it is stopped, and starts again from none', async () => {
    const bench = await CronBench.start();
    const id = await bench.create('interval', { interval: 1 }, { repeat: 2 });
    for (let i = 0; i < 4; i++) {
      await bench.advance(1);
      await bench.programs.at(-1)!.finish();
    }
    assert.equal(bench.programs.length, 2);
    assert.equal(await bench.get(id, 'stopped'), true);
    await bench.call('start', { id });
    assert.equal(await bench.get(id, 'stats.count'), 0);
    await bench.advance(1);
    assert.deepEqual([await bench.get(id, 'stats.count'), await bench.get(id, 'stats.total')], [1, 3]);
  });
});

describe('event', () => {
  /** At which of some events it runs. */
  async function runs(args: JsonObject, events: readonly string[]): Promise<number[]> {
    const bench = await CronBench.start();
    await bench.create('event', args);
    const at: number[] = [];
    for (const [index, topic] of events.entries()) {
      const before = bench.programs.length;
      await bench.event(topic);
      if (bench.programs.length === before) continue;
      at.push(index + 1);
      await bench.programs.at(-1)!.finish();
    }
    return at;
  }

  const ten = Array.from({ length: 10 }, () => 't');
  for (const [args, events, expected] of [
    [{ topic: 't' }, ten.slice(0, 3), [1, 2, 3]],
    [{ topic: 't', nth: 3 }, ten, [3, 6, 9]],
    [{ topic: 't', after: 4 }, ten.slice(0, 6), [4, 5, 6]],
    [{ topic: 't', after: 3, nth: 2 }, ten, [3, 5, 7, 9]],
    [{ topic: 't' }, ['t.more', 'tt', 's', 't'], [4]],
    [{ topic: 't.*' }, ['t', 't.a', 'ta', 't.a.b'], [2, 4]],
    [{ topic: '*' }, ['a', 'b.c'], [1, 2]],
  ] as [JsonObject, string[], number[]][])
    test(`${JSON.stringify(args)}`, async () => assert.deepEqual(await runs(args, events), expected));

  test('events are counted from its start', async () => {
    const bench = await CronBench.start();
    const id = await bench.create('event', { topic: 't', nth: 3 });
    await bench.event('t');
    await bench.event('t');
    await bench.call('stop', { id });
    await bench.event('t');
    await bench.call('start', { id });
    assert.equal(await bench.get(id, 'typedata.counter'), 0);
  });

  test('between two runs passes a time, and events in it make one', async () => {
    const bench = await CronBench.start();
    const id = await bench.create('event', { topic: 't', min_interval: 1.5 });
    await bench.event('t');
    await bench.programs[0]!.finish();
    for (let i = 0; i < 3; i++) await bench.event('t');
    assert.match(bench.logs.at(-1)!, /^cron-1: delaying 1\.500s due to min interval/);
    await bench.advance(1.4);
    assert.equal(bench.programs.length, 1);
    await bench.advance(0.2);
    assert.equal(bench.programs.length, 2);
    assert.equal(await bench.get(id, 'typedata.counter'), 4);
  });

  test('one that is stopped or deleted no longer runs late, nor listens', async () => {
    const bench = await CronBench.start();
    const none = [...bench.subscriptions];
    const ids = [
      await bench.create('event', { topic: 't', min_interval: 1 }),
      await bench.create('event', { topic: 't' }),
    ];
    await bench.event('t');
    for (const program of bench.programs) await program.finish();
    await bench.event('t');
    await bench.programs.at(-1)!.finish();
    const { length } = bench.programs;
    await bench.call('stop', { id: ids[0]! });
    await bench.call('delete', { id: ids[1]! });
    await bench.event('t');
    await bench.advance(10);
    assert.equal(bench.programs.length, length);
    assert.deepEqual(bench.subscriptions, none);
  });
});

describe('datetime', () => {
  // The bench begins on a Friday, 2027-01-15 at 08:00:00 UTC.
  test('at all times that match, and each once', async () => {
    const bench = await CronBench.start();
    const id = await bench.create('datetime', { second: 0, minute: '*/20', hour: '8-9' });
    assert.equal(await bench.get(id, 'typedata.next_wakeup'), 1_800_001_200);
    const minutes: number[] = [];
    for (let minute = 1; minute <= 24 * 60; minute++) {
      await bench.advance(60);
      if (bench.programs.length === minutes.length) continue;
      minutes.push(minute);
      await bench.programs.at(-1)!.finish();
    }
    assert.deepEqual(minutes, [20, 40, 60, 80, 100, 1440]);
    assert.equal(await bench.get(id, 'stats.success'), 6);
  });

  test('once, at one time, and no more', async () => {
    const bench = await CronBench.start();
    const args = { second: 30, minute: 1, hour: 8, mday: 15, month: 0, year: 127 };
    const id = await bench.create('datetime', args, { repeat: 1 });
    await bench.advance(89);
    assert.equal(bench.programs.length, 0);
    await bench.advance(1.01);
    assert.equal(bench.programs.length, 1);
    assert.equal(await bench.get(id, 'stopped'), true);
  });

  test('the last time stops it', async () => {
    const bench = await CronBench.start();
    const id = await bench.create('datetime', { second: 0, minute: 1, hour: 8, mday: 15, month: 0, year: 127 });
    await bench.advance(61);
    assert.equal(bench.programs.length, 1);
    assert.equal(await bench.get(id, 'stopped'), true);
    assert.match(bench.logs.join('\n'), /cron-1: no time within two years matches/);
  });

  for (const args of [{ year: 101 }, { year: 137 }, { minute: '99' }, { mday: 31, month: 1 }])
    test(`never: ${JSON.stringify(args)}`, async () => {
      const bench = await CronBench.start();
      const entry = (await bench.call('create', { type: 'datetime', name: 'n', command: 'true', args })) as JsonObject;
      assert.equal(entry.stopped, false);
      await bench.advance(0.001);
      assert.equal(await bench.get(1, 'stopped'), true);
      assert.ok(Number(await bench.get(1, 'typedata.next_wakeup')) >= 1e19);
      await bench.call('start', { id: 1 });
      await bench.call('stop', { id: 1 });
      await bench.advance(0.001);
      assert.equal(await bench.get(1, 'stopped'), true);
    });
});
