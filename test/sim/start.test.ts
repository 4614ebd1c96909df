// Instances of any shape start and end: who runs when, with which exit codes, and that nothing is left.

import assert from 'node:assert/strict';
import { states } from '../../core/broker/state-machine.ts';
import { checkNothingLeft } from './checks.ts';
import type { Program } from './programs.ts';
import type { SeededRandom } from './random.ts';
import { forSeeds, randomShape } from './seeds.ts';
import { Simulation } from './simulation.ts';

/** A program that ends by itself after some time. */
const after =
  (seconds: number, code: number): Program =>
  (process) =>
    process.clock.after(seconds, () => process.exit(code));

/** The rank that a program runs on. */
const rankOf = (process: Parameters<Program>[0]) => Number(/\d+$/.exec(process.variable('FLUX_URI')!)![0]);

forSeeds('all ranks run, and end in order when the initial program does', 150, async (random, seed) => {
  const code = random.pick([0, 0, 1, 42]);
  const programs = { program: after(random.number(), code) };
  const sim = new Simulation({ seed, ...randomShape(random), command: ['program'], programs });
  await sim.start();
  await sim.ended();
  for (const rank of sim.ranks.keys()) {
    assert.deepEqual(sim.node.history[rank], states, `rank ${rank}`);
    assert.equal(sim.node.exitCodes.get(rank), rank === 0 ? code : 0, `rank ${rank}`);
  }
  await checkNothingLeft(sim);
});

/** The ranks that can join when only some are started: those whose ancestors are started, too. */
function ableToJoin(sim: Simulation, started: readonly number[]): number[] {
  const isAble = (rank: number): boolean => {
    const parent = sim.topology.parent(rank);
    return started.includes(rank) && (parent === undefined || isAble(parent));
  };
  return started.filter(isAble);
}

forSeeds('the initial program starts exactly when there is a quorum', 150, async (random, seed) => {
  const shape = randomShape(random);
  const quorum = random.integer(1, shape.size);
  const sim = new Simulation({ seed, ...shape, attributes: { 'broker.quorum': String(quorum) } });
  const arrived = new Set<number>();
  let arrivedAtRun = 0;
  sim.node.onState = (rank, state) => {
    if (state === 'quorum') arrived.add(rank);
    if (rank === 0 && state === 'run') arrivedAtRun = arrived.size;
  };
  const late = random.sample(
    [...sim.ranks.keys()].filter((rank) => rank > 0),
    random.integer(0, shape.size - 1),
  );
  const started = [...sim.ranks.keys()].filter((rank) => !late.includes(rank));
  sim.startRanks(started);
  await sim.advance(30);
  const able = ableToJoin(sim, started);
  assert.deepEqual(sim.ranksIn(able.length >= quorum ? 'run' : 'quorum'), able, `quorum ${quorum} of ${shape.size}`);
  sim.startRanks(late);
  await sim.when(() => sim.ranksIn('run').length === shape.size, 'all ranks in state run');
  assert.ok(arrivedAtRun >= quorum, `ran with ${arrivedAtRun} of ${quorum} ranks`);
  await sim.stop();
  await checkNothingLeft(sim);
});

forSeeds('a rank whose rc1 fails takes an instance along that does not run yet', 60, async (random, seed) => {
  const shape = randomShape(random);
  const failing = random.sample(
    Array.from({ length: shape.size }, (_, rank) => rank),
    random.integer(1, 2),
  );
  const programs = {
    '/bin/bash': ((process) => {
      const rank = rankOf(process);
      after(random.number(), failing.includes(rank) ? rank + 3 : 0)(process);
    }) as Program,
  };
  const sim = new Simulation({ seed, ...shape, rc1: 'a script', programs });
  sim.startRanks(sim.ranks.keys());
  await sim.ended();
  const codes = [...sim.node.exitCodes.values()].filter((code) => code !== 0);
  assert.ok(
    failing.some((rank) => sim.node.exitCodes.get(0) === rank + 3),
    `exit code ${sim.node.exitCodes.get(0)}`,
  );
  assert.ok(codes.every((code) => failing.some((rank) => code === rank + 3)));
  assert.ok(!sim.node.history[0]!.includes('run'));
  await checkNothingLeft(sim);
});

forSeeds('flux shutdown ends the instance once its client has seen the log', 60, async (random, seed) => {
  const sim = new Simulation({ seed, ...randomShape(random), config: { heartbeat: { period: '1s' } } });
  await sim.start();
  await sim.settle();
  const client = sim.connect(0);
  const shutdown = client.stream('shutdown.start', { loglevel: 7 });
  const end = await sim.until(shutdown.final, 'the end of the log');
  assert.equal(end.error().code, 'ENODATA');
  assert.equal(sim.stateOf(0), 'goodbye');
  assert.ok(shutdown.values.some((value) => /shutdown->finalize/.test(JSON.stringify(value))));
  client.disconnect();
  await sim.ended();
  assert.ok([...sim.node.exitCodes.values()].every((code) => code === 0));
  await checkNothingLeft(sim);
});

/** Ends an instance as somebody does who sends a signal again when nothing happens. */
async function signalUntilEnd(sim: Simulation): Promise<void> {
  const again = () => {
    if (sim.node.exitCodes.has(0)) return;
    sim.ranks[0]!.lifecycle.signal(15);
    sim.agenda.at(sim.agenda.time + 1, again);
  };
  again();
  await sim.ended();
}

function startAtAnyTime(sim: Simulation, random: SeededRandom): void {
  sim.startRanks(sim.ranks.keys(), random.pick([0, 0.01, 0.1, 3]));
}

forSeeds('a signal ends the instance in whatever state it is', 150, async (random, seed) => {
  const programs = { program: () => {}, '/bin/bash': after(random.number(), 0) };
  const scripts = random.chance(0.5) ? { rc1: 'a script', rc3: 'another' } : {};
  const sim = new Simulation({ seed, ...randomShape(random), command: ['program'], programs, ...scripts });
  startAtAnyTime(sim, random);
  await sim.advance(random.pick([0, 0.001, 0.01, 0.1, 1, 5]) * random.number());
  await signalUntilEnd(sim);
  await checkNothingLeft(sim);
});

forSeeds('all ranks end though subtrees are cut off, whenever that is', 150, async (random, seed) => {
  const sim = new Simulation({ seed, ...randomShape(random), attributes: { 'broker.quorum': '1' } });
  startAtAnyTime(sim, random);
  if (sim.size > 1) {
    for (let i = random.integer(1, 3); i > 0; i--) {
      const cut = random.integer(1, sim.size - 1);
      const [rank, topic] = random.pick([
        [sim.topology.parent(cut)!, 'overlay.disconnect-subtree'],
        [cut, 'overlay.disconnect-parent'],
      ] as const);
      sim.soon(() => {
        const client = sim.connect(rank);
        if (client.isConnected) client.call(topic, { rank: cut, reason: 'a test' });
      }, 0.2);
    }
  }
  await sim.advance(5);
  await signalUntilEnd(sim);
  assert.equal(sim.node.exitCodes.get(0), 0);
  await checkNothingLeft(sim);
});
