// Who gets an event: by prefix, however often he subscribed, and whether he may see it; against a slow list.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { EventBus, type Subscriber } from '../../../core/broker/event-bus.ts';
import { type Credentials, Role } from '../../../core/message/credentials.ts';
import { Flag, Message } from '../../../core/message/message.ts';

class Listener implements Subscriber {
  readonly credentials: Credentials;
  isOnline = true;
  readonly events: Message[] = [];

  constructor(credentials: Credentials = { userid: 0, rolemask: Role.owner }) {
    this.credentials = credentials;
  }

  deliver(event: Message): void {
    this.events.push(event);
  }

  get topics(): (string | undefined)[] {
    return this.events.map(({ topic }) => topic);
  }
}

const event = (topic: string, flags = 0, userid = 0) =>
  Message.event(topic, undefined, flags, { userid, rolemask: Role.user });

test('events are numbered from 1, and go to the other threads with their number', () => {
  const broadcast: number[] = [];
  const bus = new EventBus(({ sequence }) => broadcast.push(sequence));
  assert.deepEqual([bus.publish(event('a')), bus.publish(event('b')), bus.publish(event('c'))], [1, 2, 3]);
  assert.deepEqual(broadcast, [1, 2, 3]);
});

test('an event that another thread numbered is delivered and not sent on', () => {
  const bus = new EventBus(() => assert.fail('sent on'));
  const listener = new Listener();
  bus.subscribe('', listener);
  const numbered = event('a');
  numbered.word1 = 17;
  bus.deliver(numbered);
  assert.deepEqual(
    listener.events.map(({ sequence }) => sequence),
    [17],
  );
});

for (const [prefix, topic, matches] of [
  ['', 'a.b', true],
  ['', '', true],
  ['a', 'a', true],
  ['a', 'ab', true],
  ['a.', 'a.b', true],
  ['a.', 'a', false],
  ['a.b', 'a.bc', true],
  ['a.b', 'a', false],
  ['b', 'a.b', false],
  ['a.*', 'a.b', false],
] as const) {
  test(`'${prefix}' ${matches ? 'matches' : 'does not match'} '${topic}'`, () => {
    const bus = new EventBus(() => {});
    const listener = new Listener();
    bus.subscribe(prefix, listener);
    bus.publish(event(topic));
    assert.equal(listener.events.length, matches ? 1 : 0);
  });
}

test('who subscribes twice gets an event once, and has to unsubscribe twice', () => {
  const bus = new EventBus(() => {});
  const listener = new Listener();
  bus.subscribe('a', listener);
  bus.subscribe('a', listener);
  bus.subscribe('', listener);
  bus.publish(event('a'));
  assert.equal(listener.events.length, 1);
  assert.equal(bus.unsubscribe('', listener), true);
  assert.equal(bus.unsubscribe('a', listener), true);
  bus.publish(event('a'));
  assert.equal(listener.events.length, 2);
  assert.equal(bus.unsubscribe('a', listener), true);
  assert.equal(bus.unsubscribe('a', listener), false);
  assert.equal(bus.unsubscribe('never', listener), false);
  bus.publish(event('a'));
  assert.equal(listener.events.length, 2);
});

test('who is gone gets nothing, however often he had subscribed, and can come back', () => {
  const bus = new EventBus(() => {});
  const listener = new Listener();
  for (const prefix of ['a', 'a', 'b', '']) bus.subscribe(prefix, listener);
  bus.remove(listener);
  bus.publish(event('a'));
  assert.deepEqual(listener.topics, []);
  assert.equal(bus.unsubscribe('a', listener), false);
  bus.subscribe('a', listener);
  bus.publish(event('a'));
  assert.deepEqual(listener.topics, ['a']);
});

test('who is cut off gets nothing', () => {
  const bus = new EventBus(() => {});
  const listener = new Listener();
  bus.subscribe('', listener);
  listener.isOnline = false;
  bus.publish(event('a'));
  listener.isOnline = true;
  bus.publish(event('b'));
  assert.deepEqual(listener.topics, ['b']);
});

test('private events reach the owner and the one who published', () => {
  const bus = new EventBus(() => {});
  const owner = new Listener();
  const publisher = new Listener({ userid: 1000, rolemask: Role.user });
  const other = new Listener({ userid: 1001, rolemask: Role.user });
  for (const listener of [owner, publisher, other]) bus.subscribe('', listener);
  bus.publish(event('secret', Flag.private, 1000));
  bus.publish(event('public', 0, 1000));
  assert.deepEqual(owner.topics, ['secret', 'public']);
  assert.deepEqual(publisher.topics, ['secret', 'public']);
  assert.deepEqual(other.topics, ['public']);
});

const text = fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 4 });
const who = fc.nat(3);
const step = fc.oneof(
  fc.record({ act: fc.constant('subscribe' as const), who, topic: text }),
  fc.record({ act: fc.constant('unsubscribe' as const), who, topic: text }),
  fc.record({ act: fc.constant('remove' as const), who, topic: fc.constant('') }),
  fc.record({ act: fc.constant('publish' as const), who, topic: text }),
);

test('any course of subscriptions and events is as a list of subscriptions would have it', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
      const bus = new EventBus(() => {});
      const listeners = Array.from({ length: 4 }, () => new Listener());
      let model: { who: number; topic: string }[] = [];
      const expected = listeners.map((): string[] => []);
      for (const { act, who, topic } of steps) {
        const listener = listeners[who]!;
        if (act === 'subscribe') {
          bus.subscribe(topic, listener);
          model.push({ who, topic });
        } else if (act === 'unsubscribe') {
          const found = model.findIndex((entry) => entry.who === who && entry.topic === topic);
          assert.equal(bus.unsubscribe(topic, listener), found >= 0);
          if (found >= 0) model.splice(found, 1);
        } else if (act === 'remove') {
          bus.remove(listener);
          model = model.filter((entry) => entry.who !== who);
        } else {
          bus.publish(event(topic));
          for (const [index, list] of expected.entries())
            if (model.some((entry) => entry.who === index && topic.startsWith(entry.topic))) list.push(topic);
        }
      }
      assert.deepEqual(
        listeners.map(({ topics }) => topics),
        expected,
      );
    }),
    { numRuns: 300 },
  );
});
