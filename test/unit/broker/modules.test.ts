// Modules of one broker and whoever starts their threads and processes: each step of that can fail, or be overtaken.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Attributes } from '../../../core/broker/attributes.ts';
import { Broker } from '../../../core/broker/broker.ts';
import { EventBus } from '../../../core/broker/event-bus.ts';
import { parseEntry } from '../../../core/broker/log-format.ts';
import { type Module, type ModuleRuntime, ModuleStatus } from '../../../core/broker/module.ts';
import { type BuiltinModule, Modules } from '../../../core/broker/modules.ts';
import type { ModuleDefinition } from '../../../core/broker/service.ts';
import { FluxError } from '../../../core/errno.ts';
import { LATER } from '../../../core/handle/methods.ts';
import { Flag, Message, MessageType } from '../../../core/message/message.ts';
import { Topology } from '../../../core/overlay/topology.ts';
import { refused } from '../../errors.ts';
import { moduleWorld } from '../../module-world.ts';
import { Agenda } from '../../sim/agenda.ts';
import { owner } from '../../sim/client.ts';

const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A module that somebody was asked to start. */
class Launch implements ModuleRuntime {
  readonly module: Module;
  readonly welcome: Message;
  readonly inProcess: boolean;
  /** What the module was sent. */
  readonly sent: Message[] = [];
  kills = 0;
  readonly runtime: Promise<ModuleRuntime>;
  #resolve!: (runtime: ModuleRuntime) => void;
  fail!: (error: FluxError) => void;

  constructor(module: Module, welcome: Message, inProcess: boolean) {
    this.module = module;
    this.welcome = welcome;
    this.inProcess = inProcess;
    this.runtime = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.fail = reject;
    });
  }

  get topics(): (string | undefined)[] {
    return this.sent.map(({ topic }) => topic);
  }

  /** The thread or process is there. */
  async start(): Promise<void> {
    this.#resolve(this);
    await settled();
  }

  send(message: Message): void {
    this.sent.push(message);
  }

  kill(): void {
    this.kills++;
  }
}

const plain: ModuleDefinition = {
  start: () => ({ methods: { now: { handler: () => undefined }, never: { handler: () => LATER } } }),
};
const bundled: Record<string, BuiltinModule> = { bundled: { definition: plain }, relay: { isRelay: true } };

