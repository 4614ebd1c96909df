// The service `module`, and what becomes of modules inside the broker and apart from it: loaded, listed, traced, held
// back, removed, failed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ModuleDefinition } from '../../../core/broker/service.ts';
import { FluxError } from '../../../core/errno.ts';
import { refused } from '../../errors.ts';
import { guest, type SimulatedClient } from '../../sim/client.ts';
import { echo } from '../../sim/echo.ts';
import { Simulation, type SimulationOptions } from '../../sim/simulation.ts';

const failing: ModuleDefinition = {
  start() {
    throw new FluxError('ENXIO', 'no such device');
  },
};
const stuck: ModuleDefinition = { start: () => new Promise(() => {}) };
/** Answers with the arguments it was loaded with, and what it was told of its rank. */
const telling: ModuleDefinition = {
  start: (context, args) => ({
    methods: {
      args: { handler: () => [...args] },
      facts: {
        handler: () => ({
          name: context.name,
          rank: context.rank,
          size: context.size,
          config: context.config,
          topology: context.attribute('tbon.topo') ?? null,
          nothing: context.attribute('parent-uri') ?? null,
        }),
      },
    },
  }),
};

const here = { echo, failing, telling };
const away = { away: echo, 'failing-away': failing, stuck, 'telling-away': telling };

const start = (more: SimulationOptions = {}) =>
  new Simulation({ modules: here, remoteModules: away, config: { x: 1 }, ...more }).start();

interface Listed {
  name: string;
  path: string;
  idle: number;
  status: number;
  services: string[];
  sendqueue: number;
  recvqueue: number;
}

async function list(client: SimulatedClient): Promise<Listed[]> {
  return (await client.rpc<{ mods: Listed[] }>('module.list')).mods;
}

const load = (client: SimulatedClient, path: string, more = {}) =>
  client.rpc('module.load', { path, args: [], ...more });

test('the modules of a broker are listed, with what they answer for', async () => {
  const sim = await start();
  const mods = await list(sim.connect(0, guest()));
  assert.deepEqual(mods.map(({ name }) => name).toSorted(), [
    'config',
    'connector-local',
    'content',
    'cron',
    'groups',
    'heartbeat',
    'job-exec',
    'job-info',
    'job-ingest',
    'job-list',
    'job-manager',
    'kvs',
    'kvs-watch',
    'overlay',
    'resource',
    'rexec',
    'sched-simple',
  ]);
  for (const { name, path, status, services, sendqueue, recvqueue } of mods) {
    const more = name === 'sched-simple' ? ['feasibility', 'sched'] : [];
    assert.deepEqual([path, status, services, sendqueue, recvqueue], [name, 1, [name, ...more], 0, 0]);
  }
});

for (const name of ['echo', 'away']) {
  test(`${name}: a module answers once it is loaded, and no more once it is removed`, async () => {
    const sim = await start({ size: 2 });
    const client = sim.connect(1);
    await refused(client.rpc(`${name}.now`, {}), 'ENOSYS');
    assert.equal(await load(client, name), undefined);
    assert.deepEqual(await client.rpc(`${name}.now`, { a: 1 }), { a: 1 });
    await refused(client.rpc(`${name}.nosuch`, {}), 'ENOSYS', new RegExp(`^Unknown service method '${name}.nosuch'$`));
    assert.equal(await client.rpc('module.remove', { name }), undefined);
    await refused(client.rpc(`${name}.now`, {}), 'ENOSYS', /No service matching/);
    assert.equal(await load(client, name), undefined);
    assert.deepEqual(await client.rpc(`${name}.now`, { a: 2 }), { a: 2 });
  });

  test(`${name}: what a module has not answered fails when it is removed`, async () => {
    const sim = await start();
    const client = sim.connect();
    await load(client, name);
    const calls = [
      client.call(`${name}.never`, {}),
      client.call(`${name}.later`, { seconds: 10 }),
      client.stream(`${name}.stream`, { count: 9, seconds: 10 }),
    ];
    await sim.settle();
    await client.rpc('module.remove', { name });
    await sim.advance(60);
    for (const { answers } of calls) assert.equal(answers.at(-1)!.error().code, 'ENOSYS');
    assert.deepEqual(
      calls.map(({ answers }) => answers.length),
      [1, 1, 2],
    );
  });
}

