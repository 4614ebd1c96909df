// Instances of any shape start and end: who runs when, with which exit codes, and that nothing is left.

import assert from 'node:assert/strict';
import { checkNothingLeft } from './checks.ts';
import { forSeeds, randomShape } from './seeds.ts';
import { Simulation } from './simulation.ts';

const WHOLE_LIFE = [
  'load-builtins',
  'join',
  'config-sync',
  'init',
  'quorum',
  'run',
  'cleanup',
  'shutdown',
  'finalize',
  'goodbye',
  'unload-builtins',
  'exit',
];

forSeeds('all ranks run, and end in order when the initial program does', 200, async (random, seed) => {
  const code = random.pick([0, 0, 1, 42]);
  const sim = new Simulation({
    seed,
    ...randomShape(random),
    command: ['program'],
    programs: { program: (process) => process.clock.after(random.number(), () => process.exit(code)) },
  });
  await sim.start();
  await sim.ended();
  assert.equal(sim.node.exitCodes.get(0), code);
  for (const rank of sim.ranks.keys()) {
    if (rank > 0) assert.equal(sim.node.exitCodes.get(rank), 0, `rank ${rank}`);
    assert.deepEqual(
      sim.node.history[rank]!.filter((state) => state !== 'cleanup'),
      WHOLE_LIFE.filter((state) => state !== 'cleanup'),
    );
  }
  await checkNothingLeft(sim);
});
