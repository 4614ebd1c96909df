// The modules that a broker loads by itself: the usual ones, and what the configuration and the environment change.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkNothingLeft } from '../../sim/checks.ts';
import { echo } from '../../sim/echo.ts';
import { Simulation, type SimulationOptions } from '../../sim/simulation.ts';

const jobServices = ['job-exec', 'job-info', 'job-ingest', 'job-list', 'job-manager'];

async function loaded(sim: Simulation, rank: number): Promise<string[]> {
  const { mods } = await sim.connect(rank).rpc<{ mods: { name: string }[] }>('module.list');
  return mods.map(({ name }) => name);
}

const rows: readonly {
  what: string;
  options: SimulationOptions;
  has: readonly [rank: number, ...names: string[]][];
  hasNot: readonly [rank: number, ...names: string[]][];
}[] = [
  {
    what: 'nothing',
    options: {},
    has: [
      [0, ...jobServices, 'cron', 'sched-simple', 'resource'],
      [1, 'job-info', 'job-ingest', 'resource'],
    ],
    hasNot: [
      [0, 'barrier', 'sched-backfill'],
      [1, 'job-manager', 'job-list', 'job-exec', 'sched-simple', 'cron'],
    ],
  },
  {
    what: 'another scheduler',
    options: { config: { modules: { alternatives: { sched: 'sched-backfill', feasibility: 'sched-backfill' } } } },
    has: [[0, 'sched-backfill']],
    hasNot: [[0, 'sched-simple']],
  },
  {
    what: 'ranks, arguments and requirements of modules',
    options: {
      modules: { echo },
      config: {
        modules: {
          modules: [{ name: 'mirror', module: 'echo', ranks: '>0' }],
          heartbeat: { args: ['period=5s'], requires: ['mirror'] },
          cron: { disabled: true },
        },
      },
    },
    has: [
      [0, 'heartbeat'],
      [1, 'mirror'],
    ],
    hasNot: [
      [0, 'cron', 'mirror'],
      [1, 'echo'],
    ],
  },
  {
    what: 'FLUX_MODPROBE_DISABLE',
    options: { environment: { FLUX_MODPROBE_DISABLE: 'sched,job-exec,job-info' } },
    has: [[0, 'content', 'job-manager']],
    hasNot: [
      [0, 'sched-simple', 'job-exec', 'job-info'],
      [1, 'job-info'],
    ],
  },
];
for (const { what, options, has, hasNot } of rows) {
  test(`modules are loaded as ${what} says, each once, and nothing is left of them`, async () => {
    const sim = await new Simulation({ size: 2, ...options }).start();
    for (const [rank, ...names] of has) {
      const there = await loaded(sim, rank);
      assert.deepEqual(
        names.filter((name) => !there.includes(name)),
        [],
        `missing on rank ${rank}`,
      );
      assert.equal(new Set(there).size, there.length);
    }
    for (const [rank, ...names] of hasNot) {
      const there = await loaded(sim, rank);
      assert.deepEqual(
        names.filter((name) => there.includes(name)),
        [],
        `there on rank ${rank}`,
      );
    }
    for (const client of sim.clients) client.disconnect();
    await sim.stop();
    await checkNothingLeft(sim);
  });
}

for (const [what, options, text] of [
  ['[modules]', { config: { modules: { nosuch: { args: [] } } } }, /there is no module 'nosuch' to change/],
  ['FLUX_MODPROBE_DISABLE', { environment: { FLUX_MODPROBE_DISABLE: 'nosuch' } }, /there is no module nosuch/],
] as const) {
  test(`an instance does not run when ${what} is wrong`, async () => {
    const sim = new Simulation(options);
    sim.startRanks([0]);
    await sim.ended();
    assert.equal(sim.node.exitCodes.get(0), 1);
    assert.ok(
      sim.node.stderr.some((line) => text.test(line.text)),
      JSON.stringify(sim.node.stderr),
    );
    await checkNothingLeft(sim);
  });
}