for (const path of ['telling', 'telling-away']) {
  test(`${path}: a module is told its name, its arguments, its rank and the configuration`, async () => {
    const sim = await start({ size: 3 });
    const client = sim.connect(2);
    await load(client, path, { args: ['a', 'b=c', ''], name: 'told' });
    assert.deepEqual(await client.rpc('told.args'), ['a', 'b=c', '']);
    assert.deepEqual(await client.rpc('told.facts'), {
      name: 'told',
      rank: 2,
      size: 3,
      config: { x: 1 },
      topology: 'kary:2',
      nothing: null,
    });
    assert.equal((await list(client)).find(({ name }) => name === 'told')!.path, path);
  });
}

test('a request may name the module', async () => {
  const sim = await start();
  const client = sim.connect();
  await load(client, 'away', { name: 'another-name' });
  assert.deepEqual(await client.rpc('another-name.now', {}), {});
  await refused(load(client, 'away', { name: 'another-name' }), 'EEXIST');
});

for (const [payload, code, text] of [
  [undefined, 'EPROTO', /./],
  [{}, 'EPROTO', /'path' is missing/],
  [{ path: 'heartbeat' }, 'EPROTO', /'args' is missing/],
  [{ path: 1, args: [] }, 'EPROTO', /'path' is not a string/],
  [{ path: 'heartbeat', args: [] }, 'EEXIST', /heartbeat is loaded already/],
  [{ path: 'heartbeat', args: 5 }, 'EEXIST', /heartbeat is loaded already/],
  [{ path: 'echo', args: [], name: 'heartbeat' }, 'EEXIST', /heartbeat is loaded already/],
  [{ path: 'echo', args: 5 }, 'EPROTO', /not an array of strings/],
  [{ path: 'echo', args: ['a', 5] }, 'EPROTO', /not an array of strings/],
  [{ path: 'nosuch', args: [] }, 'ENOENT', /^module not found in search path$/],
  [{ path: 'constructor', args: [] }, 'ENOENT', /^module not found in search path$/],
  [{ path: 'config', args: [], exec: true, name: 'c2' }, 'EINVAL', /cannot execute in a separate process/],
  [{ path: 'echo', args: [], name: 'log' }, 'EEXIST', /./],
  [{ path: 'echo', args: [], name: 'a.b' }, 'EINVAL', /./],
  [{ path: 'failing', args: [] }, 'ENXIO', /./],
  [{ path: 'failing-away', args: [] }, 'ENXIO', /./],
] as const) {
  test(`module.load ${JSON.stringify(payload)} is refused with ${code}, and leaves nothing`, async () => {
    const sim = await start();
    const client = sim.connect();
    const before = [await list(client), sim.node.subscriptionCount(0)];
    await refused(client.rpc('module.load', payload), code, text);
    await sim.settle();
    assert.deepEqual(
      [(await list(client)).map((each) => ({ ...each, idle: 0 })), sim.node.subscriptionCount(0)],
      before,
    );
  });
}

test('a name is taken while its module is being loaded, and free again when that is given up', async () => {
  const sim = await start();
  const client = sim.connect();
  const loading = client.call('module.load', { path: 'stuck', args: [] });
  await sim.settle();
  await refused(load(client, 'stuck'), 'EEXIST');
  assert.equal((await list(client)).find(({ name }) => name === 'stuck')!.status, 0);
  assert.equal(await client.rpc('module.remove', { name: 'stuck', cancel: true }), undefined);
  assert.ok((await sim.until(loading.final, 'an answer')).errnum);
  assert.equal(sim.stateOf(0), 'run');
  await load(client, 'echo', { name: 'stuck' });
});

/** Starts after a second, and has a timer until it is stopped. */
function slow(events: string[]): ModuleDefinition {
  return {
    async start({ clock }) {
      await new Promise<void>((resolve) => clock.after(1, resolve));
      const timer = clock.after(1000, () => {});
      events.push('started');
      return {
        stop() {
          timer.cancel();
          events.push('stopped');
        },
      };
    },
  };
}

