// The service `state-machine`: what is told of a rank's states, once and as they change.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Flag } from '../../../core/message/message.ts';
import { refused } from '../../errors.ts';
import { guest } from '../../sim/client.ts';
import { Simulation } from '../../sim/simulation.ts';

const RUN = 5;

test('get tells the state and how long it has been so', async () => {
  const sim = await new Simulation().start();
  await sim.advance(10);
  const { state, duration } = await sim
    .connect(0, guest())
    .rpc<{ state: string; duration: number }>('state-machine.get');
  assert.equal(state, 'run');
  assert.ok(duration >= 10 && duration < 11, `${duration} seconds`);
});

for (const [what, payload, streaming, states, end] of [
  ['without payload', undefined, false, [RUN], undefined],
  ['with this state as the final one', { final: RUN }, false, [RUN], undefined],
  ['with a state that has passed', { final: 3 }, false, [], 'ENODATA'],
  ['streaming, with this state', { final: RUN }, true, [RUN], 'ENODATA'],
  ['streaming, with a state that has passed', { final: 4 }, true, [], 'ENODATA'],
] as const) {
  test(`monitor ${what} in state run tells ${states.length ? states : 'nothing'}${end ? ` and ends with ${end}` : ''}`, async () => {
    const sim = await new Simulation().start();
    const call = sim.connect().call('state-machine.monitor', payload, { flags: streaming ? Flag.streaming : 0 });
    await sim.settle();
    assert.deepEqual(
      call.values,
      states.map((state) => ({ state })),
    );
    if (end) assert.equal(call.answers.at(-1)!.error().code, end);
    else assert.equal(call.answers.length, states.length);
  });
}

test('a streaming monitor tells each state up to the final one', async () => {
  const sim = new Simulation({ size: 2 });
  const client = sim.connect(1);
  const call = client.stream('state-machine.monitor', { final: 8 });
  await sim.start();
  await sim.settle();
  sim.ranks[0]!.lifecycle.signal(15);
  const end = await sim.until(call.final, 'the end of the monitor');
  assert.equal(end.error().code, 'ENODATA');
  const states = call.values.map((value) => (value as { state: number }).state);
  assert.deepEqual(
    states,
    Array.from({ length: states.length }, (_, index) => 9 - states.length + index),
  );
  assert.ok(states.includes(RUN));
});

test('a monitor ends with its client', async () => {
  const sim = await new Simulation().start();
  const [stays, goes] = [sim.connect(), sim.connect()];
  const calls = [stays, goes].map((client) => client.stream('state-machine.monitor', { final: 8 }));
  await sim.settle();
  goes.disconnect();
  await sim.settle();
  await sim.stop();
  await sim.settle();
  assert.ok(calls[0]!.answers.length > 1);
  assert.equal(calls[1]!.answers.length, 1);
});

test('wait is answered when the rank runs, and refused when that is over', async () => {
  const sim = new Simulation();
  const early = sim.connect(0, guest()).call('state-machine.wait');
  await sim.settle();
  assert.deepEqual(early.answers, []);
  await sim.start();
  assert.equal((await sim.until(early.final, 'an answer')).errnum, 0);
  assert.equal(await sim.connect().rpc('state-machine.wait'), undefined);

  const shutdown = sim.connect();
  shutdown.stream('shutdown.start', {});
  await sim.when(() => sim.stateOf(0) === 'goodbye', 'state goodbye');
  await refused(sim.connect().rpc('state-machine.wait'), 'ENOENT', /^broker has surpassed RUN state$/);
});

test('wait is refused when the instance ends before it runs', async () => {
  const sim = new Simulation({ size: 2 });
  const call = sim.connect().call('state-machine.wait');
  sim.startRanks([0]);
  await sim.settle();
  assert.equal(sim.stateOf(0), 'quorum');
  sim.ranks[0]!.lifecycle.signal(15);
  assert.equal((await sim.until(call.final, 'an answer')).error().code, 'ENOENT');
});

test('post takes the name of an event, and gets no response', async () => {
  const sim = await new Simulation().start();
  const client = sim.connect();
  await refused(client.rpc('state-machine.post', { event: 'shutdown' }), 'EPROTO', /no response/);
  await refused(client.rpc('state-machine.post', { event: 'nosuch' }), 'EPROTO');
  await refused(client.rpc('state-machine.post', {}), 'EPROTO');
  client.notify('state-machine.post', { event: 'nosuch' });
  client.notify('state-machine.post', { event: 'goodbye' });
  await sim.settle();
  assert.equal(sim.stateOf(0), 'run');
  client.notify('state-machine.post', { event: 'shutdown', error: true });
  await sim.ended();
  assert.equal(sim.node.exitCodes.get(0), 1);
});

test('guests may only get and wait', async () => {
  const sim = await new Simulation().start();
  for (const method of ['monitor', 'post'])
    await refused(sim.connect(0, guest()).rpc(`state-machine.${method}`), 'EPERM');
});
