// One service and the messages that its broker would see: what it asks for when it starts, whom it answers, what is left
// when it stops.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseEntry } from '../../../core/broker/log-format.ts';
import { ModuleHost } from '../../../core/broker/module-host.ts';
import type { ModuleDefinition, Service, ServiceContext } from '../../../core/broker/service.ts';
import { errnoName, FluxError } from '../../../core/errno.ts';
import { LATER, type Request } from '../../../core/handle/methods.ts';
import { type Credentials, Role } from '../../../core/message/credentials.ts';
import {
  Flag,
  Message,
  MessageType,
  NODEID_ANY,
  NODEID_UPSTREAM,
  type Payload,
} from '../../../core/message/message.ts';
import { refused } from '../../errors.ts';
import { moduleWorld } from '../../module-world.ts';
import { Agenda } from '../../sim/agenda.ts';

const owner: Credentials = { userid: 100, rolemask: Role.owner };
const guest: Credentials = { userid: 200, rolemask: Role.user };

const agenda = new Agenda();
const world = moduleWorld(agenda, 'module');

/** A module whose broker is the test: `sent` is what it sent, the oldest first. */
class Bench {
  readonly sent: Message[] = [];
  readonly host: ModuleHost;
  #matchtag = 0;

  constructor(rank = 3) {
    const welcome = {
      name: 'mod',
      uuid: '11111111-2222-4333-8444-555555555555',
      rank,
      size: 8,
      owner: owner.userid,
      args: ['a'],
      config: { x: 1 },
      attribute: (name: string) => (name === 'known' ? 'value' : undefined),
    };
    this.host = new ModuleHost(welcome, world, (message) => this.sent.push(message));
  }

  static async start(service: Service | ((context: ServiceContext) => Service), rank?: number): Promise<Bench> {
    const bench = new Bench(rank);
    await bench.host.start({ start: typeof service === 'function' ? service : () => service });
    bench.sent.length = 0;
    return bench;
  }