for (const where of ['modules', 'remoteModules'] as const) {
  test(`a module that is removed while it starts (${where}) ends once it has, and another can have its name`, async () => {
    const events: string[] = [];
    const sim = await start({ [where]: { slow: slow(events), echo } });
    const client = sim.connect();
    const loading = client.call('module.load', { path: 'slow', args: [], name: 'it' });
    await sim.settle();
    assert.equal(await client.rpc('module.remove', { name: 'it' }), undefined);
    await load(client, 'echo', { name: 'it' });
    const subscriptions = sim.node.subscriptionCount(0);
    await sim.advance(5);
    assert.equal(loading.answers[0]!.error().code, 'ECONNABORTED');
    assert.deepEqual(events, ['started', 'stopped']);
    assert.deepEqual(await client.rpc('it.now', { a: 1 }), { a: 1 });
    assert.equal((await list(client)).find(({ name }) => name === 'it')!.status, 1);
    assert.equal(sim.node.subscriptionCount(0), subscriptions);
    assert.equal(sim.stateOf(0), 'run');
    for (const name of ['it', 'resource', 'kvs-watch', 'kvs', 'content', 'heartbeat'])
      await client.rpc('module.remove', { name });
    await sim.settle();
    assert.deepEqual(sim.agenda.timerOwners(), []);
  });
}

test('removing what is not loaded is refused', async () => {
  const sim = await start();
  await refused(sim.connect().rpc('module.remove', { name: 'nosuch' }), 'ENOENT', /nosuch is not loaded/);
  await refused(sim.connect().rpc('module.remove', {}), 'EPROTO');
});

test('a module that dies takes its broker along, unless module-nopanic is set', async () => {
  for (const nopanic of [false, true]) {
    const sim = await start({ size: 3, attributes: nopanic ? { 'broker.module-nopanic': '1' } : {} });
    await sim.settle();
    const client = sim.connect(1);
    await load(client, 'away');
    const calls = [client.call('away.never', {}), client.stream('away.stream', { count: 9, seconds: 1 })];
    await sim.settle();
    assert.ok(sim.remoteModules.kill(1, 'away'));
    await sim.settle();
    if (nopanic) {
      for (const { answers } of calls) assert.equal(answers.at(-1)!.error().code, 'ENOSYS');
      assert.deepEqual(sim.ranksIn('run'), [0, 1, 2]);
      await load(client, 'away');
    } else {
      assert.deepEqual(sim.ranksIn('run'), [0, 2]);
      assert.equal(sim.node.exitCodes.get(1), 1);
      assert.ok(sim.node.stderr.some(({ text }) => /module away failed: ECONNRESET/.test(text)));
    }
  }
});

test('a module that is removed by force is not missed', async () => {
  const sim = await start();
  const client = sim.connect();
  await load(client, 'away');
  const call = client.call('away.never', {});
  await sim.settle();
  await client.rpc('module.remove', { name: 'away', cancel: true });
  assert.equal((await sim.until(call.final, 'an answer')).error().code, 'ENOSYS');
  assert.equal(sim.stateOf(0), 'run');
});

test('a module that is held back gets its messages later, in their order', async () => {
  const sim = await start();
  const client = sim.connect();
  for (const name of ['echo', 'away']) {
    await load(client, name);
    await client.rpc('module.debug', { name, defer: true });
    const calls = [1, 2, 3].map((n) => client.call(`${name}.now`, { n }));
    await sim.settle();
    assert.ok(calls.every(({ answers }) => answers.length === 0));
    assert.equal((await list(client)).find((each) => each.name === name)!.recvqueue, 3);
    await client.rpc('module.debug', { name });
    await sim.settle();
    assert.ok(calls.every(({ answers }) => answers.length === 0));
    await client.rpc('module.debug', { name, defer: false });
    await sim.settle();
    assert.deepEqual(
      calls.map(({ values }) => values),
      [[{ n: 1 }], [{ n: 2 }], [{ n: 3 }]],
    );
  }
});

test('requests to a module that is held back fail when it is removed', async () => {
  const sim = await start();
  const client = sim.connect();
  for (const name of ['echo', 'away']) {
    await load(client, name);
    await client.rpc('module.debug', { name, defer: true });
    const call = client.call(`${name}.now`, {});
    await sim.settle();
    await client.rpc('module.remove', { name, cancel: true });
    assert.equal((await sim.until(call.final, 'an answer')).error().code, 'ENOSYS', name);
  }
});

