// Programs in the background, and what others may do with programs: list, wait, attach, kill; who may, and who may not.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '../../../core/json.ts';
import { refused } from '../../errors.ts';
import { guest } from '../../sim/client.ts';
import { answersOf, Flags, RexecBench } from './rexec.ts';

const waitable = { flags: Flags.waitable };

test('a request without the streaming flag is answered once, and the program goes on', async () => {
  const bench = await RexecBench.start();
  const { call, process } = await bench.run(bench.background());
  assert.deepEqual(call.values, [{ type: 'started', pid: process.pid }]);
  assert.deepEqual(process.spec.stdio, ['null', 'output', 'output']);
  process.exit();
  await bench.sim.settle();
  assert.equal(call.answers.length, 1);
  assert.deepEqual(await bench.list(), []);
});

test('its output and its end are in the log', async () => {
  const bench = await RexecBench.start({ attributes: { 'log-stderr-level': '7' } });
  const labelled = await bench.run(bench.background({ label: 'it' }));
  labelled.process.print('one\ntw');
  labelled.process.print('oops\n', 2);
  labelled.process.exit(3);
  const { process } = await bench.run(bench.background({ cmdline: ['prog', 'x'] }));
  process.die(9);
  await bench.sim.settle();
  const [one, other] = [labelled.process.pid, process.pid];
  assert.deepEqual(
    bench.logged(/rexec\./).map((text) => text.replace(/^.*rexec\./, '')),
    [
      `info[0]: it[${one}]: one`,
      `err[0]: it[${one}]: oops`,
      `info[0]: it: prog[${one}]: Exit 3`,
      `info[0]: it[${one}]: tw`,
      `info[0]: prog[${other}]: Killed by signal 9`,
    ],
  );
});

test('programs are listed while they run, and as zombies while somebody may wait for them', async () => {
  const bench = await RexecBench.start();
  const plain = await bench.run(bench.exec({ label: 'plain' }));
  const zombie = await bench.run(bench.background({}, waitable));
  zombie.process.exit();
  await bench.sim.settle();
  assert.deepEqual(await bench.client.rpc('rexec.list'), {
    rank: 0,
    procs: [
      { pid: plain.process.pid, cmd: 'prog', label: 'plain', state: 'R' },
      { pid: zombie.process.pid, cmd: 'prog', label: '', state: 'Z' },
    ],
  });
});

// ---- refusals

for (const [what, cmd, more, isBackground, code, text] of [
  ['credit in the background', {}, { flags: Flags.writeCredit }, true, 'EINVAL', /write-credit/],
  ['output of the broker itself in the background', {}, { local_flags: 1 }, true, 'EINVAL', /stdio-fallthrough/],
  ['channels in the background', { channels: ['C'] }, {}, true, 'EINVAL', /auxiliary channels/],
  ['waiting in the foreground', {}, waitable, false, 'EINVAL', /waitable flag only/],
  ['no command', { cmdline: [] }, {}, false, 'EPROTO', /command string is empty/],
  ['no flags', {}, { flags: null }, false, 'EPROTO', /'flags'/],
  ['a command that is no object', {}, { cmd: 'prog' }, false, 'EPROTO', /'cmd' is not an object/],
  ['a program that is not there', { cmdline: ['nosuch'] }, {}, false, 'ENOENT', /./],
  ['a program that is not there', { cmdline: ['nosuch'] }, {}, true, 'ENOENT', /./],
  ['a buffer that is none', { opts: { stdin_BUFSIZE: 'x' } }, {}, false, 'EINVAL', /stdin_BUFSIZE/],
] as [string, JsonObject, JsonObject, boolean, 'EINVAL', RegExp][]) {
  test(`refused, and nothing is left: ${what}${isBackground ? ', in the background' : ''}`, async () => {
    const bench = await RexecBench.start();
    const call = isBackground ? bench.background(cmd, more) : bench.exec(cmd, more);
    await refused(
      bench.sim.until(call.final, 'an answer').then((answer) => Promise.reject(answer.error())),
      code,
      text,
    );
    assert.equal(call.answers.length, 1);
    assert.deepEqual([await bench.list(), bench.sim.programs.running], [[], []]);
  });
}

