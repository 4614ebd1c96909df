// A module apart from its broker: its welcome, what it says of itself, its end, and the world that it lives in.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ModuleStatus } from '../../../core/broker/module.ts';
import type { World } from '../../../core/broker/module-host.ts';
import type { ModuleDefinition } from '../../../core/broker/service.ts';
import { FluxError } from '../../../core/errno.ts';
import { callMethod, Request } from '../../../core/handle/methods.ts';
import type { JsonObject } from '../../../core/json.ts';
import { Flag, Message, MessageType } from '../../../core/message/message.ts';
import type { ThreadControl } from '../../../core/node/thread-control.ts';
import { endpoint, threadOf } from '../../../core/ring/endpoint.ts';
import type { Mailbox } from '../../../core/ring/mailbox.ts';
import { RemoteModule, RemoteModules } from '../../../workers/remote-modules.ts';
import { SlowReaders } from '../../../workers/rexec/slow-readers.ts';
import { Agenda } from '../../sim/agenda.ts';
import { owner } from '../../sim/client.ts';
import { Programs } from '../../sim/programs.ts';
import { SeededRandom } from '../../sim/random.ts';

const settled = () => new Promise((resolve) => setImmediate(resolve));

function makeWorld(agenda = new Agenda()): World {
  const clock = agenda.clock('remote');
  const programs = new Programs({ prog: (process) => process.exit(7) });
  return {
    clock,
    random: new SeededRandom(1),
    rusage: () => ({ maxrss: 77 }) as never,
    spawn: programs.spawn(clock),
    spawnSoon: programs.spawnSoon(clock),
  };
}

const welcome = (more: JsonObject = {}) =>
  Message.request({
    topic: 'welcome',
    payload: {
      args: ['a', 'b'],
      attrs: { rank: '3', size: '8', 'security.owner': '100', other: 'x' },
      conf: { c: 1 },
      name: 'mod',
      uuid: 'u-u-i-d',
      ...more,
    },
  });

/** A module and the messages that its broker gets. */
class Bench {
  readonly sent: Message[] = [];
  readonly module: RemoteModule;
  ends = 0;

  constructor(definition: () => Promise<ModuleDefinition>, world = makeWorld()) {
    this.module = new RemoteModule(
      definition,
      (message) => this.sent.push(message),
      () => this.ends++,
      world,
    );
  }

  static async start(definition: ModuleDefinition, world?: World): Promise<Bench> {
    const bench = new Bench(async () => definition, world);
    bench.module.receive(welcome());
    await settled();
    return bench;
  }

  ask(topic: string, payload?: JsonObject, flags = 0): void {
    this.module.receive(Message.request({ topic, payload, flags, matchtag: 1, credentials: owner }));
  }

  async shutdown(): Promise<void> {
    this.ask('mod.shutdown', undefined, Flag.noresponse);
    await settled();
  }

  /** What it said of itself. */
  get statuses(): unknown[] {
    return this.sent.filter(({ topic }) => topic === 'module.status').map(({ json }) => json);
  }

  get answers(): unknown[] {
    return this.sent.filter(({ type }) => type === MessageType.response).map((answer) => answer.errnum || answer.json);
  }
}

test('a module is told what its welcome says, and says that it runs', async () => {
  const bench = await Bench.start({
    start: (context, args) => ({
      methods: {
        told: {
          handler: () => {
            const { name, uuid, rank, size, config } = context;
            return { name, uuid, rank, size, config, args: [...args], other: context.attribute('other') ?? null };
          },
        },
      },
    }),
  });
  assert.deepEqual(bench.statuses, [{ status: ModuleStatus.running }]);
  bench.ask('mod.told');
  const expected = { name: 'mod', uuid: 'u-u-i-d', rank: 3, size: 8, config: { c: 1 }, args: ['a', 'b'], other: 'x' };
  assert.deepEqual(bench.answers, [expected]);
  const answer = bench.sent.at(-1)!;
  assert.equal(answer.userid, 100);
  assert.equal(bench.sent.find(({ topic }) => topic === 'module.status')!.wantsResponse, false);
});

for (const [what, definition, errnum] of [
  ['cannot start', async () => ({ start: () => Promise.reject(new FluxError('ENXIO')) }), 6],
  ['has a bug in its start', async () => ({ start: () => assert.fail('bug') }), 22],
  ['cannot be read', () => Promise.reject(new FluxError('ENOENT', 'no such file')), 2],
] as [string, () => Promise<ModuleDefinition>, number][]) {
  test(`a module that ${what} says so, and why in the log, and ends`, async () => {
    const bench = new Bench(definition);
    bench.module.receive(welcome());
    await settled();
    assert.deepEqual([bench.statuses, bench.ends], [[{ status: ModuleStatus.exited, errnum }], 1]);
    const log = bench.sent.find(({ topic }) => topic === 'log.append');
    assert.match(Buffer.from(log!.bytes!).toString(), /module mod cannot start/);
  });
}

for (const [what, stop, errnum] of [
  ['ends', () => {}, 0],
  [
    'cannot end well',
    () => {
      throw new FluxError('EIO');
    },
    5,
  ],
] as const) {
  test(`a module that is told to end and ${what} says both`, async () => {
    const bench = await Bench.start({ start: () => ({ stop }) });
    await bench.shutdown();
    assert.deepEqual(bench.statuses.slice(1), [
      { status: ModuleStatus.finalizing },
      { status: ModuleStatus.exited, errnum },
    ]);
    assert.equal(bench.ends, 1);
  });
}

