// Whatever is cut, killed, removed or gone while requests are under way: each has one answer, or one end of its stream.

import type { Payload } from '../../core/message/message.ts';
import { NODEID_ANY } from '../../core/message/message.ts';
import { checkAnswers, checkNothingLeft } from './checks.ts';
import { guest, owner, type SimulatedClient } from './client.ts';
import { echo } from './echo.ts';
import type { SeededRandom } from './random.ts';
import { forSeeds, randomShape } from './seeds.ts';
import { Simulation } from './simulation.ts';

/** Names of the module `echo` on each rank: inside its broker, and apart from it. */
const services = ['here', 'away'];

function randomNodeid(random: SeededRandom, sim: Simulation): number {
  if (random.chance(0.3)) return NODEID_ANY;
  return random.chance(0.05) ? sim.size : random.integer(0, sim.size - 1);
}

/** Requests whose answers may take all of a run. */
function randomRequest(random: SeededRandom, sim: Simulation): [topic: string, payload: Payload, streaming?: boolean] {
  const service = random.pick(services);
  const seconds = 0.02 * random.number();
  switch (random.integer(0, 9)) {
    case 0:
      return ['broker.ping', {}];
    case 1:
      return ['attr.get', { name: 'rank' }];
    case 2:
      return ['nosuch.thing', {}];
    case 3:
      return [`${service}.now`, { text: 'x'.repeat(random.integer(0, 300)) }];
    case 4:
    case 5:
      return [`${service}.later`, { seconds }];
    case 6:
      return [`${service}.stream`, { count: random.integer(0, 4), seconds }, true];
    case 7:
      return [`${service}.never`, {}];
    case 8:
      return ['helper.thing', { seconds }];
    default: {
      const [topic, payload] = ['here.later', { seconds }];
      return [`${service}.relay`, { topic, payload, nodeid: randomNodeid(random, sim) }];
    }
  }
}

function callSoon(sim: Simulation, random: SeededRandom, client: SimulatedClient): void {
  sim.soon(() => {
    if (!client.isConnected) return;
    const [topic, payload, streaming] = randomRequest(random, sim);
    const options = { nodeid: randomNodeid(random, sim) };
    if (streaming) client.stream(topic, payload, options);
    else client.call(topic, payload, options);
  });
}

/** A client that answers for the service `helper` on its rank: at once, after a while, or never. */
function serveHelper(sim: Simulation, random: SeededRandom, client: SimulatedClient): Promise<void> {
  return client.serve('helper', (request) => {
    if (random.chance(0.2)) return;
    sim.soon(() => client.respond(request, {}), 0.02);
  });
}

/** Loads the module of the tests on all ranks that are there. */
async function loadServices(sim: Simulation): Promise<void> {
  for (const rank of sim.ranks.keys())
    for (const name of services) await sim.connect(rank).rpc('module.load', { path: name, args: [] });
}

/** All that never was to be answered fails when the modules go that should have answered. */
async function removeServices(sim: Simulation): Promise<void> {
  for (const { modules } of sim.ranks)
    for (const name of services) if (modules.get(name)) await sim.until(modules.remove(name), `removal of ${name}`);
  for (const client of sim.clients) if (client.services.size) client.disconnect();
  await sim.settle();
}

async function populate(random: SeededRandom, seed: number): Promise<Simulation> {
  const shape = randomShape(random);
  const attributes = { 'broker.module-nopanic': '1' };
  const sim = new Simulation({ seed, ...shape, attributes, modules: { here: echo }, remoteModules: { away: echo } });
  await sim.start();
  await sim.settle();
  await loadServices(sim);
  for (const rank of random.sample([...sim.ranks.keys()], 2)) await serveHelper(sim, random, sim.connect(rank));
  for (let i = random.integer(1, 4); i > 0; i--) {
    const client = sim.connect(random.integer(0, sim.size - 1), random.chance(0.8) ? owner : guest());
    for (let j = random.integer(1, 12); j > 0; j--) callSoon(sim, random, client);
  }
  return sim;
}

async function finish(sim: Simulation): Promise<void> {
  await sim.advance(0.1);
  await sim.settle();
  await removeServices(sim);
  checkAnswers(sim);
  if (sim.node.exitCodes.size < sim.size) await sim.stop();
  await checkNothingLeft(sim);
}

forSeeds('every request is answered once when nothing goes wrong', 100, async (random, seed) => {
  await finish(await populate(random, seed));
});

/** A new client of a rank asks one thing, if it is let in. */
function ask(sim: Simulation, rank: number, topic: string, payload: Payload): void {
  const client = sim.connect(rank);
  if (client.isConnected) client.call(topic, payload);
}

type Fault = (sim: Simulation, random: SeededRandom) => void;

const faults: Readonly<Record<string, Fault>> = {
  'a parent cuts a child off'(sim, random) {
    const child = random.integer(1, sim.size - 1);
    ask(sim, sim.topology.parent(child)!, 'overlay.disconnect-subtree', { rank: child });
  },
  'a child gives its parent up'(sim, random) {
    ask(sim, random.integer(1, sim.size - 1), 'overlay.disconnect-parent', { reason: 'a test' });
  },
  'a link breaks, and both its ends find out'(sim, random) {
    const child = random.integer(1, sim.size - 1);
    const parent = sim.topology.parent(child)!;
    sim.sever(parent, child);
    sim.soon(() => ask(sim, parent, 'overlay.disconnect-subtree', { rank: child }));
    sim.soon(() => ask(sim, child, 'overlay.disconnect-parent', { reason: 'a test' }));
  },
  'a module dies'(sim, random) {
    sim.remoteModules.kill(random.integer(0, sim.size - 1), 'away');
  },
  'a module is removed'(sim, random) {
    ask(sim, random.integer(0, sim.size - 1), 'module.remove', { name: random.pick(services) });
  },
  'a module is removed by force'(sim, random) {
    ask(sim, random.integer(0, sim.size - 1), 'module.remove', { name: 'away', cancel: true });
  },
  'a client goes'(sim, random) {
    random.pick(sim.clients).disconnect();
  },
  'a client comes'(sim, random) {
    const client = sim.connect(random.integer(0, sim.size - 1));
    for (let i = 0; i < 5; i++) callSoon(sim, random, client);
  },
};

for (const [name, fault] of Object.entries(faults)) {
  forSeeds(`every request is answered once when ${name}`, 60, async (random, seed) => {
    const sim = await populate(random, seed);
    if (sim.size > 1) for (let i = 0; i < 2; i++) sim.soon(() => fault(sim, random));
    await finish(sim);
  });
}

forSeeds('every request is answered once whatever goes wrong', 200, async (random, seed) => {
  const sim = await populate(random, seed);
  const all = Object.values(faults);
  if (sim.size > 1) for (let i = random.integer(1, 6); i > 0; i--) sim.soon(() => random.pick(all)(sim, random));
  await finish(sim);
});
