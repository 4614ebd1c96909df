// The service `heartbeat`: the pulse of rank 0, and what the others do when they miss it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type JsonObject, real } from '../../../core/json.ts';
import { refused } from '../../errors.ts';
import { guest, type SimulatedClient } from '../../sim/client.ts';
import { Simulation } from '../../sim/simulation.ts';

const start = async (size: number, config: JsonObject = {}) => {
  const sim = await new Simulation({
    size,
    config,
    topology: 'kary:1',
    attributes: { 'log-stderr-level': '7', 'log-stderr-mode': 'local' },
  }).start();
  await sim.settle();
  return sim;
};

const stats = (client: SimulatedClient) => client.rpc('heartbeat.stats-get');

/** A watcher of pulses, and how many it saw in some seconds. */
async function pulses(sim: Simulation, seconds: number): Promise<number> {
  const watcher = sim.connect(sim.size - 1);
  await watcher.subscribe('heartbeat.pulse');
  await sim.advance(seconds);
  return watcher.events.length;
}

const logged = (sim: Simulation, pattern: RegExp) => sim.node.stderr.filter(({ text }) => pattern.test(text)).length;

test('rank 0 publishes a pulse every two seconds, or as often as the configuration says', async () => {
  for (const [config, expected] of [
    [{}, 30],
    [{ period: '5s' }, 12],
    [{ period: '500ms' }, 120],
  ] as const) {
    const count = await pulses(await start(3, { heartbeat: config }), 60);
    assert.ok(Math.abs(count - expected) <= 1, `${count} pulses of ${JSON.stringify(config)}`);
  }
});

test('how it is set and how many pulses there were is told to the owner', async () => {
  const sim = await start(2, { heartbeat: { period: '5s', timeout: '1m', warn_thresh: 4 } });
  await sim.advance(52);
  const expected = { period: real(5), timeout: real(60), warn_thresh: 4 };
  for (const rank of [0, 1]) {
    const { count, ...rest } = await stats(sim.connect(rank));
    assert.deepEqual(rest, expected);
    assert.ok((count as number) >= 10 && (count as number) <= 12, `${count}`);
  }
  await refused(stats(sim.connect(0, guest())), 'EPERM');
});

test('a change of the period counts from now on', async () => {
  const sim = await start(2);
  const client = sim.connect();
  await client.rpc('config.load', { heartbeat: { period: '10s' } });
  assert.ok(Math.abs((await pulses(sim, 100)) - 10) <= 1);
  await client.rpc('config.load', { heartbeat: { period: '1s' } });
  assert.ok(Math.abs((await pulses(sim, 100)) - 100) <= 1);
});

for (const [config, text] of [
  [{ period: 'soon' }, /error parsing heartbeat\.period FSD value 'soon'/],
  [{ period: '0' }, /heartbeat\.period must be a positive FSD value/],
  [{ period: 2 }, /'period' is not a string/],
  [{ timeout: 'x' }, /error parsing heartbeat\.timeout FSD value 'x'/],
  [{ period: '5s', timeout: '9s' }, /heartbeat\.timeout must be >= 2\*heartbeat\.period/],
  [{ period: '200s' }, /heartbeat\.timeout must be >= 2\*heartbeat\.period/],
  [{ warn_thresh: 0 }, /heartbeat\.warn_thresh must be positive/],
  [{ nosuch: 1 }, /unknown key 'nosuch'/],
] as [JsonObject, RegExp][]) {
  test(`refused: ${JSON.stringify(config)}`, async () => {
    const sim = await start(1);
    const client = sim.connect();
    const before = await stats(client);
    await refused(client.rpc('config.load', { heartbeat: config }), 'EINVAL', text);
    assert.deepEqual({ ...(await stats(client)), count: 0 }, { ...before, count: 0 });
    await client.rpc('module.remove', { name: 'heartbeat' });
    await client.rpc('config.load', { heartbeat: config });
    await refused(client.rpc('module.load', { path: 'heartbeat', args: [] }), 'EINVAL', text);
  });
}

for (const [timeout, shown] of [
  ['0', -1],
  ['infinity', -1],
  ['4s', 4],
] as const) {
  test(`the timeout ${timeout} shows as ${shown}`, async () => {
    const sim = await start(1, { heartbeat: { timeout } });
    assert.deepEqual((await stats(sim.connect())).timeout, real(shown));
  });
}

test('module arguments come before the configuration', async () => {
  const sim = await start(1, { heartbeat: { period: '5s' } });
  const client = sim.connect();
  await client.rpc('module.remove', { name: 'heartbeat' });
  const load = (...args: string[]) => client.rpc('module.load', { path: 'heartbeat', args });
  for (const [arg, text] of [
    ['period=x', /error parsing period FSD value 'x'/],
    ['period=0s', /period must be a positive FSD value/],
    ['timeout=5s', /^timeout=5s: unknown option$/],
    ['period', /^period: unknown option$/],
  ] as const)
    await refused(load(arg), 'EINVAL', text);
  await load('period=9s', 'period=7s');
  assert.deepEqual((await stats(client)).period, real(7));
});

test('a rank that misses the pulse says so, and again when it is back', async () => {
  const sim = await start(2, { heartbeat: { period: '1s', warn_thresh: 5, timeout: '0' } });
  await sim.advance(10);
  assert.equal(logged(sim, /heartbeat overdue/), 0);
  const client = sim.connect();
  await client.rpc('module.remove', { name: 'heartbeat' });
  await sim.advance(4);
  assert.equal(logged(sim, /heartbeat overdue/), 0);
  await sim.advance(60);
  assert.equal(logged(sim, /heartbeat\.warning\[1\]: heartbeat overdue/), 1);
  assert.equal(logged(sim, /heartbeat received/), 0);
  await client.rpc('module.load', { path: 'heartbeat', args: [] });
  await sim.advance(10);
  assert.equal(logged(sim, /heartbeat\.warning\[1\]: heartbeat received/), 1);
  assert.equal(logged(sim, /heartbeat overdue/), 1);
  assert.deepEqual(sim.ranksIn('run'), [0, 1]);
});

test('a rank gives its parent up when the pulse stays away too long', async () => {
  const sim = await start(3, { heartbeat: { period: '2s', timeout: '20s' } });
  await sim.advance(40);
  await sim.connect().rpc('module.remove', { name: 'heartbeat' });
  await sim.advance(17);
  assert.deepEqual(sim.ranksIn('run'), [0, 1, 2]);
  await sim.advance(10);
  assert.deepEqual(sim.ranksIn('run'), [0]);
  assert.ok(sim.node.stderr.some(({ text }) => /no heartbeat for 2[0-4]s/.test(text)));
});

test('without a timeout no parent is given up', async () => {
  const sim = await start(2, { heartbeat: { period: '2s', timeout: 'infinity' } });
  await sim.connect().rpc('module.remove', { name: 'heartbeat' });
  await sim.advance(5000);
  assert.deepEqual(sim.ranksIn('run'), [0, 1]);
});

test('no timer is left when it is removed', async () => {
  const sim = await start(1);
  const client = sim.connect();
  for (const name of ['kvs-watch', 'kvs', 'heartbeat']) await client.rpc('module.remove', { name });
  await sim.settle();
  assert.deepEqual(sim.agenda.timerOwners(), []);
});
