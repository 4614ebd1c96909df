// Tasks of cron entries: how they are run, when they wait, and what is kept of them.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FluxError } from '../../../core/errno.ts';
import type { JsonObject } from '../../../core/json.ts';
import { CronBench, exited, killedBy } from './support.ts';

/** A bench with one entry that runs at each event `t`. */
async function withEntry(more: JsonObject = {}): Promise<CronBench> {
  const bench = await CronBench.start();
  await bench.create('event', { topic: 't' }, more);
  return bench;
}

describe('runs', () => {
  test('the shell of a rank runs the command, with no input', async () => {
    const bench = await withEntry({ command: 'echo a b', rank: 3, cwd: '/tmp', environ: { A: 'b' } });
    await bench.event('t');
    const [program] = bench.programs;
    assert.equal(program!.request.nodeid, 3);
    assert.equal(program!.request.isStreaming, true);
    assert.deepEqual(program!.cmd.cmdline, ['sh', '-c', 'echo a b']);
    assert.deepEqual([program!.cmd.cwd, program!.cmd.env], ['/tmp', { A: 'b' }]);
    const [write] = bench.told;
    assert.equal(write!.topic, 'rexec.write');
    assert.deepEqual(write!.json, {
      matchtag: program!.request.matchtag,
      io: { stream: 'stdin', rank: '3', eof: true },
    });
  });

  for (const [name, status, state, code, failure] of [
    ['succeeds', exited(0), 'Exited', 0, undefined],
    ['fails', exited(3), 'Failed', 3, /cron-1: command="true": failed: exit code 3/],
    ['is killed', killedBy(15), 'Failed', 143, /failed: Terminated/],
  ] as const)
    test(`one that ${name}`, async () => {
      const bench = await withEntry();
      await bench.event('t');
      assert.equal(await bench.get(1, 'tasks.0.state'), 'Running');
      assert.equal(await bench.get(1, 'tasks.0.pid'), 0);
      await bench.programs[0]!.started(4711);
      assert.equal(await bench.get(1, 'tasks.0.pid'), 4711);
      assert.equal(await bench.get(1, 'tasks.0.code'), undefined);
      await bench.advance(2);
      await bench.programs[0]!.end(status);
      const entry = (await bench.entry(1))!;
      assert.deepEqual([entry['tasks.0.state'], entry['tasks.0.code'], entry['tasks.0.status']], [state, code, status]);
      assert.equal((entry['tasks.0.end-time'] as number) - (entry['tasks.0.running-time'] as number), 2);
      assert.deepEqual([entry['stats.success'], entry['stats.failure']], failure ? [0, 1] : [1, 0]);
      if (failure) assert.match(bench.logs.join('\n'), failure);
    });

  test('one that cannot be run', async () => {
    const bench = await withEntry({ rank: 3 });
    await bench.event('t');
    await bench.programs[0]!.fail(new FluxError('EHOSTUNREACH'));
    const entry = (await bench.entry(1))!;
    assert.deepEqual([entry['tasks.0.state'], entry['tasks.0.rexec_errno']], ['Rexec Failure', 113]);
    assert.deepEqual([entry['tasks.0.rank'], entry['tasks.0.code'], entry['stats.failure']], [0, 0, 1]);
    await bench.event('t');
    assert.equal(bench.programs.length, 2);
  });

  for (const [name, answers] of [
    ['malformed', [{ kind: 'x' }]],
    [
      'malformed output',
      [
        { type: 'started', pid: 1 },
        { type: 'output', io: { stream: 'stdout' } },
      ],
    ],
    ['no status', [{ type: 'started', pid: 1 }, 'end']],
  ] as [string, (JsonObject | 'end')[]][])
    test(`a server that answers otherwise: ${name}`, async () => {
      const bench = await withEntry();
      await bench.event('t');
      for (const answer of answers)
        if (answer === 'end') await bench.programs[0]!.fail(new FluxError('ENODATA'));
        else await bench.programs[0]!.tell(answer);
      assert.equal(await bench.get(1, 'tasks.0.state'), 'Rexec Failure');
      assert.equal(await bench.get(1, 'tasks.0.rexec_errno'), 71);
    });

  test('what it writes is logged, line by line', async () => {
    const bench = await withEntry({ name: 'me', command: 'cmd' });
    await bench.event('t');
    const [program] = bench.programs;
    await program!.started();
    await program!.output('stdout', 'one\ntwo\n');
    await program!.output('stderr', 'bad');
    assert.deepEqual(bench.logs.slice(-3), [
      'cron-1[me]: rank=0: command="cmd": "one"',
      'cron-1[me]: rank=0: command="cmd": "two"',
      'cron-1[me]: rank=0: command="cmd": "bad"',
    ]);
  });

  test('never two at a time', async () => {
    const bench = await withEntry();
    await bench.event('t');
    await bench.event('t');
    assert.equal(bench.programs.length, 1);
    assert.match(bench.logs.at(-1)!, /task still running or scheduled/);
    assert.equal(await bench.get(1, 'stats.count'), 1);
  });

  test('one that takes too long is told to end', async () => {
    const bench = await withEntry({ timeout: 5, rank: 2 });
    await bench.event('t');
    await bench.advance(10);
    await bench.programs[0]!.started(4711);
    await bench.advance(4.9);
    assert.equal(await bench.get(1, 'tasks.0.timedout'), undefined);
    await bench.advance(0.2);
    const kill = bench.told.at(-1)!;
    assert.deepEqual([kill.topic, kill.nodeid, kill.json], ['rexec.kill', 2, { pid: 4711, signum: 15 }]);
    await bench.programs[0]!.end(killedBy(15));
    assert.equal(await bench.get(1, 'tasks.0.state'), 'Timeout');
    assert.equal(await bench.get(1, 'tasks.0.timedout'), true);
  });

  test('the latest are kept, the last first', async () => {
    for (const [count, expected] of [
      [0, []],
      [1, [5]],
      [3, [5, 4, 3]],
    ] as const) {
      const bench = await withEntry({ 'task-history-count': count });
      for (let code = 1; code <= 5; code++) {
        await bench.event('t');
        await bench.programs.at(-1)!.finish(exited(code));
      }
      const entry = (await bench.entry(1))!;
      const codes = Object.entries(entry).filter(([key]) => key.endsWith('.code'));
      assert.deepEqual(
        codes.map(([, code]) => code),
        expected,
      );
    }
  });

  test('so many failures stop it, and count anew when it is started', async () => {
    const bench = await withEntry({ 'stop-on-failure': 2 });
    for (const code of [1, 0, 1]) {
      assert.equal(await bench.get(1, 'stopped'), false);
      await bench.event('t');
      await bench.programs.at(-1)!.finish(exited(code));
    }
    const entry = (await bench.entry(1))!;
    assert.deepEqual([entry.stopped, entry['stats.failcount'], entry['stats.success']], [true, 2, 1]);
    await bench.call('start', { id: 1 });
    assert.deepEqual([await bench.get(1, 'stats.failcount'), await bench.get(1, 'stats.failure')], [0, 2]);
  });
});