test('a module that is told to end while it starts says it once', async () => {
  let letGo!: () => void;
  const held = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const bench = await Bench.start({ start: () => held.then(() => ({})) });
  await bench.shutdown();
  letGo();
  await settled();
  assert.deepEqual(bench.statuses, [{ status: ModuleStatus.finalizing }, { status: ModuleStatus.exited, errnum: 0 }]);
  assert.equal(bench.ends, 1);
});

test('a module has the clock, the random numbers, the programs and the usage of the world it is given', async () => {
  const agenda = new Agenda();
  const seen: unknown[] = [];
  const definition: ModuleDefinition = {
    start({ clock, random, spawn }) {
      seen.push(clock.now(), clock.monotonic(), random.number(), random.uuid());
      clock.after(5, () => seen.push(`after ${clock.monotonic()}`));
      spawn(
        { argv: ['prog'], env: [], stdio: [] },
        { data: () => {}, exit: (status) => seen.push(`exit ${status >> 8}`) },
      );
      return {};
    },
  };
  const bench = await Bench.start(definition, makeWorld(agenda));
  while (agenda.step());
  const [random, clock] = [new SeededRandom(1), new Agenda().clock('x')];
  assert.deepEqual(seen, [clock.now(), 0, random.number(), random.uuid(), 'exit 7', 'after 5']);
  bench.ask('mod.rusage', {});
  assert.equal((bench.answers[0] as JsonObject).maxrss, 77);
});

// ---- those of one thread

const rankEndpoint = endpoint(1, 4);

/** The modules of thread 5, and what they send. */
function thread() {
  const sent: { to: number; from: number; message: Message }[] = [];
  const mailbox = { thread: 5, send: (to: number, from: number, message: Message) => sent.push({ to, from, message }) };
  const environments: unknown[] = [];
  const control = {
    rpc: async (to: number, topic: string, payload: unknown) => {
      environments.push([to, topic, payload]);
      return { FROM: 'rank' };
    },
  };
  const modules = new RemoteModules(
    mailbox as unknown as Mailbox,
    () => control as unknown as ThreadControl,
    makeWorld(),
    {
      slowReaders: new SlowReaders(),
      spawnTurn: async () => {},
      layouts: new Map(),
      guard: { enter: () => {}, leave: () => {} },
    },
    {},
    0,
  );
  const call = (method: string, payload: JsonObject): Promise<unknown> =>
    new Promise((resolve) => {
      const message = Message.request({ topic: method, payload, credentials: owner });
      const request = new Request(message, owner, (response) =>
        resolve(response.errnum ? response.error().code : response.json),
      );
      callMethod(modules.methods[method]!, request, (_, error) => assert.fail(String(error)));
    });
  return { modules, sent, environments, call };
}

test('each module of a thread has an endpoint of its own, until it ends', async () => {
  const { modules, sent, call } = thread();
  const start = async () =>
    ((await call('module.start', { path: 'barrier', rankEndpoint })) as { endpoint: number }).endpoint;
  const [one, two] = [await start(), await start()];
  assert.notEqual(one, two);
  assert.deepEqual([threadOf(one), threadOf(two)], [5, 5]);
  for (const address of [one, two]) modules.receive(welcome(), address);
  await settled();
  const statuses = () =>
    sent.filter(({ message }) => message.topic === 'module.status').map(({ from, to }) => [from, to]);
  assert.deepEqual(statuses(), [
    [one, rankEndpoint],
    [two, rankEndpoint],
  ]);
  const ask = (topic: string, address: number) =>
    modules.receive(Message.request({ topic, payload: {}, matchtag: 1, credentials: owner }), address);
  ask('mod.shutdown', one);
  await settled();
  sent.length = 0;
  for (const address of [one, two, endpoint(5, 99)]) ask('mod.ping', address);
  assert.deepEqual(
    sent.map(({ from }) => from),
    [two],
  );
});

test('programs of ranks of another thread have the environment of their rank', async () => {
  const { modules, sent, environments, call } = thread();
  const { endpoint: address } = (await call('service.start', { service: 'rexec', rankEndpoint })) as {
    endpoint: number;
  };
  modules.receive(welcome({ name: 'rexec' }), address);
  await settled();
  const cmd = { cmdline: ['prog'], env: {}, opts: {}, channels: [] };
  modules.receive(
    Message.request({ topic: 'rexec.exec', payload: { cmd, flags: 0 }, matchtag: 1, credentials: owner }),
    address,
  );
  await settled();
  const asked = sent.find(({ message }) => message.topic === 'attr.get')!;
  assert.deepEqual([asked.to, asked.message.json], [rankEndpoint, { name: 'local-uri' }]);
  modules.receive(asked.message.respond({ value: 'local:///x', flags: 1 }, owner), address);
  await settled();
  assert.deepEqual(environments, [[1, 'rank.environment', { rank: 3 }]]);
  assert.equal((sent.at(-1)!.message.json as JsonObject).type, 'started');
});

test('no other service is started for ranks of other threads', async () => {
  const { call } = thread();
  assert.equal(await call('service.start', { service: 'barrier', rankEndpoint }), 'ENOENT');
  assert.equal(await call('module.start', { rankEndpoint }), 'EPROTO');
});
