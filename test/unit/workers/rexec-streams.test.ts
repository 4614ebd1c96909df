// Programs that rexec runs: what a client hears of their output and their end, and what becomes of what it writes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answersOf, Flags, RexecBench } from './rexec.ts';

test('a client hears that its program started, its output in lines, each end of stream, its status and the end', async () => {
  const bench = await RexecBench.start();
  const { call, process } = await bench.run(bench.exec());
  assert.deepEqual(call.values, [{ type: 'started', pid: process.pid }]);
  process.print('one\ntwo\nre');
  process.print('st');
  process.print('oops\n', 2);
  process.exit(3);
  await bench.sim.settle();
  assert.deepEqual(answersOf(call), [
    'started',
    ['stdout', 'one\n'],
    ['stdout', 'two\n'],
    ['stderr', 'oops\n'],
    { type: 'finished', status: 3 << 8 },
    ['stdout', 'rest'],
    ['stdout', null],
    ['stderr', null],
    'ENODATA',
  ]);
  assert.deepEqual(await bench.list(), []);
});

test('output that is no text, or has a NUL, comes in base64', async () => {
  const bench = await RexecBench.start();
  const { call, process } = await bench.run(bench.exec());
  for (const bytes of [
    [0xff, 0x0a],
    [0x61, 0, 0x0a],
  ])
    process.print(Buffer.from(bytes));
  await bench.sim.settle();
  assert.deepEqual(answersOf(call).slice(1), [
    ['stdout', Buffer.from([0xff, 0x0a])],
    ['stdout', Buffer.from([0x61, 0, 0x0a])],
  ]);
});

test('output that nobody wants goes nowhere, and what is wanted is not cut where that is not wished', async () => {
  const bench = await RexecBench.start();
  const opts = { stderr_LINE_BUFFER: 'false' };
  const { call, process } = await bench.run(bench.exec({ opts }, { flags: Flags.stderr }));
  assert.deepEqual(process.spec.stdio, ['input', 'null', 'output']);
  process.print('no');
  process.print('a', 2);
  process.print('b\nc', 2);
  process.exit();
  await bench.sim.settle();
  assert.deepEqual(answersOf(call), [
    'started',
    ['stderr', 'a'],
    ['stderr', 'b\nc'],
    { type: 'finished', status: 0 },
    ['stderr', null],
    'ENODATA',
  ]);
});

test('a program gets its arguments, environment, folder and process group', async () => {
  const bench = await RexecBench.start({ environment: { RANK: 'yes' } });
  const cmd = { cmdline: ['prog', 'a b', ''], cwd: '/tmp', env: {} };
  const { process } = await bench.run(bench.exec(cmd));
  assert.deepEqual(
    { ...process.spec, env: process.spec.env.toSorted() },
    {
      argv: ['prog', 'a b', ''],
      cwd: '/tmp',
      env: ['FLUX_URI=local:///sim/rundir/local-0', 'RANK=yes'],
      processGroup: true,
      stdio: ['input', 'output', 'output'],
    },
  );
  assert.ok(bench.sim.node.listening.has(0));
  const shared = await bench.run(bench.exec({}, { local_flags: 3 }));
  assert.deepEqual([shared.process.spec.processGroup, shared.process.spec.stdio], [false, [0, 1, 2]]);
});

test('channels lead both ways, and are told by descriptors in the environment', async () => {
  const bench = await RexecBench.start();
  const run = await bench.run(bench.exec({ channels: ['ONE', 'TWO'] }, { flags: Flags.channel }));
  const { call, process } = run;
  assert.deepEqual(process.spec.stdio, ['input', 'null', 'null', 'channel', 'channel']);
  assert.deepEqual([process.variable('ONE'), process.variable('TWO')], ['3', '4']);
  bench.write(run, { stream: 'TWO', rank: '0', data: 'hello' });
  await bench.sim.settle();
  assert.deepEqual([process.input(3), process.input(4)], ['', 'hello']);
  process.print('answer\n', 4);
  await bench.sim.settle();
  assert.deepEqual(answersOf(call).at(-1), ['TWO', 'answer\n']);
});

// ---- input

test('a program reads what its client writes, until the end of it', async () => {
  const bench = await RexecBench.start();
  const run = await bench.run(bench.exec());
  let isEnded = false;
  run.process.onInputEnd = () => {
    isEnded = true;
  };
  bench.write(run, { stream: 'stdin', rank: '0', data: 'one' });
  bench.write(run, { stream: 'stdin', rank: '0', data: 'dHdv', encoding: 'base64' });
  bench.write(run, { stream: 'nosuch', rank: '0', data: 'x' });
  await bench.sim.settle();
  assert.deepEqual([run.process.input(), isEnded], ['onetwo', false]);
  bench.write(run, { stream: 'stdin', rank: '0', data: 'three', eof: true });
  bench.write(run, { stream: 'stdin', rank: '0', data: 'too late' });
  await bench.sim.settle();
  assert.deepEqual([run.process.input(), isEnded], ['onetwothree', true]);
});

test('what is written before the program is there reaches it', async () => {
  const bench = await RexecBench.start();
  const call = bench.exec();
  bench.client.notify('rexec.write', {
    matchtag: call.request.matchtag,
    io: { stream: 'stdin', rank: '0', data: 'early', eof: true },
  });
  const { process } = await bench.run(call);
  assert.equal(process.input(), 'early');
});