test('a label names one program at a time', async () => {
  const bench = await RexecBench.start();
  const { process } = await bench.run(bench.exec({ label: 'one' }));
  for (const call of [bench.exec({ label: 'one' }), bench.background({ label: 'one' })])
    assert.match((await bench.sim.until(call.final, 'an answer')).errorText() ?? '', /command label is not unique/);
  process.exit();
  await bench.run(bench.exec({ label: 'one' }));
  const both = [bench.exec({ label: 'two' }), bench.exec({ label: 'two' })];
  await bench.sim.settle();
  assert.deepEqual(both.map(answersOf), [['started'], ['EINVAL']]);
});

for (const [what, topic, payload, code, text] of [
  ['a process that is not there', 'rexec.wait', { pid: 1 }, 'ESRCH', /^pid 1 does not belong to any subprocess$/],
  ['a label that is not there', 'rexec.wait', { pid: -1, label: 'x' }, 'ESRCH', /^label x does not belong/],
  ['no process', 'rexec.wait', {}, 'EPROTO', /'pid' is missing/],
  ['a process that is not there', 'rexec.kill', { pid: 1, signum: 15 }, 'ESRCH', /^pid 1 does not/],
  ['a label that is not there', 'rexec.kill', { pid: -1, signum: 15, label: 'x' }, 'ESRCH', /^label x does not/],
  ['no signal', 'rexec.kill', { pid: 1 }, 'EPROTO', /'signum' is missing/],
  ['a process that is not there', 'rexec.attach', { pid: 1, flags: 3 }, 'EPROTO', /missing STREAMING flag/],
  ['no flags', 'rexec.attach', { pid: 1 }, 'EPROTO', /'flags' is missing/],
] as const) {
  test(`${topic} of ${what} is refused with ${code}`, async () => {
    const bench = await RexecBench.start();
    await refused(bench.client.rpc(topic, payload), code, text);
  });
}

test('programs in the foreground are not waited for, and those in the background when they may be', async () => {
  const bench = await RexecBench.start();
  const runs = [await bench.run(bench.exec()), await bench.run(bench.background())];
  for (const { process } of runs)
    await refused(bench.client.rpc('rexec.wait', { pid: process.pid }), 'EINVAL', /process is not waitable/);
});

// ---- wait

for (const isEarly of [false, true]) {
  test(`who waits ${isEarly ? 'before' : 'after'} the end is told the status and the latest output, once`, async () => {
    const bench = await RexecBench.start();
    const { process } = await bench.run(bench.background({ label: 'it' }, waitable));
    const wait = () => bench.client.call('rexec.wait', { pid: -1, label: 'it' });
    const early = isEarly ? wait() : undefined;
    await bench.sim.settle();
    process.print('one\n');
    process.print('oops\n', 2);
    process.exit(5);
    const answer = await bench.sim.until((early ?? wait()).final, 'an answer');
    assert.deepEqual(answer.json, {
      status: 5 << 8,
      output: [
        { stream: 'stdout', rank: '0', data: 'one\n' },
        { stream: 'stderr', rank: '0', data: 'oops\n' },
      ],
    });
    assert.equal((await bench.sim.until(wait().final, 'an answer')).error().code, 'ESRCH');
    assert.deepEqual(await bench.list(), []);
  });
}

test('of much output the latest is kept', async () => {
  const bench = await RexecBench.start();
  const { process } = await bench.run(bench.background({}, waitable));
  for (let i = 0; i < 1000; i++) process.print(`${i} ${'x'.repeat(90)}\n`);
  process.exit();
  const { output } = await bench.client.rpc<{ output: { data: string }[] }>('rexec.wait', { pid: process.pid });
  const text = output.map(({ data }) => data).join('');
  assert.ok(text.length <= 8192 && text.length > 8000, `${text.length} bytes`);
  assert.match(text, /^\d+ x+\n.*\n999 x+\n$/s);
});

