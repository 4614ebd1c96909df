// A router by messages: clients whose matchtags are the same, who leave, subscribe, serve, and lose their broker.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errno } from '../../../core/errno.ts';
import { Router, type RouterClient } from '../../../core/handle/router.ts';
import type { JsonObject } from '../../../core/json.ts';
import { decodeMessage, encodeMessage } from '../../../core/message/codec.ts';
import { Role, USERID_UNKNOWN } from '../../../core/message/credentials.ts';
import { Flag, Message, MessageType, type RequestFields } from '../../../core/message/message.ts';

const USER = 1000;
const owner = { userid: 0, rolemask: Role.owner };

/** A router and all that it sends to the broker. */
class Rig {
  readonly sent: Message[] = [];
  readonly router: Router;

  constructor(options: { tracks?: boolean; credentials?: { userid: number; rolemask: number } } = {}) {
    this.router = new Router({ userid: USER, send: (message) => this.sent.push(travel(message)), ...options });
  }

  client(uuid: string): Client {
    return new Client(this.router, uuid);
  }

  /** Takes what was sent to the broker. */
  take(): Message[] {
    return this.sent.splice(0);
  }

  /** Takes the only message that was sent to the broker. */
  takeOne(topic: string): Message {
    const messages = this.take();
    assert.deepEqual(
      messages.map((message) => message.topic),
      [topic],
    );
    return messages[0]!;
  }

  respond(request: Message, payload?: JsonObject): void {
    this.router.receiveUpstream(travel(request.respond(payload, owner)));
  }

  refuse(request: Message, code: 'EEXIST' | 'EPERM' | 'EINVAL'): void {
    this.router.receiveUpstream(travel(request.respondError(errno[code], undefined, owner)));
  }

  event(topic: string): void {
    this.router.receiveUpstream(travel(Message.event(topic, undefined)));
  }
}

class Client {
  readonly got: Message[] = [];
  readonly #router: Router;
  readonly #route: RouterClient;

  constructor(router: Router, uuid: string) {
    this.#router = router;
    this.#route = router.connect(uuid, (message) => this.got.push(travel(message)));
  }

  send(message: Message): void {
    this.#router.receive(this.#route, travel(message));
  }

  ask(topic: string, payload?: JsonObject, more: Partial<RequestFields> = {}): void {
    this.send(Message.request({ topic, payload, matchtag: 1, ...more }));
  }

  leave(): void {
    this.#router.disconnect(this.#route);
  }

  /** Takes what came: topic and errnum of each. */
  take(): [topic: string | undefined, errnum: number][] {
    return this.got
      .splice(0)
      .map((message) => [message.topic, message.type === MessageType.response ? message.errnum : 0]);
  }
}

/** A message as it is behind a socket. */
function travel(message: Message): Message {
  return decodeMessage(encodeMessage(message));
}

const topics = (messages: readonly Message[]) => messages.map((message) => message.topic);

test('two clients with the same matchtag get each their own answer', () => {
  const rig = new Rig();
  const [a, b] = [rig.client('a'), rig.client('b')];
  a.ask('x.y', { from: 'a' });
  b.ask('x.y', { from: 'b' });
  const [first, second] = rig.take();
  assert.deepEqual(first!.routes.ids(), ['a']);
  assert.deepEqual(second!.routes.ids(), ['b']);
  rig.respond(second!, { to: 'b' });
  rig.respond(first!, { to: 'a' });
  for (const [client, to] of [
    [a, 'a'],
    [b, 'b'],
  ] as const) {
    const [response] = client.got.splice(0);
    assert.deepEqual(response!.json, { to });
    assert.equal(response!.matchtag, 1);
    assert.ok(response!.routes.isEmpty);
  }
});