describe('deletion', () => {
  test('an entry whose task runs is gone once that is over', async () => {
    const bench = await withEntry();
    await bench.event('t');
    await bench.programs[0]!.started();
    const deleted = (await bench.call('delete', { id: 1 })) as JsonObject;
    assert.equal(deleted.stopped, false);
    assert.equal(bench.told.filter(({ topic }) => topic === 'rexec.kill').length, 0);
    assert.equal(await bench.get(1, 'tasks.0.state'), 'Running');
    assert.equal(await bench.call('start', { id: 1 }), 'EINVAL');
    await bench.call('delete', { id: 1, kill: true });
    assert.equal(bench.told.filter(({ topic }) => topic === 'rexec.kill').length, 1);
    await bench.programs[0]!.end(killedBy(15));
    assert.equal(await bench.entry(1), undefined);
  });

  test('a task that has not begun to run is ended when it does', async () => {
    const bench = await withEntry();
    await bench.event('t');
    await bench.call('delete', { id: 1, kill: true });
    assert.equal(bench.told.filter(({ topic }) => topic === 'rexec.kill').length, 0);
    await bench.programs[0]!.started(4711);
    assert.deepEqual(bench.told.at(-1)!.json, { pid: 4711, signum: 15 });
  });

  test('one whose task waits is gone at once', async () => {
    const bench = await CronBench.start('sync=s');
    await bench.create('event', { topic: 't' });
    await bench.event('t');
    await bench.call('delete', { id: 1 });
    assert.equal(await bench.entry(1), undefined);
    await bench.event('s');
    assert.equal(bench.programs.length, 0);
  });
});