test('one waits at a time, and who is gone waits no more', async () => {
  const bench = await RexecBench.start();
  const { process } = await bench.run(bench.background({}, waitable));
  const first = bench.sim.connect();
  first.call('rexec.wait', { pid: process.pid });
  await bench.sim.settle();
  await refused(bench.client.rpc('rexec.wait', { pid: process.pid }), 'EINVAL', /already being waited on/);
  const attach = bench.client.stream('rexec.attach', { pid: process.pid, flags: 3 });
  assert.match((await bench.sim.until(attach.final, 'an answer')).errorText() ?? '', /is being waited on/);
  first.disconnect();
  await bench.sim.settle();
  const second = bench.client.call('rexec.wait', { pid: process.pid });
  process.exit(1);
  assert.deepEqual((await bench.sim.until(second.final, 'an answer')).json, { status: 256 });
});

// ---- attach

test('who attaches hears from then on, and the end', async () => {
  const bench = await RexecBench.start();
  const { process } = await bench.run(bench.background({ label: 'it' }, waitable));
  process.print('before\n');
  const attach = () => bench.client.stream('rexec.attach', { pid: -1, label: 'it', flags: Flags.stdout });
  const call = attach();
  await bench.sim.settle();
  await refused(bench.client.rpc('rexec.wait', { pid: process.pid }), 'EBUSY', /has a client attached/);
  const second = attach();
  assert.match((await bench.sim.until(second.final, 'an answer')).errorText() ?? '', /already has a client attached/);
  process.print('after\n');
  process.print('unwanted\n', 2);
  process.exit();
  await bench.sim.settle();
  assert.deepEqual(
    answersOf(call).map((answer) => (typeof answer === 'object' && 'cmd' in answer! ? 'attached' : answer)),
    ['attached', ['stdout', 'after\n'], { type: 'finished', status: 0 }, ['stdout', null], 'ENODATA'],
  );
  assert.deepEqual(await bench.list(), []);
});

test('a program that has ended tells who attaches its end', async () => {
  const bench = await RexecBench.start();
  const { process } = await bench.run(bench.background({}, waitable));
  process.exit(2);
  await bench.sim.settle();
  const call = bench.client.stream('rexec.attach', { pid: process.pid, flags: 3 });
  await bench.sim.until(call.final, 'an answer');
  assert.deepEqual(answersOf(call).slice(1), [
    ['stdout', null],
    ['stderr', null],
    { type: 'finished', status: 512 },
    'ENODATA',
  ]);
  assert.deepEqual(await bench.list(), []);
});

test('a program goes on when the one who attached is gone, and another can attach', async () => {
  const bench = await RexecBench.start();
  const { process } = await bench.run(bench.background());
  const client = bench.sim.connect();
  client.stream('rexec.attach', { pid: process.pid, flags: 3 });
  await bench.sim.settle();
  client.disconnect();
  await bench.sim.settle();
  assert.ok(process.isRunning);
  const call = bench.client.stream('rexec.attach', { pid: process.pid, flags: 3 });
  process.exit();
  await bench.sim.until(call.final, 'an answer');
});

test('nobody attaches to a program in the foreground', async () => {
  const bench = await RexecBench.start();
  const { process } = await bench.run(bench.exec());
  for (const [pid, code] of [
    [process.pid, 'EBUSY'],
    [1, 'ENOENT'],
  ] as const) {
    const call = bench.client.stream('rexec.attach', { pid, flags: 3 });
    assert.equal((await bench.sim.until(call.final, 'an answer')).error().code, code);
  }
});

// ---- kill