test('routes that a request has already stay below that of the client', () => {
  const rig = new Rig();
  const client = rig.client('outer');
  const request = Message.request({ topic: 'x.y', matchtag: 1 });
  request.routes.push('inner');
  client.send(request);
  const sent = rig.takeOne('x.y');
  assert.deepEqual(sent.routes.ids(), ['inner', 'outer']);
  rig.respond(sent);
  assert.deepEqual(client.got[0]!.routes.ids(), ['inner']);
});

test('payload, nodeid and flags of a message are forwarded as they are', () => {
  const rig = new Rig();
  const client = rig.client('a');
  const bytes = Buffer.from([0xff, 0, 1, 2]);
  client.ask('x.y', undefined, { payload: bytes, nodeid: 7, matchtag: 9, flags: Flag.streaming | Flag.upstream });
  const sent = rig.takeOne('x.y');
  assert.deepEqual(Buffer.from(sent.bytes!), bytes);
  assert.deepEqual([sent.nodeid, sent.matchtag], [7, 9]);
  assert.equal(sent.flags, Flag.topic | Flag.payload | Flag.route | Flag.streaming | Flag.upstream);
});

test('all messages name the user, whatever the client says, and leave his roles to the broker', () => {
  const rig = new Rig();
  const client = rig.client('a');
  client.ask('x.y', undefined, { credentials: { userid: 0, rolemask: Role.owner } });
  const { userid, rolemask } = rig.takeOne('x.y');
  assert.deepEqual({ userid, rolemask }, { userid: USER, rolemask: Role.none });
});

test('a proxy that plays a guest plays it for all its clients', () => {
  const credentials = { userid: 9999, rolemask: Role.user };
  const rig = new Rig({ credentials });
  const client = rig.client('a');
  client.ask('x.y');
  client.ask('event.subscribe', { topic: 't' });
  client.ask('service.add', { service: 's' });
  client.leave();
  const sent = rig.take();
  assert.deepEqual(topics(sent), [
    'x.y',
    'event.subscribe',
    'service.add',
    'event.unsubscribe',
    'service.remove',
    'x.disconnect',
  ]);
  for (const { userid, rolemask } of sent) assert.deepEqual({ userid, rolemask }, credentials);
});

test('an answer to a client that is gone, or was never there, is dropped', () => {
  const rig = new Rig();
  const client = rig.client('a');
  client.ask('x.y');
  const request = rig.takeOne('x.y');
  client.leave();
  rig.take();
  rig.respond(request);
  const foreign = Message.request({ topic: 'x.y', matchtag: 1 });
  foreign.routes.push('nobody');
  rig.respond(foreign);
  assert.deepEqual(client.take(), []);
  assert.deepEqual(rig.take(), []);
});

// ---- disconnects

test('each service that a client asked is told once when it goes, as it was asked', () => {
  const rig = new Rig();
  const [client, other] = [rig.client('a'), rig.client('b')];
  other.ask('elsewhere.x');
  client.ask('x.one', { some: 'payload' }, { matchtag: 5 });
  client.ask('x.two', undefined, { matchtag: 6 });
  client.ask('x.one', undefined, { nodeid: 3 });
  client.ask('x.one', undefined, { nodeid: 3, flags: Flag.upstream });
  client.ask('job-manager.plugin.query', undefined, { flags: Flag.streaming });
  client.ask('log.append', undefined, { flags: Flag.noresponse });
  rig.take();
  client.leave();
  const told = rig.take();
  assert.deepEqual(topics(told), ['x.disconnect', 'x.disconnect', 'x.disconnect', 'job-manager.plugin.disconnect']);
  for (const request of told) {
    assert.deepEqual(request.routes.ids(), ['a']);
    assert.equal(request.wantsResponse, false);
    assert.equal(request.hasPayload, false);
    assert.equal(request.isStreaming, false);
  }
  assert.deepEqual(
    told.map(({ nodeid, matchtag, flags }) => [nodeid, matchtag, flags & Flag.upstream]),
    [
      [0xffffffff, 5, 0],
      [3, 1, 0],
      [3, 1, Flag.upstream],
      [0xffffffff, 1, 0],
    ],
  );
  client.leave();
  assert.deepEqual(rig.take(), [], 'it goes only once');
});