for (const [topic, payload, code] of [
  ['module.debug', { name: 'nosuch', defer: true }, 'ENOENT'],
  ['module.debug', { name: 'heartbeat', defer: 42 }, 'EPROTO'],
  ['module.debug', {}, 'EPROTO'],
  ['module.status', undefined, 'EPROTO'],
  ['module.status', { status: 'x' }, 'EPROTO'],
  ['module.trace', { typemask: 15, topic_glob: '*', names: [], full: false }, 'EPROTO'],
] as const) {
  test(`${topic} ${JSON.stringify(payload)} is refused with ${code}`, async () => {
    const sim = await start();
    await refused(sim.connect().rpc(topic, payload), code);
  });
}

test('a status that no module sent changes nothing', async () => {
  const sim = await start();
  const client = sim.connect();
  for (const status of [0, 1, 2, 3]) assert.equal(await client.rpc('module.status', { status }), undefined);
  assert.ok((await list(client)).every(({ status }) => status === 1));
});

test('a trace shows what passes between the broker and the modules that are named', async () => {
  const sim = await start();
  const client = sim.connect();
  await load(client, 'echo');
  await load(client, 'away');
  const trace = client.stream('module.trace', { typemask: 15, topic_glob: '*.now', names: ['away'], full: true });
  await sim.settle();
  await client.rpc('echo.now', {});
  await client.rpc('away.now', { a: 1 });
  await sim.settle();
  const shown = trace.values.map((value) => {
    const { prefix, name, topic, type, payload, rank } = value as Record<string, unknown>;
    return { prefix, name, topic, type, payload, rank };
  });
  assert.deepEqual(shown, [
    { prefix: 'rx', name: 'away', topic: 'away.now', type: 1, payload: { a: 1 }, rank: -1 },
    { prefix: 'tx', name: 'away', topic: 'away.now', type: 2, payload: { a: 1 }, rank: -1 },
  ]);
});

test('a trace shows what a module that is at work on another rank sends on', async () => {
  const sim = await start({ size: 2 });
  const client = sim.connect(1);
  if (!(await list(client)).some(({ name }) => name === 'kvs')) await load(client, 'kvs');
  const trace = client.stream('module.trace', { typemask: 15, topic_glob: 'kvs.*', names: ['kvs'], full: false });
  await sim.settle();
  await client.rpc('kvs.getroot', { namespace: 'primary' }).catch(() => {});
  await sim.settle();
  const shown = trace.values.map((value) => {
    const { prefix, topic } = value as Record<string, unknown>;
    return { prefix, topic };
  });
  assert.deepEqual(shown, [{ prefix: 'rx', topic: 'kvs.getroot' }]);
});

test('a trace ends with its client', async () => {
  const sim = await start();
  const client = sim.connect();
  client.stream('module.trace', { typemask: 15, topic_glob: '*', names: [], full: false });
  await sim.settle();
  assert.equal(sim.ranks[0]!.modules.tracer.isIdle, false);
  client.disconnect();
  await sim.settle();
  assert.equal(sim.ranks[0]!.modules.tracer.isIdle, true);
});

test('guests only list modules', async () => {
  const sim = await start();
  for (const method of ['load', 'remove', 'debug', 'status', 'trace'])
    await refused(sim.connect(0, guest()).rpc(`module.${method}`, {}), 'EPERM', /requires owner credentials/);
});

test('a module that ends a request with what is no FluxError has a bug, which is logged', async () => {
  const buggy: ModuleDefinition = {
    start: () => ({
      methods: {
        throws: {
          handler() {
            throw new TypeError('oops');
          },
        },
        rejects: {
          async handler() {
            throw new RangeError('later oops');
          },
        },
      },
    }),
  };
  const sim = await start({ modules: { buggy } });
  const client = sim.connect();
  await load(client, 'buggy');
  await refused(client.rpc('buggy.throws'), 'EIO', /oops/);
  await refused(client.rpc('buggy.rejects'), 'EIO', /later oops/);
  await sim.settle();
  const log = sim.node.stderr.map(({ text }) => text);
  assert.ok(log.some((text) => /buggy\.err\[0\]: bug in buggy\.throws: TypeError: oops/.test(text)));
  assert.ok(log.some((text) => /bug in buggy\.rejects: RangeError: later oops/.test(text)));
});