test('signals reach a program by its id or its label', async () => {
  const bench = await RexecBench.start();
  const { process } = await bench.run(bench.exec({ label: 'it' }));
  const got: number[] = [];
  process.onSignal = (signum) => got.push(signum);
  await bench.client.rpc('rexec.kill', { pid: process.pid, signum: 10 });
  await bench.client.rpc('rexec.kill', { pid: -1, label: 'it', signum: 12 });
  await bench.client.rpc('rexec.kill', { pid: process.pid, signum: 0 });
  assert.deepEqual(got, [10, 12]);
  await refused(bench.client.rpc('rexec.kill', { pid: process.pid, signum: 999 }), 'EINVAL', /cannot send signal 999/);
});

test('a program that has ended gets no signals', async () => {
  const bench = await RexecBench.start();
  const zombie = await bench.run(bench.background({}, waitable));
  zombie.process.exit();
  const early = await bench.run(bench.exec());
  early.process.exitEarly(0);
  await bench.sim.settle();
  for (const { process } of [zombie, early])
    await refused(bench.client.rpc('rexec.kill', { pid: process.pid, signum: 15 }), 'ESRCH');
});

// ---- who may

test('guests run nothing', async () => {
  const bench = await RexecBench.start();
  const client = bench.sim.connect(0, guest());
  for (const method of ['exec', 'write', 'kill', 'wait', 'attach', 'list'])
    await refused(client.rpc(`rexec.${method}`, {}), 'EPERM', /requires owner credentials/);
});

test('where guests may connect, programs of rank 0 are run from rank 0 alone', async () => {
  const bench = await RexecBench.start({ size: 2, config: { access: { 'allow-guest-user': true } } });
  const far = bench.sim.connect(1);
  await refused(far.rpc('rexec.list', undefined, { nodeid: 0 }), 'EPERM', /not allowed on rank 0/);
  assert.deepEqual(await far.rpc('rexec.list', undefined, { nodeid: 1 }), { rank: 1, procs: [] });
  assert.deepEqual(await bench.client.rpc('rexec.list', undefined, { nodeid: 1 }), { rank: 1, procs: [] });
  assert.deepEqual(await bench.client.rpc('rexec.list', undefined, { nodeid: 0 }), { rank: 0, procs: [] });
  await bench.client.rpc('config.load', {});
  assert.deepEqual(await far.rpc('rexec.list', undefined, { nodeid: 0 }), { rank: 0, procs: [] });
});

// ---- the module's end

test('programs are asked to end when the module is removed, and made to after five seconds', async () => {
  const bench = await RexecBench.start();
  const timers = bench.sim.agenda.timerOwners();
  const mild = await bench.run(bench.exec());
  const stubborn = await bench.run(bench.exec());
  const got: number[] = [];
  stubborn.process.onSignal = (signum) => {
    got.push(signum);
    if (signum === 9) stubborn.process.die(9);
  };
  const begin = bench.sim.agenda.time;
  await bench.client.rpc('module.remove', { name: 'rexec' });
  const took = bench.sim.agenda.time - begin;
  assert.ok(took > 4.9 && took < 5.5, `${took} seconds`);
  assert.deepEqual([mild.process.isRunning, stubborn.process.isRunning, got], [false, false, [15, 9]]);
  await bench.sim.settle();
  assert.equal(answersOf(mild.call).at(-1), 'ENODATA');
  assert.deepEqual(bench.sim.agenda.timerOwners(), timers, 'only other modules have timers');
});

test('the module does not wait for programs that have ended, and ends the others in spite of them', async () => {
  const bench = await RexecBench.start();
  const early = await bench.run(bench.exec());
  early.process.exitEarly(0);
  const zombie = await bench.run(bench.background({}, waitable));
  zombie.process.exit();
  const { process } = await bench.run(bench.background({}, waitable));
  bench.sim.soon(() => early.process.finish(), 0.1);
  const begin = bench.sim.agenda.time;
  await bench.client.rpc('module.remove', { name: 'rexec' });
  assert.ok(bench.sim.agenda.time - begin < 1);
  assert.equal(process.isRunning, false);
});
