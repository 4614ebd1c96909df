// The services `config` and `overlay` by their messages: who changes the configuration, which parts may refuse, who follows.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ModuleDefinition, ServiceContext } from '../../../core/broker/service.ts';
import { FluxError } from '../../../core/errno.ts';
import type { JsonObject } from '../../../core/json.ts';
import { refused } from '../../errors.ts';
import { guest } from '../../sim/client.ts';
import { Simulation, type SimulationOptions } from '../../sim/simulation.ts';

/** A module that notes the configurations it is given, and refuses those that say so. */
function picky(taken: JsonObject[], contexts: ServiceContext[] = []): ModuleDefinition {
  return {
    start(context) {
      contexts.push(context);
      return {
        configure(config) {
          if (config.refused === context.name || config.refused === true) throw new FluxError('EDOM', 'I will not');
          taken.push(config);
        },
      };
    },
  };
}

async function start(options: SimulationOptions = {}): Promise<Simulation> {
  const sim = await new Simulation(options).start();
  await sim.settle();
  return sim;
}

const get = (sim: Simulation, rank = 0) => sim.connect(rank).rpc('config.get');
const load = (sim: Simulation, config: JsonObject, rank = 0) => sim.connect(rank).rpc('config.load', config);

test('anybody is told the configuration, and those who stream each change', async () => {
  const sim = await start({ size: 2, config: { a: 1 } });
  const client = sim.connect(1, guest());
  const stream = client.stream('config.get');
  assert.deepEqual(await client.rpc('config.get'), { a: 1 });
  for (const a of [2, 2, 3]) {
    assert.equal(await load(sim, { a }), undefined);
    await sim.settle();
  }
  assert.deepEqual(stream.values, [{ a: 1 }, { a: 2 }, { a: 3 }]);
  assert.equal(stream.finalAnswers.length, 0);
});

test('a change reaches every rank, and the modules there', async () => {
  const taken: JsonObject[] = [];
  const contexts: ServiceContext[] = [];
  const sim = await start({ size: 7, config: { a: 1 }, modules: { picky: picky(taken, contexts) } });
  for (const rank of [0, 3, 6]) await sim.connect(rank).rpc('module.load', { path: 'picky', args: [] });
  await load(sim, { b: { c: 2 } });
  await sim.settle();
  for (let rank = 0; rank < 7; rank++) assert.deepEqual(await get(sim, rank), { b: { c: 2 } });
  assert.deepEqual(taken, [{ b: { c: 2 } }, { b: { c: 2 } }, { b: { c: 2 } }]);
  for (const { config } of contexts) assert.deepEqual(config, { b: { c: 2 } });
});

test('a configuration that is the same is taken without asking anybody', async () => {
  const taken: JsonObject[] = [];
  const sim = await start({ config: { a: 1 }, modules: { picky: picky(taken) } });
  await sim.connect().rpc('module.load', { path: 'picky', args: [] });
  await load(sim, { a: 1 });
  assert.deepEqual(taken, []);
});

test('what one module refuses none keeps', async () => {
  const taken: JsonObject[] = [];
  const contexts: ServiceContext[] = [];
  const sim = await start({ size: 2, config: { a: 1 }, modules: { picky: picky(taken, contexts) } });
  const client = sim.connect();
  const stream = client.stream('config.get');
  for (const name of ['one', 'two', 'three']) await client.rpc('module.load', { path: 'picky', args: [], name });
  await refused(load(sim, { refused: 'two' }), 'EDOM', /^error updating two: I will not$/);
  assert.deepEqual(taken, [{ refused: 'two' }, { a: 1 }]);
  for (const { config } of contexts) assert.deepEqual(config, { a: 1 });
  await sim.settle();
  assert.deepEqual([await get(sim), await get(sim, 1)], [{ a: 1 }, { a: 1 }]);
  assert.deepEqual(stream.values, [{ a: 1 }]);
});

test('a module that has no methods at all does not stand in the way', async () => {
  const sim = await start({ remoteModules: { picky: picky([]) } });
  const client = sim.connect();
  await client.rpc('module.load', { path: 'picky', args: [] });
  assert.equal(await load(sim, { a: 1 }), undefined);
  await refused(load(sim, { refused: true }), 'EDOM', /error updating picky/);
});

test('a rank where a module refuses keeps its configuration, and says so', async () => {
  const sim = await start({
    size: 2,
    modules: { picky: picky([]) },
    attributes: { 'log-stderr-mode': 'local' },
  });
  await sim.connect(1).rpc('module.load', { path: 'picky', args: [] });
  await load(sim, { refused: true });
  await sim.settle();
  assert.deepEqual([await get(sim), await get(sim, 1)], [{ refused: true }, {}]);
  assert.ok(sim.node.stderr.some(({ rank, text }) => rank === 1 && /configuration cannot be taken/.test(text)));
  await load(sim, { a: 1 });
  await sim.settle();
  assert.deepEqual(await get(sim, 1), { a: 1 });
});

