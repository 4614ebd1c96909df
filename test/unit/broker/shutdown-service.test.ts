// The service `shutdown`, and the end of instances: who may start it, what he is told, and what happens when he goes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refused } from '../../errors.ts';
import { guest } from '../../sim/client.ts';
import type { Program } from '../../sim/programs.ts';
import { Simulation } from '../../sim/simulation.ts';

test('shutdown.start ends the instance and is answered at once', async () => {
  const sim = await new Simulation({ size: 3 }).start();
  const client = sim.connect();
  assert.equal(await client.rpc('shutdown.start'), undefined);
  await sim.ended();
  assert.deepEqual([...sim.node.exitCodes.values()], [0, 0, 0]);
  await sim.settle();
  assert.equal(client.isConnected, false);
});

test('one who streams gets the log up to his level, and the end waits for him', async () => {
  for (const [loglevel, isTold] of [
    [6, true],
    [3, false],
    [undefined, false],
  ] as const) {
    const sim = await new Simulation({ size: 2 }).start();
    const client = sim.connect();
    const call = client.stream('shutdown.start', loglevel === undefined ? undefined : { loglevel });
    await sim.until(call.final, 'the end of the log');
    const told = call.values.map((value) => (value as { log: string }).log);
    assert.equal(
      told.some((line) => /^broker\.info\[0\]: shutdown: run->cleanup \S+\n$/.test(line)),
      isTold,
      told.join(''),
    );
    await sim.advance(30);
    assert.equal(sim.stateOf(0), 'goodbye');
    client.disconnect();
    await sim.ended();
  }
});

test('the end waits for the client a minute and no longer', async () => {
  const sim = await new Simulation().start();
  sim.connect().stream('shutdown.start', {});
  await sim.when(() => sim.stateOf(0) === 'goodbye', 'state goodbye');
  const start = sim.agenda.time;
  await sim.ended();
  const waited = sim.agenda.time - start;
  assert.ok(waited >= 60 && waited < 61, `${waited} seconds`);
  assert.ok(sim.node.stderr.some(({ text }) => /goodbye timeout/.test(text)));
});

test('a client that goes early is not waited for', async () => {
  const sim = await new Simulation({ size: 2 }).start();
  const client = sim.connect();
  client.stream('shutdown.start', {});
  await sim.when(() => sim.stateOf(0) !== 'run', 'the end of state run');
  client.disconnect();
  const start = sim.agenda.time;
  await sim.ended();
  assert.ok(sim.agenda.time - start < 5);
});

test('shutdown is started once, by the owner, on rank 0, in state run', async () => {
  const sim = new Simulation({ size: 2 });
  const early = sim.connect();
  sim.startRanks([0]);
  await refused(early.rpc('shutdown.start'), 'EINVAL', /cannot be initiated in state/);
  sim.startRanks([1]);
  await sim.when(() => sim.ranksIn('run').length === 2, 'all ranks in state run');
  await refused(sim.connect(1).rpc('shutdown.start', {}, { nodeid: 1 }), 'EINVAL', /only be initiated on rank 0/);
  await refused(sim.connect(0, guest()).rpc('shutdown.start'), 'EPERM');
  const client = sim.connect();
  client.stream('shutdown.start', {});
  await sim.settle();
  await refused(sim.connect().rpc('shutdown.start'), 'EINVAL', /already in progress/);
});

test('the initial program is hung up on, and its exit code is that of the instance', async () => {
  for (const [program, code] of [
    [() => {}, 129],
    [
      (process) => {
        process.onSignal = () => process.exit(7);
      },
      7,
    ],
  ] as [Program, number][]) {
    const sim = await new Simulation({ command: ['program'], programs: { program } }).start();
    await sim.connect().rpc('shutdown.start');
    await sim.ended();
    assert.equal(sim.node.exitCodes.get(0), code);
  }
});

test('broker.exit-norestart is the exit code of an instance that was told to end', async () => {
  const sim = await new Simulation({ attributes: { 'broker.exit-norestart': '42' } }).start();
  await sim.connect().rpc('shutdown.start');
  await sim.ended();
  assert.equal(sim.node.exitCodes.get(0), 42);
});

test('a rank that never leaves is given up after the timeout', async () => {
  const attributes = { 'broker.shutdown-timeout': '30s', 'broker.shutdown-warn': '10s' };
  const sim = await new Simulation({ size: 2, attributes }).start();
  await sim.settle();
  sim.sever(0, 1);
  await sim.connect().rpc('shutdown.start');
  const start = sim.agenda.time;
  await sim.when(() => sim.node.exitCodes.has(0), 'the end of rank 0');
  const waited = sim.agenda.time - start;
  assert.ok(waited >= 29 && waited < 31, `${waited} seconds`);
  const log = sim.node.stderr.map(({ text }) => text);
  assert.equal(log.filter((text) => /shutdown delayed: waiting for 1 peers: sim1 \(rank 1\)/.test(text)).length, 2);
});