test('nobody else writes to a program', async () => {
  const bench = await RexecBench.start();
  const run = await bench.run(bench.exec());
  bench.write(run, { stream: 'stdin', rank: '0', data: 'x' }, bench.sim.connect());
  await bench.sim.settle();
  assert.equal(run.process.input(), '');
});

test('credit is the room of each buffer at first, and what has gone to the program from then on', async () => {
  const bench = await RexecBench.start();
  const opts = { stdin_BUFSIZE: '8', C_BUFSIZE: '1k' };
  const run = await bench.run(bench.exec({ opts, channels: ['C'] }, { flags: Flags.writeCredit }));
  const { call, process } = run;
  const credits = () =>
    call.values.flatMap((value) => ('channels' in (value as object) ? [(value as { channels: object }).channels] : []));
  assert.deepEqual(credits(), [{ stdin: 8 }, { C: 1024 }]);
  process.room = 3;
  bench.write(run, { stream: 'stdin', rank: '0', data: 'abcde' });
  await bench.sim.settle();
  assert.deepEqual([process.input(), credits().slice(2)], ['abc', [{ stdin: 3 }]]);
  process.takeMore(10);
  await bench.sim.settle();
  assert.deepEqual([process.input(), credits().slice(3)], ['abcde', [{ stdin: 2 }]]);
});

test('without credit being wanted none is told', async () => {
  const bench = await RexecBench.start();
  const run = await bench.run(bench.exec());
  bench.write(run, { stream: 'stdin', rank: '0', data: 'abc' });
  await bench.sim.settle();
  assert.deepEqual(answersOf(run.call), ['started']);
});

test('who writes more than the buffer holds loses the program', async () => {
  const bench = await RexecBench.start();
  const run = await bench.run(bench.exec({ opts: { stdin_BUFSIZE: '8' } }));
  const { call, process } = run;
  process.room = 0;
  bench.write(run, { stream: 'stdin', rank: '0', data: '12345678' });
  await bench.sim.settle();
  assert.ok(process.isRunning);
  bench.write(run, { stream: 'stdin', rank: '0', data: '9' });
  await bench.sim.settle();
  assert.ok(!process.isRunning);
  assert.deepEqual(answersOf(call), ['started', 'ENOSPC']);
  assert.equal(bench.logged(/1 bytes exceed its buffer of 8/).length, 1);
});

test('what a program that reads no more is sent is gone, and its credit comes back', async () => {
  const bench = await RexecBench.start();
  const run = await bench.run(bench.exec({ opts: { stdin_BUFSIZE: '8' } }, { flags: Flags.writeCredit }));
  run.process.close(0);
  for (let i = 0; i < 5; i++) {
    bench.write(run, { stream: 'stdin', rank: '0', data: '12345678' });
    await bench.sim.settle();
  }
  assert.deepEqual(
    answersOf(run.call).slice(1),
    Array.from({ length: 6 }, () => ({ type: 'add-credit', channels: { stdin: 8 } })),
  );
});

// ---- the end

test('a program that ends while others hold its output open is over when they are', async () => {
  const bench = await RexecBench.start();
  const { call, process } = await bench.run(bench.exec());
  process.exitEarly(0);
  process.print('of its child\n');
  await bench.sim.settle();
  assert.deepEqual(answersOf(call), ['started', { type: 'finished', status: 0 }, ['stdout', 'of its child\n']]);
  process.finish();
  await bench.sim.settle();
  assert.equal(answersOf(call).at(-1), 'ENODATA');
});

test('a program dies with its client, one in the background does not', async () => {
  const bench = await RexecBench.start();
  const client = bench.sim.connect();
  const { process } = await bench.run(bench.exec({}, {}, client));
  const other = await bench.run(bench.background({}, {}, client));
  client.disconnect();
  await bench.sim.settle();
  assert.deepEqual([process.isRunning, other.process.isRunning], [false, true]);
  assert.equal((await bench.list()).length, 1);
});

// ---- readers that do not keep up

test('the outputs of a program are not read while its reader is slow', async () => {
  const bench = await RexecBench.start();
  const { process } = await bench.run(bench.exec());
  const { process: other } = await bench.run(bench.exec({}, {}, bench.sim.connect()));
  const sender = bench.sim.ranks[0]!.connector.uuidOf(bench.client.endpoint)!;
  bench.sim.node.slowReaders.set(sender, true);
  assert.deepEqual([[...process.paused], [...other.paused]], [[1, 2], []]);
  const { process: later } = await bench.run(bench.exec());
  assert.deepEqual([...later.paused], [1, 2]);
  bench.sim.node.slowReaders.hold(true);
  bench.sim.node.slowReaders.set(sender, false);
  assert.deepEqual([process.paused.size, other.paused.size], [2, 2]);
  bench.sim.node.slowReaders.hold(false);
  assert.deepEqual([process.paused.size, other.paused.size, later.paused.size], [0, 0, 0]);
});

test('a program that waits for its reader goes on when that is gone', async () => {
  const bench = await RexecBench.start();
  const { process } = await bench.run(bench.background());
  const client = bench.sim.connect();
  client.stream('rexec.attach', { pid: process.pid, flags: Flags.stdout });
  await bench.sim.settle();
  const sender = bench.sim.ranks[0]!.connector.uuidOf(client.endpoint)!;
  bench.sim.node.slowReaders.set(sender, true);
  assert.equal(process.paused.size, 2);
  bench.sim.node.slowReaders.set('somebody else', false);
  assert.equal(process.paused.size, 2);
  client.disconnect();
  await bench.sim.settle();
  assert.equal(process.paused.size, 0);
  bench.sim.node.slowReaders.set(sender, false);
});
