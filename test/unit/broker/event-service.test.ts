// The service `event` by its messages: publishing and its limits, and who is told.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServiceContext } from '../../../core/broker/service.ts';
import { Flag, Message, MessageType } from '../../../core/message/message.ts';
import { refused } from '../../errors.ts';
import { guest } from '../../sim/client.ts';
import { Simulation } from '../../sim/simulation.ts';

const base64 = (text: string) => Buffer.from(text).toString('base64');

test('the answer to a publisher is the number of the event, which all who subscribed have before it', async () => {
  const sim = await new Simulation({ size: 3 }).start();
  const client = sim.connect();
  const other = sim.connect(2);
  await client.subscribe('a.');
  await other.subscribe('a');
  const first = await client.rpc<{ seq: number }>('event.publish', { topic: 'a.b', flags: 0 });
  const second = await client.rpc('event.publish', { topic: 'a.c', flags: 0, payload: base64('{"x":1}\0') });
  assert.deepEqual(second, { seq: first.seq + 1 });
  const topics = client.received
    .filter(({ topic }) => topic !== 'event.subscribe')
    .map(({ type, topic }) => [type, topic]);
  assert.deepEqual(topics, [
    [MessageType.event, 'a.b'],
    [MessageType.response, 'event.publish'],
    [MessageType.event, 'a.c'],
    [MessageType.response, 'event.publish'],
  ]);
  await sim.settle();
  assert.deepEqual(
    other.events.map(({ topic, sequence, json }) => [topic, sequence, json]),
    [
      ['a.b', first.seq, undefined],
      ['a.c', first.seq + 1, { x: 1 }],
    ],
  );
});

for (const [payload, text] of [
  [{ topic: 'a', flags: 4 }, /flags 4 have more than the private flag/],
  [{ topic: 'a', flags: 33 }, /flags 33/],
  [{ topic: 'a', flags: 0, payload: 'not base64' }, /no base64/],
  [{ topic: 'a', flags: 0, payload: 'YQ' }, /no base64/],
  [{ topic: 'a' }, /'flags' is missing/],
  [{ flags: 0 }, /'topic' is missing/],
  [undefined, /./],
] as const) {
  test(`event.publish ${JSON.stringify(payload)} is refused`, async () => {
    const sim = await new Simulation().start();
    await refused(sim.connect().rpc('event.publish', payload), 'EPROTO', text);
  });
}

test('only rank 0 numbers events', async () => {
  const sim = await new Simulation({ size: 2 }).start();
  const client = sim.connect(1);
  const publish = (nodeid: number) => client.rpc('event.publish', { topic: 'a', flags: 0 }, { nodeid });
  await refused(publish(1), 'EPROTO', /^this service is only available on rank 0$/);
  assert.ok(await publish(0));
});

test('an event with an empty topic goes to those who want everything', async () => {
  const sim = await new Simulation().start();
  const [all, some] = [sim.connect(), sim.connect()];
  await all.subscribe('');
  await some.subscribe('a');
  await sim.connect().rpc('event.publish', { topic: '', flags: 0 });
  await sim.settle();
  assert.deepEqual([all.events.length, some.events.length], [1, 0]);
});

test('an event message is published, with no more than its private flag, and is not answered', async () => {
  const sim = await new Simulation({ size: 2 }).start();
  const watcher = sim.connect(0);
  await watcher.subscribe('');
  const client = sim.connect(1);
  client.send(Message.event('a', { x: 1 }, Flag.private | Flag.streaming | Flag.noresponse));
  await sim.settle();
  const [event] = watcher.events;
  assert.equal(event!.flags & ~(Flag.topic | Flag.payload | Flag.route), Flag.private);
  assert.deepEqual(event!.json, { x: 1 });
  assert.ok(event!.sequence > 0);
  assert.deepEqual(client.received, []);
});

test('private events reach the owner and the guest who published', async () => {
  const sim = await new Simulation({ size: 2 }).start();
  const watchers = [sim.connect(1), sim.connect(1, guest(1000)), sim.connect(1, guest(1001))];
  for (const watcher of watchers) await watcher.subscribe('secret');
  await sim.connect(1, guest(1000)).rpc('event.publish', { topic: 'secret', flags: Flag.private }, { nodeid: 0 });
  await sim.settle();
  assert.deepEqual(
    watchers.map(({ events }) => events.length),
    [1, 1, 0],
  );
});

test('subscribing twice wants unsubscribing twice, and unsubscribing without it is refused', async () => {
  const sim = await new Simulation().start();
  const client = sim.connect();
  const before = sim.node.subscriptionCount(0);
  const unsubscribe = (topic: string) => client.rpc('event.unsubscribe', { topic });
  await refused(unsubscribe('a'), 'ENOENT');
  await client.subscribe('a');
  await client.subscribe('a');
  await unsubscribe('a');
  await sim.connect().rpc('event.publish', { topic: 'a', flags: 0 });
  await sim.settle();
  assert.equal(client.events.length, 1);
  await unsubscribe('a');
  await refused(unsubscribe('a'), 'ENOENT');
  await refused(client.rpc('event.subscribe', {}), 'EPROTO');
  assert.equal(sim.node.subscriptionCount(0), before);
});

test('a guest subscribes through his connection', async () => {
  const sim = await new Simulation().start();
  assert.equal(await sim.connect(0, guest()).subscribe('a'), undefined);
});

test('a module gets events by its subscriptions, and none once it is removed', async () => {
  const got: string[] = [];
  let context!: ServiceContext;
  const listener = {
    start(own: ServiceContext) {
      context = own;
      own.subscribe('a', ({ topic }) => got.push(topic!));
      own.subscribe('a.b', () => got.push('again'));
      return {};
    },
  };
  const sim = await new Simulation({ modules: { listener } }).start();
  const client = sim.connect();
  await client.rpc('module.load', { path: 'listener', args: [] });
  for (const topic of ['a', 'a.b', 'b']) await sim.until(context.publish(topic), 'an event');
  assert.deepEqual(got, ['a', 'a.b', 'again']);
  await client.rpc('module.remove', { name: 'listener' });
  await client.rpc('event.publish', { topic: 'a', flags: 0 });
  await sim.settle();
  assert.equal(got.length, 3);
});

test('a module takes a subscription back, and keeps the others', async () => {
  const got: string[] = [];
  let context!: ServiceContext;
  const [first, second] = ['first', 'second'].map((name) => () => got.push(name));
  const listener = {
    start(own: ServiceContext) {
      context = own;
      own.subscribe('a', first!);
      own.subscribe('a', second!);
      return {};
    },
  };
  const sim = await new Simulation({ modules: { listener } }).start();
  await sim.connect().rpc('module.load', { path: 'listener', args: [] });
  const before = sim.node.subscriptionCount(0);
  for (const topic of ['b', 'a']) context.unsubscribe(topic, first!);
  await sim.until(context.publish('a'), 'an event');
  assert.deepEqual(got, ['second']);
  for (let i = 0; i < 2; i++) context.unsubscribe('a', second!);
  await sim.until(context.publish('a'), 'an event');
  assert.deepEqual(got, ['second']);
  assert.ok(sim.node.subscriptionCount(0) < before);
});