// ---- events

test('a prefix is subscribed to upstream once, for its first subscriber, and ended with its last', () => {
  const rig = new Rig();
  const [a, b] = [rig.client('a'), rig.client('b')];
  a.ask('event.subscribe', { topic: 'job' });
  b.ask('event.subscribe', { topic: 'job' });
  const request = rig.takeOne('event.subscribe');
  assert.ok(request.routes.isEmpty);
  assert.deepEqual(request.json, { topic: 'job' });
  assert.deepEqual([a.take(), b.take()], [[], []], 'both wait for the broker');
  rig.respond(request);
  assert.deepEqual([a.take(), b.take()], [[['event.subscribe', 0]], [['event.subscribe', 0]]]);
  a.ask('event.subscribe', { topic: 'job' });
  assert.deepEqual(a.take(), [['event.subscribe', 0]]);
  rig.event('job.new');
  rig.event('kvs.setroot');
  assert.deepEqual([a.take(), b.take()], [[['job.new', 0]], [['job.new', 0]]]);

  b.ask('event.unsubscribe', { topic: 'job' });
  a.ask('event.unsubscribe', { topic: 'job' });
  assert.deepEqual([a.take(), b.take()], [[['event.unsubscribe', 0]], [['event.unsubscribe', 0]]]);
  assert.deepEqual(rig.take(), [], 'there is still one');
  rig.event('job.old');
  assert.deepEqual([a.take(), b.take()], [[['job.old', 0]], []]);
  a.ask('event.unsubscribe', { topic: 'job' });
  rig.respond(rig.takeOne('event.unsubscribe'));
  assert.deepEqual(a.take(), [['event.unsubscribe', 0]]);
});

test('an event comes once, however many of its prefixes a client subscribed to', () => {
  const rig = new Rig();
  const client = rig.client('a');
  for (const topic of ['', 'a', 'a.b']) client.ask('event.subscribe', { topic });
  client.take();
  rig.event('a.b.c');
  assert.deepEqual(client.take(), [['a.b.c', 0]]);
});

test('subscriptions of a client that goes are ended when nobody else has them', () => {
  const rig = new Rig();
  const [a, b] = [rig.client('a'), rig.client('b')];
  a.ask('event.subscribe', { topic: 'both' });
  a.ask('event.subscribe', { topic: 'mine' });
  a.ask('event.subscribe', { topic: 'mine' });
  b.ask('event.subscribe', { topic: 'both' });
  rig.take();
  a.leave();
  assert.deepEqual(rig.takeOne('event.unsubscribe').json, { topic: 'mine' });
  b.leave();
  assert.deepEqual(rig.takeOne('event.unsubscribe').json, { topic: 'both' });
});

test('a subscription that the broker refuses is refused to all who wait, and may be tried again', () => {
  const rig = new Rig();
  const [a, b] = [rig.client('a'), rig.client('b')];
  a.ask('event.subscribe', { topic: 't' });
  b.ask('event.subscribe', { topic: 't' });
  rig.refuse(rig.takeOne('event.subscribe'), 'EPERM');
  assert.deepEqual([a.take(), b.take()], [[['event.subscribe', errno.EPERM]], [['event.subscribe', errno.EPERM]]]);
  rig.event('t');
  assert.deepEqual(a.take(), []);
  a.ask('event.subscribe', { topic: 't' });
  rig.takeOne('event.subscribe');
});

test('who subscribes while the last one leaves gets a subscription of its own', () => {
  const rig = new Rig();
  const [a, b] = [rig.client('a'), rig.client('b')];
  a.ask('event.subscribe', { topic: 't' });
  a.ask('event.unsubscribe', { topic: 't' });
  b.ask('event.subscribe', { topic: 't' });
  const [first, ended, second] = rig.take();
  rig.respond(first!);
  assert.deepEqual(a.take(), [['event.subscribe', 0]]);
  assert.deepEqual(b.take(), [], 'what came was not its answer');
  rig.respond(ended!);
  rig.respond(second!);
  assert.deepEqual(b.take(), [['event.subscribe', 0]]);
});