  request(topic: string, payload?: Payload, flags = 0, credentials = owner, sender = 'client'): Message {
    const request = Message.request({ topic, payload, matchtag: ++this.#matchtag, flags, credentials });
    request.routes.push(sender);
    this.host.receive(request);
    return request;
  }

  /** The answers that were sent: payload, or the errno's name and text. */
  get answers(): unknown[] {
    return this.sent
      .filter(({ type }) => type === MessageType.response)
      .map((answer) => (answer.errnum ? [errnoName(answer.errnum), answer.errorText()] : (answer.json ?? null)));
  }

  /** The requests that were sent, by topic. */
  asked(topic: string): Message[] {
    return this.sent.filter((message) => message.type === MessageType.request && message.topic === topic);
  }

  get log(): string[] {
    return this.asked('log.append').map(({ bytes }) => parseEntry(Buffer.from(bytes!).toString()).text);
  }
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test('a service sees what it was told when it was loaded', async () => {
  let told: unknown[] = [];
  const bench = new Bench();
  await bench.host.start({
    start: (context, args) => {
      const { name, rank, size, config } = context;
      told = [name, rank, size, config, args, context.attribute('known'), context.attribute('unknown')];
      return {};
    },
  });
  assert.deepEqual(told, ['mod', 3, 8, { x: 1 }, ['a'], 'value', undefined]);
});

test('what a service subscribes to and answers for is asked of the broker when it starts', async () => {
  const bench = new Bench();
  const definition: ModuleDefinition = {
    start(context) {
      context.subscribe('a.', () => {});
      return { services: ['other'] };
    },
  };
  const started = bench.host.start(definition);
  await settled();
  assert.deepEqual(
    bench.asked('event.subscribe').map((request) => [request.json, request.wantsResponse]),
    [
      [{ topic: 'a.' }, false],
      [{ topic: 'mod.stats-clear' }, false],
    ],
  );
  const [add] = bench.asked('service.add');
  assert.deepEqual(add!.json, { service: 'other' });
  bench.host.receive(add!.respond(undefined, owner));
  await started;
});

test('a service that is stopped while it starts is stopped once it has, and asks for nothing', async () => {
  const bench = new Bench();
  let letGo!: () => void;
  const held = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  let stops = 0;
  const definition: ModuleDefinition = {
    async start() {
      await held;
      return { services: ['other'], stop: () => void stops++ };
    },
  };
  const started = refused(bench.host.start(definition), 'ECONNABORTED', /module mod was stopped while it started/);
  await bench.host.stop();
  assert.equal(stops, 0);
  letGo();
  await started;
  assert.deepEqual([stops, bench.sent], [1, []]);
});

test('a service whose other name is taken does not start', async () => {
  const bench = new Bench();
  const started = bench.host.start({ start: () => ({ services: ['other'] }) });
  await settled();
  bench.host.receive(bench.asked('service.add')[0]!.respondError(17, undefined, owner));
  await refused(started, 'EEXIST');
});

const methods: Service['methods'] = {
  open: { allow: Role.user, handler: (request) => request.payload },
  owners: { handler: () => undefined },
  anybody: { allow: Role.all, handler: () => ({ ok: true }) },
  streams: {
    streaming: true,
    handler: (request) => {
      request.respond({ n: 1 });
      request.endStream();
      return LATER;
    },
  },
  raw: { raw: true, handler: (request) => Buffer.from(request.message.bytes ?? []).reverse() },
  text: {
    handler: () => {
      throw new FluxError('EXDEV', 'a sentence');
    },
  },
  silent: {
    handler: () => {
      throw new FluxError('EXDEV');
    },
  },
  later: {
    handler: async () => {
      await settled();
      return { later: true };
    },
  },
};

for (const [what, topic, payload, flags, credentials, expected] of [
  ['a method answers with what it returns', 'mod.open', { a: 1 }, 0, owner, [{ a: 1 }]],
  ['a method may be for guests', 'mod.open', { a: 1 }, 0, guest, [{ a: 1 }]],
  ['a method may be for anybody', 'mod.anybody', undefined, 0, { userid: 9, rolemask: 8 }, [{ ok: true }]],
  ['a method is for the owner', 'mod.owners', undefined, 0, guest, [['EPERM', 'Request requires owner credentials']]],
  [
    'who has no role a method wants is refused',
    'mod.open',
    {},
    0,
    { userid: 9, rolemask: 4 },
    [['EPERM', 'Request rejected due to insufficient privilege']],
  ],
  ['nothing is an answer', 'mod.owners', undefined, 0, owner, [null]],
  ['an error has its text', 'mod.text', undefined, 0, owner, [['EXDEV', 'a sentence']]],
  ['an error needs no text', 'mod.silent', undefined, 0, owner, [['EXDEV', undefined]]],
  [
    'a stream has answers and an end',
    'mod.streams',
    undefined,
    Flag.streaming,
    owner,
    [{ n: 1 }, ['ENODATA', undefined]],
  ],
  [
    'a stream wants its flag',
    'mod.streams',
    undefined,
    0,
    owner,
    [['EPROTO', 'mod.streams requires the streaming flag']],
  ],
  ['an unknown method', 'mod.nosuch', undefined, 0, owner, [['ENOSYS', "Unknown service method 'mod.nosuch'"]]],
  [
    'an inherited name',
    'mod.constructor',
    undefined,
    0,
    owner,
    [['ENOSYS', "Unknown service method 'mod.constructor'"]],
  ],
  ['a topic without method', 'mod', undefined, 0, owner, [['ENOSYS', "Unknown service method 'mod'"]]],
  ['no response is wanted', 'mod.open', { a: 1 }, Flag.noresponse, owner, []],
  ['no response is wanted of an error', 'mod.text', undefined, Flag.noresponse, owner, []],
] as [string, string, Payload | undefined, number, Credentials, unknown[]][]) {
  test(`${what}: ${topic}`, async () => {
    const bench = await Bench.start({ methods });
    bench.request(topic, payload, flags, credentials);
    assert.deepEqual(bench.answers, expected);
  });
}

test('a method may answer later', async () => {
  const bench = await Bench.start({ methods });
  bench.request('mod.later');
  assert.deepEqual(bench.answers, []);
  await settled();
  await settled();
  assert.deepEqual(bench.answers, [{ later: true }]);
});

test('bytes go in and out as they are where a method wants bytes', async () => {
  const bench = await Bench.start({ methods });
  bench.request('mod.raw', Buffer.from([1, 2, 3]));
  assert.deepEqual([...bench.sent.shift()!.bytes!], [3, 2, 1]);
  bench.request('mod.open', Buffer.from([1, 2, 3]));
  assert.equal((bench.answers[0] as unknown[])[0], 'EPROTO');
});

test("a response has the request's routes, topic and matchtag, and the owner's credentials", async () => {
  const bench = await Bench.start({ methods });
  const request = bench.request('mod.open', {}, 0, guest);
  const [answer] = bench.sent;
  assert.deepEqual(
    [answer!.routes.ids(), answer!.topic, answer!.matchtag, answer!.userid, answer!.rolemask],
    [['client'], 'mod.open', request.matchtag, 100, Role.owner | Role.local],
  );
});

test('what comes after the last answer goes nowhere', async () => {
  const kept: Request[] = [];
  const keep = (request: Request): typeof LATER => {
    kept.push(request);
    return LATER;
  };
  const bench = await Bench.start({ methods: { once: { handler: keep }, stream: { streaming: true, handler: keep } } });
  bench.request('mod.once');
  bench.request('mod.stream', undefined, Flag.streaming);
  for (const request of kept) {
    request.respond({ n: 1 });
    request.respond({ n: 2 });
    request.endStream();
    request.respond({ n: 3 });
    request.fail('EIO');
  }
  assert.deepEqual(bench.answers, [{ n: 1 }, { n: 1 }, { n: 2 }, ['ENODATA', undefined]]);
});

test('a bug is answered with EIO, and logged with where it is', async () => {
  const bench = await Bench.start({
    methods: {
      bug: {
        handler: () => {
          throw new TypeError('oops');
        },
      },
    },
  });
  bench.request('mod.bug');
  assert.deepEqual(bench.answers, [['EIO', 'oops']]);
  assert.match(bench.log[0]!, /^bug in mod\.bug: TypeError: oops\n +at .*module-host\.test/s);
});

test('a bug in who takes an event keeps it from nobody', async () => {
  const got: string[] = [];
  const bench = await Bench.start((context) => {
    context.subscribe('a', () => {
      throw new TypeError('oops');
    });
    context.subscribe('a.', (event) => got.push(event.topic!));
    return {};
  });
  bench.host.receive(Message.event('a.b', undefined));
  assert.deepEqual(got, ['a.b']);
  assert.match(bench.log[0]!, /^bug in a\.b: TypeError: oops/);
});

test('what is asked goes out as the owner, and upstream as the own rank with a flag', async () => {
  let context!: ServiceContext;
  const bench = await Bench.start((own) => {
    context = own;
    return {};
  });
  const asked = context.rpc('one.x', { a: 1 });
  void context.request('two.x', undefined, { nodeid: 5, flags: Flag.streaming });
  context.notify('three.x', undefined, { nodeid: NODEID_UPSTREAM });
  const [one, two, three] = bench.sent;
  assert.deepEqual([one!.nodeid, one!.userid, one!.rolemask], [NODEID_ANY, 100, Role.owner | Role.local]);
  assert.deepEqual([two!.nodeid, two!.isStreaming], [5, true]);
  assert.deepEqual([three!.nodeid, three!.flags & Flag.upstream, three!.wantsResponse], [3, Flag.upstream, false]);
  assert.notEqual(one!.matchtag, two!.matchtag);
  bench.host.receive(one!.respond({ b: 2 }, owner));
  assert.deepEqual(await asked, { b: 2 });
});

test('an event is published with its payload in base64, and privately when that is wanted', async () => {
  let context!: ServiceContext;
  const bench = await Bench.start((own) => {
    context = own;
    return {};
  });
  const published = context.publish('a', { x: 1 }, { private: true });
  void context.publish('b');
  const [first, second] = bench.asked('event.publish');
  const payload = Buffer.from('{"x":1}\0').toString('base64');
  assert.deepEqual([first!.nodeid, first!.json], [0, { topic: 'a', flags: Flag.private, payload }]);
  assert.deepEqual(second!.json, { topic: 'b', flags: 0 });
  bench.host.receive(first!.respondError(1, undefined, owner));
  await refused(published, 'EPERM');
});

test('an event is sent as a message, and privately when that is wanted', async () => {
  let context!: ServiceContext;
  const bench = await Bench.start((own) => {
    context = own;
    return {};
  });
  context.sendEvent('a', { x: 1 }, { private: true });
  context.sendEvent('b');
  const [first, second] = bench.sent;
  assert.deepEqual(
    [first!.type, first!.topic, first!.json, first!.userid],
    [MessageType.event, 'a', { x: 1 }, owner.userid],
  );
  assert.ok(first!.flags & Flag.private);
  assert.deepEqual([second!.topic, second!.hasPayload, second!.flags & Flag.private], ['b', false, 0]);
});

test('log lines name the module and its rank, and are cut off where they get too long', async () => {
  const bench = await Bench.start((context) => {
    context.log('warning', 'x'.repeat(3000));
    return {};
  });
  bench.host.log('err', 'y');
  const [entry] = bench.asked('log.append');
  const { severity, hostname, appname, text } = parseEntry(Buffer.from(entry!.bytes!).toString());
  assert.deepEqual([severity, hostname, appname, text], [3, '3', 'mod', 'y']);
  const long = new Bench();
  await long.host.start({
    start(context) {
      context.log('warning', 'x'.repeat(3000));
      return {};
    },
  });
  assert.equal(long.log[0]!.length, 2049);
});

test('a configuration is taken, or refused with what the service says, and then the old one stays', async () => {
  const bench = await Bench.start({
    configure(config) {
      if ('bad' in config) throw new FluxError('EINVAL', 'a bad one');
    },
  });
  for (const topic of ['mod.config-reload', 'mod.config-update']) {
    bench.request(topic, { y: 2 });
    assert.deepEqual(bench.host.config, { y: 2 });
    bench.request(topic, { bad: 1 });
    bench.request(topic, []);
    bench.request(topic, { y: 3 }, 0, guest);
    assert.deepEqual(bench.host.config, { y: 2 });
    assert.deepEqual(
      bench.answers.splice(-4).map((answer) => (answer === null ? null : (answer as unknown[])[0])),
      [null, 'EINVAL', 'EPROTO', 'EPERM'],
    );
  }
});

test('statistics are what the service says, or message counts, cleared by request and by event', async () => {
  let cleared = 0;
  const own = await Bench.start({ stats: () => ({ n: 7 }), clearStats: () => cleared++ });
  own.request('mod.stats-get', undefined, 0, guest);
  own.request('mod.stats-clear');
  own.host.receive(Message.event('mod.stats-clear', undefined));
  assert.deepEqual(own.answers, [{ n: 7 }, null]);
  assert.equal(cleared, 2);

  const counts = await Bench.start({ methods });
  counts.request('mod.stats-clear');
  counts.request('mod.owners');
  counts.request('mod.stats-get');
  const { rx, tx } = counts.answers[2] as { rx: { request: number }; tx: { response: number } };
  assert.deepEqual([rx.request, tx.response], [2, 2]);
  counts.host.receive(Message.event('mod.stats-clear', undefined));
  counts.request('mod.stats-get');
  assert.equal((counts.answers[3] as typeof counts.answers & { rx: { request: number } }).rx.request, 1);
});

test('a service may have its own of the methods that every module has', async () => {
  const bench = await Bench.start({ methods: { 'stats-get': { handler: () => ({ own: true }) } } });
  bench.request('mod.stats-get');
  bench.request('mod.stats-get', undefined, 0, guest);
  assert.deepEqual(bench.answers, [{ own: true }, ['EPERM', 'Request requires owner credentials']]);
});

test('a service that stops answers what it has not, and asks nothing more', async () => {
  let context!: ServiceContext;
  let stopped = false;
  const bench = await Bench.start((own) => {
    context = own;
    return {
      methods: { never: { handler: () => LATER }, ever: { handler: () => new Promise(() => {}) } },
      stop: () => {
        stopped = true;
      },
    };
  });
  bench.request('mod.never');
  bench.request('mod.ever');
  bench.request('mod.never', undefined, Flag.noresponse);
  const asked = context.rpc('other.x');
  await bench.host.stop();
  assert.ok(stopped);
  const gone = ['ENOSYS', 'module mod is gone'];
  assert.deepEqual(bench.answers, [gone, gone]);
  await refused(asked, 'ECONNABORTED');
  await refused(context.rpc('other.y'), 'ECONNABORTED');
  bench.request('mod.never');
  assert.deepEqual(bench.answers[2], ['ENOSYS', "Unknown service method 'mod.never'"]);
});

test('a client that is gone waits for nothing any more', async () => {
  const bench = await Bench.start({
    methods: { never: { handler: () => LATER }, disconnect: { allow: Role.user, handler: () => undefined } },
  });
  bench.request('mod.never', undefined, 0, owner, 'one');
  bench.request('mod.never', undefined, 0, owner, 'two');
  bench.request('mod.disconnect', undefined, Flag.noresponse, owner, 'one');
  await bench.host.stop();
  assert.deepEqual(
    bench.sent.filter(({ type }) => type === MessageType.response).map(({ routes }) => routes.ids()),
    [['two']],
  );
});

test('responses to requests without a matchtag are the service’s to understand', async () => {
  const taken: string[] = [];
  let context!: ServiceContext;
  const bench = await Bench.start((own) => {
    context = own;
    return {
      takeResponse(response) {
        if (response.errnum) throw new Error('a bug');
        taken.push(`${response.topic} ${JSON.stringify(response.json)}`);
      },
    };
  });
  context.sendUntagged('sched.alloc', { id: 5 });
  const [request] = bench.sent.splice(0);
  assert.deepEqual([request!.matchtag, request!.userid, request!.rolemask & Role.owner], [0, 100, Role.owner]);
  // Whoever answers may do so more than once.
  for (const type of [1, 0]) bench.host.receive(request!.respond({ id: 5, type }, owner));
  bench.host.receive(request!.respondError(38, undefined, owner));
  const late = Message.request({ topic: 'other.rpc', matchtag: 77 });
  bench.host.receive(late.respond({ nobody: 'waits' }, owner));
  assert.deepEqual(taken, ['sched.alloc {"id":5,"type":1}', 'sched.alloc {"id":5,"type":0}']);
  assert.equal(bench.sent.filter(({ topic }) => topic === 'log.append').length, 1, 'the bug is logged');
  await bench.host.stop();
  bench.host.receive(request!.respond({ id: 5, type: 0 }, owner));
  assert.equal(taken.length, 2);
});

test('requests that come while a service starts are answered when it runs, or when it is known that it never will', async () => {
  for (const outcome of ['runs', 'fails', 'is stopped'] as const) {
    const bench = new Bench();
    let go!: () => void;
    const started = bench.host.start({
      async start() {
        await new Promise<void>((resolve) => {
          go = resolve;
        });
        if (outcome === 'fails') throw new FluxError('EINVAL', 'no');
        return { methods: { hello: { handler: () => ({ hi: 'there' }) } } };
      },
    });
    bench.request('mod.hello');
    assert.deepEqual(bench.sent, []);
    if (outcome === 'is stopped') await bench.host.stop();
    go();
    await started.catch(() => {});
    const answers = bench.sent.filter(({ type }) => type === MessageType.response);
    assert.deepEqual(
      answers.map(({ errnum }) => errnum && errnoName(errnum)),
      [outcome === 'runs' ? 0 : 'ENOSYS'],
      outcome,
    );
  }
});