describe('the event that tasks wait for', () => {
  const start = async (...args: string[]) => {
    const bench = await CronBench.start(...args);
    await bench.create('event', { topic: 't' });
    await bench.create('event', { topic: 't' });
    return bench;
  };

  test('they run when it comes, once each', async () => {
    const bench = await start('sync=s');
    await bench.event('t');
    await bench.advance(1);
    assert.equal(await bench.get(1, 'tasks.0.state'), 'Deferred');
    assert.equal(await bench.get(1, 'stats.deferred'), 1);
    assert.equal(await bench.get(1, 'stats.lastrun'), 0);
    await bench.event('s.other');
    assert.equal(bench.programs.length, 0);
    await bench.event('s');
    assert.equal(bench.programs.length, 2);
    for (const program of bench.programs) await program.finish();
    await bench.event('s');
    assert.equal(bench.programs.length, 2);
  });

  test('right behind it they need not wait', async () => {
    const bench = await start('sync=s', 'sync_epsilon=0.5');
    await bench.event('s');
    await bench.advance(0.4);
    await bench.event('t');
    assert.equal(bench.programs.length, 2);
    assert.equal(await bench.get(1, 'stats.deferred'), 0);
    for (const program of bench.programs) await program.finish();
    await bench.advance(0.2);
    await bench.event('t');
    assert.equal(bench.programs.length, 2);
  });

  test('the last of so many runs waits too, and runs', async () => {
    const bench = await CronBench.start('sync=s');
    await bench.create('event', { topic: 't' }, { repeat: 1 });
    await bench.event('t');
    assert.equal(await bench.get(1, 'stopped'), true);
    await bench.event('s');
    assert.equal(bench.programs.length, 1);
  });

  test('those that wait run when it is given up, and wait on when it is another', async () => {
    for (const [change, event] of [
      [{ disable: true }, undefined],
      [{ topic: 'z' }, 'z'],
    ] as const) {
      const bench = await start('sync=s');
      await bench.event('t');
      await bench.call('sync', change);
      await bench.event('s');
      if (event) {
        assert.equal(bench.programs.length, 0);
        await bench.event(event);
      }
      assert.equal(bench.programs.length, 2);
      assert.equal(bench.subscriptions.includes('s'), false);
    }
  });

  test('how it is set', async () => {
    const bench = await CronBench.start();
    const state = async (change: JsonObject) => {
      const { sync_epsilon, ...rest } = (await bench.call('sync', change)) as JsonObject;
      return { ...rest, ...(sync_epsilon !== undefined && { epsilon: Number(sync_epsilon) }) };
    };
    assert.deepEqual(await state({}), { sync_disabled: true });
    assert.deepEqual(await state({ topic: 's' }), { sync_event: 's', epsilon: 0.015 });
    assert.deepEqual(await state({ sync_epsilon: 42 }), { sync_event: 's', epsilon: 42 });
    assert.deepEqual(await state({ disable: true }), { sync_disabled: true });
  });
});

test('when the module is removed its tasks are told to end, and nothing happens any more', async () => {
  const bench = await withEntry({ timeout: 5 });
  await bench.create('interval', { interval: 1 });
  await bench.create('datetime', { second: 0 });
  await bench.event('t');
  await bench.programs[0]!.started(4711);
  await bench.host.stop();
  assert.deepEqual(bench.told.at(-1)!.json, { pid: 4711, signum: 15 });
  assert.deepEqual(bench.agenda.timerOwners(), []);
  const { length } = bench.logs;
  await bench.programs[0]!.end(killedBy(15));
  assert.equal(bench.logs.length, length);
});