for (const [what, topic, payload, code] of [
  ['a subscription without payload', 'event.subscribe', undefined, 'EPROTO'],
  ['a subscription to no topic', 'event.subscribe', { topic: 1 }, 'EPROTO'],
  ['the end of a subscription that is not there', 'event.unsubscribe', { topic: 't' }, 'ENOENT'],
  ['a service without name', 'service.add', {}, 'EPROTO'],
  ['the removal of a service that is not there', 'service.remove', { service: 's' }, 'ENOENT'],
] as const)
  test(`${what} is refused without asking the broker`, () => {
    const rig = new Rig();
    const client = rig.client('a');
    client.ask(topic, payload);
    assert.deepEqual(client.take(), [[topic, errno[code]]]);
    assert.deepEqual(rig.take(), []);
  });

test('an event of a client goes to the broker', () => {
  const rig = new Rig();
  const client = rig.client('a');
  client.send(Message.event('mine', { x: 1 }, Flag.private));
  const event = rig.takeOne('mine');
  assert.deepEqual([event.type, event.json, event.flags & Flag.private], [MessageType.event, { x: 1 }, Flag.private]);
});

// ---- services

test('a name belongs to one client, who gets its requests and whose answers go back', () => {
  const rig = new Rig();
  const [a, b] = [rig.client('a'), rig.client('b')];
  a.ask('service.add', { service: 's' });
  b.ask('service.add', { service: 's' });
  assert.deepEqual(b.take(), [['service.add', errno.EEXIST]]);
  const add = rig.takeOne('service.add');
  assert.deepEqual([add.userid, add.rolemask, add.routes.isEmpty], [USER, Role.none, true]);
  rig.respond(add);
  const request = Message.request({ topic: 's.method', matchtag: 4 });
  request.routes.push('far');
  request.routes.push('broker');
  rig.router.receiveUpstream(travel(request));
  const [answered, served] = a.got;
  assert.deepEqual(a.take(), [
    ['service.add', 0],
    ['s.method', 0],
  ]);
  assert.deepEqual([answered!.userid, answered!.rolemask], [USERID_UNKNOWN, Role.owner]);
  b.send(served!.respond({ by: 'b' }, owner));
  assert.deepEqual(rig.take(), [], 'nobody else can answer');
  a.send(served!.respond({ by: 'a' }, owner));
  const response = rig.takeOne('s.method');
  assert.deepEqual([response.json, response.routes.ids()], [{ by: 'a' }, ['far', 'broker']]);
  a.send(served!.respond({ by: 'a' }, owner));
  assert.deepEqual(rig.take(), [], 'nor twice');

  b.ask('service.remove', { service: 's' });
  assert.deepEqual(b.take(), [['service.remove', errno.ENOENT]]);
  a.ask('service.remove', { service: 's' });
  rig.respond(rig.takeOne('service.remove'));
  assert.deepEqual(a.take(), [['service.remove', 0]]);
  b.ask('service.add', { service: 's' });
  rig.takeOne('service.add');
});

test('a name that the broker refuses is free', () => {
  const rig = new Rig();
  const client = rig.client('a');
  for (let i = 0; i < 2; i++) {
    client.ask('service.add', { service: 'broker' });
    rig.refuse(rig.takeOne('service.add'), 'EEXIST');
    assert.deepEqual(client.take(), [['service.add', errno.EEXIST]]);
  }
});

test('a request right behind the answer to a registration finds the client', () => {
  const rig = new Rig();
  const client = rig.client('a');
  client.ask('service.add', { service: 's' });
  rig.respond(rig.takeOne('service.add'));
  rig.router.receiveUpstream(travel(Message.request({ topic: 's.x', matchtag: 1 })));
  assert.deepEqual(client.take(), [
    ['service.add', 0],
    ['s.x', 0],
  ]);
});