class Bench {
  readonly agenda = new Agenda();
  readonly launches: Launch[] = [];
  readonly failures: string[] = [];
  readonly log: string[] = [];
  readonly broker: Broker;
  readonly modules: Modules;
  /** Answers to the requests of a client. */
  readonly answers: Message[] = [];
  readonly #client = {
    uuid: 'client',
    rank: 0,
    isOnline: true,
    send: (message: Message) => void this.answers.push(message),
  };

  constructor(definitions: Readonly<Record<string, BuiltinModule>> = {}, attributes: readonly [string, string][] = []) {
    const world = moduleWorld(this.agenda, 'modules');
    const append = { raw: true, handler: ({ message }: { message: Message }) => this.#append(message) };
    const methods = { log: { append }, event: { subscribe: { handler: () => undefined } } };
    this.broker = new Broker({
      rank: 0,
      size: 4,
      uuid: 'broker',
      owner: owner.userid,
      topology: Topology.create('kary:2', 4),
      attributes: new Attributes(new Map([['size', '4']]), [['rank', '0'], ['empty', null] as never, ...attributes]),
      config: { x: 1 },
      bus: new EventBus(() => {}),
      world,
      internal: { has: (name) => Object.hasOwn(methods, name), methods: (name) => methods[name as 'log'] },
      directWays: () => undefined,
    });
    this.broker.addPort(this.#client);
    const source = {
      builtin: (name: string) => definitions[name],
      bundled: (name: string) => bundled[name],
      resolve: async (target: string) => {
        if (target === 'nosuch') throw new FluxError('ENOENT', 'module not found in search path');
        return { name: target.replace(/^.*\//, ''), path: `/abs/${target}` };
      },
      launch: (module: Module, welcome: Message, inProcess: boolean) => {
        const launch = new Launch(module, welcome, inProcess);
        this.launches.push(launch);
        return launch.runtime;
      },
    };
    this.modules = new Modules(this.broker, source, (text) => this.failures.push(text));
  }

  #append(message: Message): undefined {
    const { text, severity } = parseEntry(Buffer.from(message.bytes!).toString());
    this.log.push(`${severity} ${text}`);
  }

  /** Loads a module from a file, as far as somebody is asked to start it. */
  async loading(path = 'mod', more = {}): Promise<{ loaded: Promise<void>; launch: Launch }> {
    const before = this.launches.length;
    const loaded = this.modules.load({ path, args: [], ...more });
    loaded.catch(() => {});
    await settled();
    assert.equal(this.launches.length, before + 1);
    return { loaded, launch: this.launches.at(-1)! };
  }

  /** Loads a module from a file, and lets it run. */
  async load(path = 'mod'): Promise<Launch> {
    const { loaded, launch } = await this.loading(path);
    await launch.start();
    this.status(launch, ModuleStatus.running);
    await loaded;
    return launch;
  }

  status({ module }: Launch, status: number, errnum = 0): void {
    this.modules.statusChanged(module.uuid, status, errnum);
  }

  ask(topic: string): void {
    const request = Message.request({ topic, matchtag: 1, credentials: owner });
    this.broker.receive(request, this.#client);
  }

  get errors(): (string | undefined)[] {
    return this.answers.map((answer) => (answer.errnum ? answer.error().code : undefined));
  }
}

// ---- load

test('whoever starts a module gets its welcome, and the module runs when it says so', async () => {
  const bench = new Bench();
  const { loaded, launch } = await bench.loading('dir/mod', { args: ['a=b'], exec: true });
  assert.deepEqual([launch.module.name, launch.module.path, launch.inProcess], ['mod', '/abs/dir/mod', true]);
  assert.equal(launch.welcome.topic, 'welcome');
  assert.deepEqual(launch.welcome.json, {
    args: ['a=b'],
    attrs: { size: '4', rank: '0' },
    conf: { x: 1 },
    name: 'mod',
    uuid: launch.module.uuid,
  });
  await launch.start();
  assert.equal(launch.module.status, ModuleStatus.init);
  bench.status(launch, ModuleStatus.running);
  await loaded;
  assert.equal(launch.module.status, ModuleStatus.running);
});

for (const [what, end, code] of [
  ['nobody can start it', (launch: Launch) => launch.fail(new FluxError('EMFILE')), 'EMFILE'],
  ['it says that it cannot run', (launch: Launch, bench: Bench) => bench.status(launch, 3, 6), 'ENXIO'],
  ['it ends before it runs', (launch: Launch, bench: Bench) => bench.status(launch, 3), 'ECONNABORTED'],
  [
    'its thread dies',
    ({ module }: Launch, bench: Bench) => bench.modules.exited(module, new FluxError('EHOSTUNREACH')),
    'EHOSTUNREACH',
  ],
] as const) {
  test(`a load fails when ${what}, and leaves nothing`, async () => {
    const bench = new Bench();
    const { loaded, launch } = await bench.loading();
    if (code !== 'EMFILE') await launch.start();
    end(launch, bench);
    await refused(loaded, code);
    assert.deepEqual([bench.modules.names(), bench.broker.hasService('mod'), bench.failures], [[], false, []]);
    await bench.load();
  });
}

test('of two loads of one name the later fails, wherever the first has got to', async () => {
  const bench = new Bench();
  const first = bench.modules.load({ path: 'mod', args: [] });
  const second = refused(bench.modules.load({ path: 'mod', args: [] }), 'EEXIST');
  await settled();
  await second;
  const [launch] = bench.launches;
  await refused(bench.modules.load({ path: 'mod', args: [] }), 'EEXIST');
  await launch!.start();
  bench.status(launch!, ModuleStatus.running);
  await first;
  assert.equal(bench.launches.length, 1);
});

test('a module that is part of the broker may run elsewhere, and others in a process when that is wished', async () => {
  const bench = new Bench({ far: {}, near: { definition: plain } });
  const { launch } = await bench.loading('far');
  assert.deepEqual([launch.module.path, launch.inProcess], ['far', false]);
  await bench.modules.load({ path: 'near', args: [] });
  await bench.modules.load({ path: 'bundled', args: [] });
  assert.equal(bench.launches.length, 1);
  const { launch: other } = await bench.loading('bundled', { exec: true, name: 'apart' });
  assert.deepEqual([other.module.name, other.module.path, other.inProcess], ['apart', 'bundled', true]);
  for (const path of ['far', 'near'])
    await refused(bench.modules.load({ path, args: [], exec: true, name: 'x' }), 'EINVAL', /separate process/);
});

test('what is asked of a bundled module that only passes on goes on towards the root, unless it has a process of its own', async () => {
  const bench = new Bench();
  await bench.modules.load({ path: 'relay', args: [] });
  assert.equal(bench.launches.length, 0);
  bench.ask('relay.enter');
  await settled();
  assert.deepEqual(bench.errors, ['EHOSTUNREACH'], 'there is no parent');
  await bench.modules.remove('relay');
  const { launch } = await bench.loading('relay', { exec: true });
  assert.equal(launch.inProcess, true);
});

test('what is sent to a module before its thread is there reaches it then, in order', async () => {
  const bench = new Bench();
  const { launch } = await bench.loading();
  for (const topic of ['mod.a', 'mod.b']) bench.ask(topic);
  await launch.start();
  bench.ask('mod.c');
  assert.deepEqual(launch.topics, ['mod.a', 'mod.b', 'mod.c']);
  assert.deepEqual(bench.answers, []);
});

test('what was sent to a module that never came is answered', async () => {
  const bench = new Bench();
  const { launch } = await bench.loading();
  bench.ask('mod.a');
  launch.fail(new FluxError('EMFILE'));
  await settled();
  assert.deepEqual(bench.errors, ['ENOSYS']);
});

// ---- remove

test('a module is asked to go, and is gone when it says so', async () => {
  const bench = new Bench();
  const launch = await bench.load();
  const removed = bench.modules.remove('mod');
  assert.deepEqual(launch.topics, ['mod.shutdown']);
  assert.equal(launch.sent[0]!.wantsResponse, false);
  bench.status(launch, ModuleStatus.finalizing);
  bench.ask('mod.x');
  assert.deepEqual([launch.sent.length, bench.errors], [1, ['ENOSYS']]);
  assert.deepEqual(bench.modules.names(), ['mod']);
  bench.status(launch, ModuleStatus.exited);
  await removed;
  assert.deepEqual([bench.modules.names(), bench.failures, launch.kills], [[], [], 0]);
});

test('a module that is removed twice is gone for both', async () => {
  const bench = new Bench();
  const launch = await bench.load();
  const both = [bench.modules.remove('mod'), bench.modules.remove('mod', true)];
  assert.equal(launch.kills, 1);
  bench.modules.exited(launch.module, new FluxError('ECONNRESET'));
  await Promise.all(both);
  assert.deepEqual(bench.failures, []);
});

test('a module that is removed and then cannot be started is gone', async () => {
  const bench = new Bench();
  const { loaded, launch } = await bench.loading();
  const removed = bench.modules.remove('mod');
  launch.fail(new FluxError('EMFILE'));
  await refused(loaded, 'EMFILE');
  await removed;
  assert.deepEqual(bench.modules.names(), []);
});

for (const force of [false, true]) {
  test(`a module that is removed ${force ? 'by force ' : ''}before its thread is there goes when it is`, async () => {
    const bench = new Bench();
    const { loaded, launch } = await bench.loading();
    const removed = bench.modules.remove('mod', force);
    await launch.start();
    if (force) assert.equal(launch.kills, 1);
    else assert.deepEqual(launch.topics, ['mod.shutdown']);
    bench.status(launch, ModuleStatus.exited);
    await removed;
    await refused(loaded, 'ECONNABORTED');
    assert.deepEqual([bench.modules.names(), bench.failures], [[], []]);
  });
}

test('a module of the broker that is removed twice stops once, and does not take one of its name with it', async () => {
  let stops = 0;
  let letGo!: () => void;
  const held = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const slow: ModuleDefinition = {
    start: () => ({
      stop: () => {
        stops++;
        return stops === 1 ? held : undefined;
      },
    }),
  };
  const bench = new Bench({ slow: { definition: slow } });
  await bench.modules.load({ path: 'slow', args: [] });
  const both = [bench.modules.remove('slow'), bench.modules.remove('slow')];
  await settled();
  assert.deepEqual(bench.modules.names(), ['slow']);
  letGo();
  await Promise.all(both);
  assert.equal(stops, 1);
  await bench.modules.load({ path: 'slow', args: [] });
  await settled();
  assert.deepEqual(bench.modules.names(), ['slow']);
});

test('all modules are removed, the last loaded first', async () => {
  const stopped: string[] = [];
  const definition: ModuleDefinition = {
    start: (context) => ({ stop: () => void stopped.push(context.name) }),
  };
  const bench = new Bench({ one: { definition }, two: { definition }, three: { definition } });
  for (const path of ['one', 'two', 'three']) await bench.modules.load({ path, args: [] });
  await bench.modules.removeAll();
  assert.deepEqual(stopped, ['three', 'two', 'one']);
});

test('a module whose stop fails is gone, and the one who removes it is told', async () => {
  const definition: ModuleDefinition = {
    start: () => ({
      stop: () => {
        throw new FluxError('EIO', 'it will not');
      },
    }),
  };
  const bench = new Bench({ mod: { definition } });
  await bench.modules.load({ path: 'mod', args: [] });
  await refused(bench.modules.remove('mod'), 'EIO', /it will not/);
  assert.deepEqual([bench.modules.names(), bench.broker.hasService('mod')], [[], false]);
});

// ---- fail

test('a module that dies is a failure, what it had not answered is, and what its broker hears of it later is not', async () => {
  const bench = new Bench();
  const launch = await bench.load();
  bench.ask('mod.x');
  const error = new FluxError('ECONNRESET', 'the process died of SIGSEGV');
  bench.modules.exited(launch.module, error);
  bench.modules.exited(launch.module, error);
  bench.status(launch, ModuleStatus.running);
  assert.deepEqual(bench.failures, ['module mod failed: ECONNRESET: the process died of SIGSEGV']);
  assert.deepEqual(bench.errors, ['ENOSYS']);
  const next = await bench.load();
  bench.modules.exited(launch.module, error);
  assert.deepEqual([bench.modules.get('mod'), bench.failures.length], [next.module, 1]);
});

test('with module-nopanic a failure is logged', async () => {
  const bench = new Bench({}, [['broker.module-nopanic', '1']]);
  bench.modules.exited((await bench.load()).module, new FluxError('ECONNRESET'));
  assert.deepEqual(bench.failures, []);
  assert.ok(bench.log.some((text) => /^3 module mod failed: ECONNRESET/.test(text)));
});

test('a module that ends by itself, and well, is no failure', async () => {
  const bench = new Bench();
  bench.status(await bench.load(), ModuleStatus.exited);
  assert.deepEqual([bench.failures, bench.modules.names()], [[], []]);
  assert.ok(bench.log.includes('6 module mod exited'));
});

test('a module of the broker has no status but that which the broker knows', async () => {
  const bench = new Bench({ mod: { definition: plain } });
  await bench.modules.load({ path: 'mod', args: [] });
  const module = bench.modules.get('mod')!;
  bench.modules.statusChanged(module.uuid, ModuleStatus.exited, 5);
  bench.modules.statusChanged('nobody', ModuleStatus.exited, 5);
  assert.equal(module.status, ModuleStatus.running);
});

// ---- what passes

test('a module of the broker may have its messages looked at first', async () => {
  const seen: string[] = [];
  const intercept = (module: Module) => (message: Message) => {
    seen.push(`${module.name} ${message.topic}`);
    return message.topic === 'mod.taken';
  };
  const bench = new Bench({ mod: { definition: plain, intercept } });
  await bench.modules.load({ path: 'mod', args: [] });
  for (const topic of ['mod.taken', 'mod.now', 'mod.nosuch']) bench.ask(topic);
  assert.deepEqual(seen.slice(-3), ['mod mod.taken', 'mod mod.now', 'mod mod.nosuch']);
  assert.deepEqual(bench.errors, [undefined, 'ENOSYS']);
});

test('whom a module has asked is told when it is gone', async () => {
  const bench = new Bench();
  const asked = await bench.load('asked');
  bench.broker.addService('service', asked.module);
  const asking = await bench.load('asking');
  const request = (topic: string, flags = 0) => Message.request({ topic, matchtag: 3, flags, credentials: owner });
  for (const topic of ['service.a', 'service.b']) asking.module.receive(request(topic));
  asking.module.receive(request('other.a', Flag.noresponse));
  bench.status(asking, ModuleStatus.exited);
  assert.deepEqual(asked.topics, ['service.a', 'service.b', 'service.disconnect']);
  const [first, , told] = asked.sent;
  assert.equal(told!.routes.sender, first!.routes.sender);
  assert.equal(told!.wantsResponse, false);
});

test('how long a module has been idle counts from what it last sent', async () => {
  const bench = new Bench();
  const launch = await bench.load();
  const idle = () => (bench.modules.list().mods as { idle: number }[])[0]!.idle;
  bench.agenda.skipTo(7.9);
  bench.ask('mod.x');
  assert.equal(idle(), 7);
  const [request] = launch.sent;
  launch.module.receive(request!.respond(undefined, owner));
  assert.equal(idle(), 0);
  assert.equal(bench.answers[0]!.type, MessageType.response);
});
