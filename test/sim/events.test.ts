// Events reach all who want them once, in order of their sequence numbers, and in order with what rank 0 answers.

import assert from 'node:assert/strict';
import type { ModuleDefinition } from '../../core/broker/service.ts';
import { LATER } from '../../core/handle/methods.ts';
import { Flag, Message, MessageType } from '../../core/message/message.ts';
import { checkAnswers, checkNothingLeft, checkSequence } from './checks.ts';
import { guest, owner, type SimulatedClient } from './client.ts';
import type { SeededRandom } from './random.ts';
import { forSeeds, randomShape } from './seeds.ts';
import { Simulation } from './simulation.ts';

const topics = ['a', 'a.b', 'a.bc', 'ab', 'b.c', 'heartbeat.x'];
const prefixes = ['', 'a', 'a.', 'a.b', 'ab', 'b', 'nothing'];

interface Watcher {
  readonly client: SimulatedClient;
  readonly prefix: string;
}

async function watch(sim: Simulation, random: SeededRandom): Promise<Watcher[]> {
  const watchers: Watcher[] = [];
  for (let i = random.integer(1, 5); i > 0; i--) {
    const client = sim.connect(random.integer(0, sim.size - 1), random.chance(0.8) ? owner : guest());
    const prefix = random.pick(prefixes);
    await client.subscribe(prefix);
    watchers.push({ client, prefix });
  }
  return watchers;
}

function publishSoon(sim: Simulation, random: SeededRandom, client: SimulatedClient): void {
  sim.soon(() => {
    if (!client.isConnected) return;
    const topic = random.pick(topics);
    const flags = random.chance(0.2) ? Flag.private : 0;
    if (random.chance(0.5)) client.call('event.publish', { topic, flags }, { nodeid: 0 });
    else client.send(Message.event(topic, undefined, flags));
  });
}

async function populate(random: SeededRandom, seed: number, modules = {}): Promise<Simulation> {
  const sim = new Simulation({ seed, ...randomShape(random), modules });
  await sim.start();
  await sim.settle();
  return sim;
}

/** The events that `reference`, who gets all, got since a watcher subscribed, as far as the watcher may have them. */
function expectedEvents(reference: SimulatedClient, { client, prefix }: Watcher): number[] {
  return reference.events
    .filter(({ topic, flags, userid }) => {
      const isVisible = !(flags & Flag.private) || client.credentials === owner || userid === client.credentials.userid;
      return isVisible && topic!.startsWith(prefix);
    })
    .map(({ sequence }) => sequence);
}

const sequences = (client: SimulatedClient) => client.events.map(({ sequence }) => sequence);

forSeeds('subscribers get what they want, all of it, once and in order', 120, async (random, seed) => {
  const sim = await populate(random, seed);
  const watchers = await watch(sim, random);
  const reference = sim.connect(0);
  await reference.subscribe('');
  for (let i = random.integer(1, 4); i > 0; i--) {
    const client = sim.connect(random.integer(0, sim.size - 1), random.chance(0.7) ? owner : guest());
    for (let j = random.integer(1, 8); j > 0; j--) publishSoon(sim, random, client);
  }
  await sim.advance(0.1);
  await sim.settle();
  checkAnswers(sim);
  checkSequence(reference, true);
  for (const watcher of watchers) {
    const first = reference.events[0]?.sequence ?? Number.POSITIVE_INFINITY;
    const got = sequences(watcher.client).filter((sequence) => sequence >= first);
    assert.deepEqual(got, expectedEvents(reference, watcher), `a client of rank ${watcher.client.rank}`);
  }
  await sim.stop();
  await checkNothingLeft(sim);
});

forSeeds('who is cut off gets no more events, and missed none before', 60, async (random, seed) => {
  const sim = await populate(random, seed);
  if (sim.size === 1) return;
  const reference = sim.connect(0);
  await reference.subscribe('');
  const clients = [...sim.ranks.keys()].map((rank) => sim.connect(rank));
  for (const client of clients) await client.subscribe('');
  for (const client of clients) for (let i = 0; i < 3; i++) publishSoon(sim, random, client);
  const cut = random.integer(1, sim.size - 1);
  const parent = sim.connect(sim.topology.parent(cut));
  sim.soon(() => parent.call('overlay.disconnect-subtree', { rank: cut }));
  await sim.advance(0.2);
  await sim.settle();
  const all = sequences(reference);
  const below = sim.topology.subtree(cut);
  for (const client of clients) {
    const got = sequences(client);
    checkSequence(client, true);
    if (!below.includes(client.rank)) assert.equal(got.at(-1), all.at(-1), `rank ${client.rank} is not cut off`);
  }
  const last = clients.map(({ events }) => events.length);
  await reference.rpc('event.publish', { topic: 'late', flags: 0 });
  await sim.settle();
  for (const [index, client] of clients.entries())
    if (below.includes(client.rank)) assert.equal(client.events.length, last[index], `rank ${client.rank} is cut off`);
});

/** Numbers all that it sends, responses and events; `publishFirst` tells in which order a request gets them. */
const numbering: ModuleDefinition = {
  start(context) {
    let mark = 0;
    const publish = () => void context.publish('numbering.event', { mark: ++mark });
    return {
      methods: {
        next: {
          handler(request) {
            const { publishFirst } = request.unpack({ publishFirst: 'b' });
            if (publishFirst) publish();
            request.respond({ mark: ++mark });
            if (!publishFirst) publish();
            return LATER;
          },
        },
      },
    };
  },
};

forSeeds('events and responses of rank 0 come in the order in which they were sent', 120, async (random, seed) => {
  const sim = await populate(random, seed, { numbering });
  await sim.connect(0).rpc('module.load', { path: 'numbering', args: [] });
  const clients = Array.from({ length: 5 }, () => sim.connect(random.integer(0, sim.size - 1)));
  for (const client of clients) await client.subscribe('numbering.');
  for (const client of clients) {
    for (let i = 0; i < 6; i++)
      sim.soon(() => client.call('numbering.next', { publishFirst: random.chance(0.5) }, { nodeid: 0 }));
  }
  await sim.advance(0.1);
  await sim.settle();
  for (const { rank, received } of clients) {
    const marks = received
      .filter(({ type, topic }) => type === MessageType.event || topic === 'numbering.next')
      .map((message) => message.unpack({ mark: 'i' }).mark);
    assert.equal(marks.length, 5 * 6 + 6);
    assert.deepEqual(
      marks,
      marks.toSorted((a, b) => a - b),
      `a client of rank ${rank}`,
    );
  }
});
