// What ranks of one thread ask of a service that rank 0 has for all of them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Attributes } from '../../../core/broker/attributes.ts';
import { Broker } from '../../../core/broker/broker.ts';
import { DirectWays } from '../../../core/broker/direct-ways.ts';
import { EventBus } from '../../../core/broker/event-bus.ts';
import { isForOthers } from '../../../core/broker/relay.ts';
import { errno } from '../../../core/errno.ts';
import { Role } from '../../../core/message/credentials.ts';
import { Message, NODEID_ANY } from '../../../core/message/message.ts';
import { Topology } from '../../../core/overlay/topology.ts';
import { moduleWorld } from '../../module-world.ts';
import { Agenda } from '../../sim/agenda.ts';
import { owner } from '../../sim/client.ts';

const topology = Topology.create('kary:1', 3);

function makeBroker(rank: number, ways?: DirectWays): Broker {
  return new Broker({
    rank,
    size: 3,
    uuid: `broker-${rank}`,
    owner: owner.userid,
    topology,
    attributes: new Attributes(new Map(), []),
    config: {},
    bus: new EventBus(() => {}),
    world: moduleWorld(new Agenda(), `rank ${rank}`),
    internal: { has: () => false, methods: () => ({}) },
    directWays: () => ways,
  });
}

/** Who is at one end of a broker, and what it was sent. */
class End {
  readonly uuid: string;
  readonly #isRelay: boolean;
  readonly rank = 1;
  readonly sent: Message[] = [];
  isOnline = true;
  readonly isStuck = false;

  constructor(uuid: string, isRelay = false) {
    this.uuid = uuid;
    this.#isRelay = isRelay;
  }

  takes(request: Message): boolean {
    return !this.#isRelay || !isForOthers(request);
  }

  send(message: Message): void {
    this.sent.push(message);
  }
}

/** A rank with a client, its relay of `kvs` and its link towards rank 0. */
function follower(rank: number, ways: DirectWays) {
  const broker = makeBroker(rank, ways);
  const [client, relay, link] = [new End(`client-${rank}`), new End('relay', true), new End('link')];
  for (const port of [client, relay]) broker.addPort(port);
  broker.addService('kvs', relay);
  broker.setParent(link);
  const ask = (topic: string, nodeid = NODEID_ANY) =>
    broker.receive(Message.request({ topic, nodeid, matchtag: 1, credentials: owner }), client);
  return { broker, client, relay, link, ask };
}

/** Rank 0 with the service, and two others. */
function instance() {
  const leader = makeBroker(0);
  const service = new End('kvs');
  leader.addPort(service);
  leader.addService('kvs', service);
  const ways = new DirectWays(leader);
  const answer = () => leader.receive(service.sent.shift()!.respond({ n: 1 }, owner), service);
  return { leader, service, answer, other: follower(1, ways), ...follower(2, ways) };
}

for (const [how, nodeid] of [
  ['wherever it is', NODEID_ANY],
  ['at its own rank', 2],
] as const) {
  test(`a service asked for ${how} is asked at rank 0 at once, and answers at once`, () => {
    const { client, relay, link, service, ask, answer } = instance();
    ask('kvs.commit', nodeid);
    assert.deepEqual([service.sent.length, relay.sent.length, link.sent.length], [1, 0, 0]);
    assert.equal(service.sent[0]!.rolemask & Role.local, 0, 'what is local there is not local here');
    assert.deepEqual(service.sent[0]!.routes.ids().at(0), 'client-2');
    answer();
    assert.deepEqual([client.sent.length, client.sent[0]!.json, client.sent[0]!.routes.isEmpty], [1, { n: 1 }, true]);
  });
}

test('what concerns the relay itself it answers', () => {
  const { relay, service, ask } = instance();
  ask('kvs.ping');
  assert.deepEqual([relay.sent.length, service.sent.length], [1, 0]);
});

test('who is cut off gets an error once, and no answer', () => {
  const { broker, client, service, other, ask, answer } = instance();
  ask('kvs.wait-version');
  other.ask('kvs.wait-version');
  broker.cutOff();
  answer();
  answer();
  assert.deepEqual(
    other.client.sent.map(({ errnum }) => errnum),
    [0],
  );
  assert.deepEqual(
    client.sent.map(({ errnum }) => errnum),
    [errno.EHOSTUNREACH],
  );
  assert.equal(service.sent.length, 0);
});

test('a rank that has no parent any more asks nobody', () => {
  const { client, link, service, ask } = instance();
  link.isOnline = false;
  ask('kvs.commit');
  assert.equal(service.sent.length, 0);
  assert.deepEqual(
    client.sent.map(({ errnum }) => errnum),
    [errno.EHOSTUNREACH],
  );
});

test('a service that rank 0 has not is no service', () => {
  const { leader, client, service, ask } = instance();
  leader.removePort(service);
  ask('kvs.commit', 2);
  assert.deepEqual(
    client.sent.map(({ errnum }) => errnum),
    [errno.ENOSYS],
  );
});