test('when a client goes, its names are given back and what it was asked fails with ENOSYS', () => {
  const rig = new Rig();
  const client = rig.client('a');
  client.ask('service.add', { service: 's' });
  client.ask('service.add', { service: 'adding' });
  rig.respond(rig.take()[0]!);
  for (const matchtag of [1, 2]) {
    const request = Message.request({ topic: 's.x', matchtag, payload: { large: true } });
    request.routes.push('asker');
    rig.router.receiveUpstream(travel(request));
  }
  client.leave();
  const sent = rig.take();
  assert.deepEqual(topics(sent), ['service.remove', 'service.remove', 's.x', 's.x']);
  for (const response of sent.slice(2)) {
    assert.equal(response.errnum, errno.ENOSYS);
    assert.deepEqual(response.routes.ids(), ['asker']);
  }
  rig.router.receiveUpstream(travel(Message.request({ topic: 's.x', matchtag: 3 })));
  assert.equal(rig.takeOne('s.x').errnum, errno.ENOSYS, 'nobody answers for it');
});

// ---- what makes no sense

test('messages that make no sense are dropped', () => {
  const rig = new Rig();
  const client = rig.client('a');
  client.send(Message.control(1, 2));
  client.send(new Message(MessageType.request, 0, owner, 0, 1, undefined, Message.control(0, 0).routes));
  client.send(Message.request({ topic: 'x.y', matchtag: 1 }).respond({}, owner));
  rig.router.receiveUpstream(Message.control(1, 2));
  rig.router.receiveUpstream(travel(Message.request({ topic: 'x.y', matchtag: 77 }).respond({}, owner)));
  assert.deepEqual([rig.take(), client.take()], [[], []]);
});

// ---- a connection that is lost

test('when the connection is lost, requests under way fail with ECONNRESET', async () => {
  const rig = new Rig({ tracks: true });
  const [a, b] = [rig.client('a'), rig.client('b')];
  a.ask('x.answered', undefined, { matchtag: 1 });
  rig.respond(rig.takeOne('x.answered'));
  a.take();
  a.ask('x.y', undefined, { matchtag: 1 });
  b.ask('x.y', undefined, { matchtag: 1, flags: Flag.streaming });
  b.ask('event.subscribe', { topic: 't' });
  const own = assert.rejects(rig.router.rpc.rpc('attr.get', { name: 'version' }), { code: 'ECONNRESET' });
  rig.router.lost();
  assert.deepEqual(a.take(), [['x.y', errno.ECONNRESET]]);
  assert.deepEqual(b.take(), [
    ['event.subscribe', errno.ECONNRESET],
    ['x.y', errno.ECONNRESET],
  ]);
  await own;
  b.ask('event.subscribe', { topic: 't' });
  assert.deepEqual(b.take(), [['event.subscribe', errno.ECONNRESET]], 'and so do those that come before the next one');
});

test('over a new connection subscriptions and services are set up again', async () => {
  const rig = new Rig({ tracks: true });
  const client = rig.client('a');
  client.ask('event.subscribe', { topic: 't' });
  client.ask('service.add', { service: 's' });
  for (const request of rig.take()) rig.respond(request);
  rig.router.lost();
  rig.router.resume();
  const renewed = rig.router.renew();
  const again = rig.take();
  assert.deepEqual(
    again.map(({ topic, json }) => [topic, json]),
    [
      ['event.subscribe', { topic: 't' }],
      ['service.add', { service: 's' }],
    ],
  );
  for (const request of again) rig.respond(request);
  await renewed;
  client.take();
  rig.event('t');
  assert.deepEqual(client.take(), [['t', 0]]);

  rig.router.lost();
  rig.router.resume();
  const failed = assert.rejects(rig.router.renew(), { code: 'EEXIST' });
  rig.refuse(rig.take()[1]!, 'EEXIST');
  await failed;
});