for (const [what, payload, code, text] of [
  ['nothing', undefined, 'EPROTO', /error decoding config\.load request/],
  ['an array', [], 'EPROTO', /error decoding/],
  ['a policy that is wrong', { policy: { nosuch: 1 } }, 'EINVAL', /^error updating config: .*'nosuch'/],
  ['an access table that is wrong', { access: { 'allow-guest-user': 1 } }, 'EINVAL', /updating connector-local: /],
  ['a tree that is wrong', { tbon: { nosuch: 1 } }, 'EINVAL', /^error updating overlay: .*'nosuch'/],
] as const) {
  test(`config.load of ${what} is refused`, async () => {
    const sim = await start({ config: { a: 1 } });
    await refused(sim.connect().rpc('config.load', payload as never), code, text);
    assert.deepEqual(await get(sim), { a: 1 });
  });
}

test('only rank 0, and there only the owner, changes the configuration', async () => {
  const sim = await start({ size: 2, readConfig: () => ({ a: 2 }) });
  for (const topic of ['config.load', 'config.reload']) {
    await refused(sim.connect(1).rpc(topic, {}), 'EINVAL', /only be changed on rank 0/);
    await refused(sim.connect(0, guest()).rpc(topic, {}), 'EPERM');
    await sim.connect(1).rpc(topic, {}, { nodeid: 0 });
  }
});

test('a reload takes what the files say now, or nothing where there are none', async () => {
  let files: JsonObject | undefined = { a: 2 };
  const sim = await start({
    config: { a: 1 },
    readConfig: () => {
      if (files?.broken) throw new FluxError('EINVAL', 'Config file error: a.toml:1: what');
      return files;
    },
  });
  const reload = () => sim.connect().rpc('config.reload');
  await reload();
  assert.deepEqual(await get(sim), { a: 2 });
  files = { broken: true };
  await refused(reload(), 'EINVAL', /^Config file error: a\.toml:1: what$/);
  files = { policy: 5 };
  await refused(reload(), 'EINVAL', /error updating config/);
  files = undefined;
  assert.equal(await reload(), undefined);
  assert.deepEqual(await get(sim), { a: 2 });
});

test('who streams and is gone is told nothing more', async () => {
  const sim = await start();
  const client = sim.connect();
  client.stream('config.get');
  await sim.settle();
  client.disconnect();
  await sim.settle();
  const watcher = sim.connect();
  const trace = watcher.stream('module.trace', {
    typemask: 2,
    topic_glob: 'config.get',
    names: ['config'],
    full: false,
  });
  await load(sim, { a: 1 });
  await sim.settle();
  assert.deepEqual(trace.values, []);
});

test('a rank that starts late takes the configuration as it is then', async () => {
  const sim = new Simulation({ size: 3, config: { a: 1 }, attributes: { 'broker.quorum': '1' } });
  sim.startRanks([0]);
  await sim.when(() => sim.stateOf(0) === 'run', 'run');
  await load(sim, { a: 2 });
  sim.startRanks([1, 2]);
  await sim.when(() => sim.ranksIn('run').length === 3, 'all ranks');
  for (const rank of [1, 2]) assert.deepEqual(await get(sim, rank), { a: 2 });
});

// ---- what [tbon] may say

for (const tbon of [
  {},
  { topo: 'kary:16', zmqdebug: 1, zmq_io_threads: 4, child_rcvhwm: 10, 'interface-hint': 'eth0' },
  { torpid_min: '1s', torpid_max: '0', tcp_user_timeout: '20s', connect_timeout: 'infinity' },
]) {
  test(`allowed: [tbon] ${JSON.stringify(tbon)}`, async () => {
    const sim = await start();
    await load(sim, { tbon });
    assert.deepEqual(await get(sim), { tbon });
  });
}

for (const [tbon, text] of [
  [5, /\[tbon\] .*not a table/],
  [{ topo: 5 }, /'topo' is not a string/],
  [{ torpid_min: 5 }, /'torpid_min' is not a string/],
  [{ torpid_max: 'never' }, /error parsing tbon\.torpid_max/],
  [{ tcp_user_timeout: '-1s' }, /error parsing tbon\.tcp_user_timeout/],
  [{ connect_timeout: '1x' }, /error parsing tbon\.connect_timeout/],
  [{ zmqdebug: true }, /'zmqdebug' is not an integer/],
  [{ zmq_io_threads: '1' }, /'zmq_io_threads' is not an integer/],
  [{ child_rcvhwm: 1.5 }, /'child_rcvhwm' is not an integer/],
  [{ 'interface-hint': 1 }, /'interface-hint' is not a string/],
] as [JsonObject, RegExp][]) {
  test(`refused: [tbon] ${JSON.stringify(tbon)}`, async () => refused(load(await start(), { tbon }), 'EINVAL', text));
}
