// Ranks join and leave groups while subtrees are cut off and clients go: rank 0 knows who is in them in the end.

import assert from 'node:assert/strict';
import { IdSet } from '../../core/formats/idset.ts';
import { checkNothingLeft } from './checks.ts';
import type { SimulatedClient } from './client.ts';
import { forSeeds, randomShape } from './seeds.ts';
import { Simulation } from './simulation.ts';

const names = ['g', 'h'];

async function members(client: SimulatedClient, name: string): Promise<string> {
  return (await client.rpc<{ members: string }>('groups.get', { name })).members;
}

forSeeds('rank 0 knows the members of groups', 150, async (random, seed) => {
  const sim = new Simulation({ seed, ...randomShape(random) });
  await sim.start();
  await sim.settle();
  const watcher = sim.connect(0);
  const watches = names.map((name) => watcher.stream('groups.get', { name }));

  // Who is in a group: the client that joined it for its rank, by group and rank. One client of each rank, so that the
  // order of its answers is that of the changes.
  const joined = new Map<string, SimulatedClient>();
  const clients = random.sample([...sim.ranks.keys()], 10).map((rank) => sim.connect(rank));
  for (const client of clients) {
    for (let i = random.integer(1, 6); i > 0; i--) {
      const name = random.pick(names);
      const method = random.pick(['join', 'join', 'leave']);
      sim.soon(() => {
        if (!client.isConnected) return;
        const call = client.call(`groups.${method}`, { name });
        void call.final.then(({ errnum }) => {
          if (errnum) return;
          if (method === 'join') joined.set(`${name} ${client.rank}`, client);
          else joined.delete(`${name} ${client.rank}`);
        });
      });
    }
    if (random.chance(0.3)) sim.soon(() => client.disconnect());
  }
  const gone = new Set<number>();
  if (sim.size > 1 && random.chance(0.5)) {
    const cut = random.integer(1, sim.size - 1);
    for (const rank of sim.topology.subtree(cut)) gone.add(rank);
    const parent = sim.connect(sim.topology.parent(cut));
    sim.soon(() => parent.call('overlay.disconnect-subtree', { rank: cut }));
  }
  await sim.advance(0.1);
  await sim.settle();

  for (const [index, name] of names.entries()) {
    const expected = [...joined]
      .filter(([key, client]) => key.startsWith(`${name} `) && client.isConnected && !gone.has(client.rank))
      .map(([, { rank }]) => rank);
    const text = IdSet.from(expected).encode();
    assert.equal(await members(watcher, name), text, `group ${name}`);
    assert.deepEqual(watches[index]!.values.at(-1), { members: text }, `what a watcher knows of group ${name}`);
  }
  const online = IdSet.from([...sim.ranks.keys()].filter((rank) => !gone.has(rank))).encode();
  assert.equal(await members(watcher, 'broker.online'), online);
  await sim.stop();
  await checkNothingLeft(sim);
});
