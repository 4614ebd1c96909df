/** Runs faulty instances of several processes for as long as one likes: `npm run sim -- --seeds=N [--seed=S]`. */

import process from 'node:process';
import { parseArgs } from 'node:util';
import { drawPlan, type Plan, runPlan } from './faulty-run.ts';
import { newSeed } from './seeds.ts';
import { shrink } from './shrink.ts';

const describe = ({ size, placement, topology, faults, actions }: Plan) =>
  `${size} ranks in ${placement.length} processes, ${topology}, ${faults.length} faults, ${actions} actions`;

async function report(plan: Plan, error: unknown): Promise<void> {
  console.log(`seed ${plan.seed}: ${describe(plan)}`);
  console.log(error instanceof Error ? error.stack : error);
  const smaller = await shrink(plan);
  console.log(`fails with less, too: ${JSON.stringify(smaller)}`);
}

const { values } = parseArgs({ options: { seeds: { type: 'string', default: '1' }, seed: { type: 'string' } } });
const first = values.seed === undefined ? newSeed() : Number(values.seed);
const count = Number(values.seeds);
console.log(`${count} seeds from ${first} on`);
const sums = { events: 0, faults: 0, calls: 0 };
let failures = 0;
for (let seed = first; seed < first + count; seed++) {
  const plan = drawPlan(seed);
  try {
    const { events, faults, calls } = await runPlan(plan);
    sums.events += events;
    sums.faults += faults;
    sums.calls += calls;
  } catch (error) {
    failures++;
    await report(plan, error);
  }
}
console.log(`${failures} failed; in the others ${sums.faults} faults, ${sums.calls} requests, ${sums.events} events`);
process.exitCode = failures ? 1 : 0;
