/**
 * Runs a scenario once for each of many seeds. What fails says its seed; FLUX_SIM_SEED=N runs that one again, with
 * FLUX_SIM_TRACE=1 every message on the way to stderr. FLUX_SIM_RUNS=N asks for more runs, or fewer.
 */

import process from 'node:process';
import { test } from 'node:test';
import { SeededRandom } from './random.ts';

export interface Shape {
  readonly size: number;
  /** Value of tbon.topo. */
  readonly topology: string;
  readonly customHosts: readonly { host: string; parent?: string }[];
}

/** Registers a test that runs `scenario` with the numbers of seeds 1, 2, 3 … */
export function forSeeds(
  name: string,
  runs: number,
  scenario: (random: SeededRandom, seed: number) => Promise<void>,
): void {
  const { only, count } = wishes(runs);
  const seeds = only === undefined ? Array.from({ length: count }, (_, index) => index + 1) : [only];
  test(name, () => tryAll(seeds, scenario));
}

/** As `forSeeds`, with the seeds that `found` something, and new ones, other ones each time; the first is said before. */
export function forNewSeeds(
  name: string,
  runs: number,
  found: readonly number[],
  scenario: (random: SeededRandom, seed: number) => Promise<void>,
): void {
  const { only, count } = wishes(runs);
  const first = newSeed();
  const seeds = only === undefined ? [...found, ...Array.from({ length: count }, (_, index) => first + index)] : [only];
  test(name, async (context) => {
    if (only === undefined) context.diagnostic(`${count} new seeds from ${first} on`);
    await tryAll(seeds, scenario);
  });
}

/** A seed that no run had before, most likely, with room for others behind it. */
export const newSeed = () => 1000 + Math.floor(Math.random() * 2 ** 31);

function wishes(runs: number): { readonly only: number | undefined; readonly count: number } {
  const { FLUX_SIM_SEED: only, FLUX_SIM_RUNS: wanted } = process.env;
  return { only: only === undefined ? undefined : Number(only), count: Number(wanted ?? runs) };
}

async function tryAll(
  seeds: readonly number[],
  scenario: (random: SeededRandom, seed: number) => Promise<void>,
): Promise<void> {
  for (const seed of seeds) {
    try {
      await scenario(new SeededRandom(seed), seed);
    } catch (error) {
      if (error instanceof Error) error.stack = `seed ${seed} (FLUX_SIM_SEED=${seed} to see it again): ${error.stack}`;
      throw error;
    }
  }
}

/** How large instances are: most runs are small, because small ones find most, and a few are large. */
const sizes: readonly [probability: number, min: number, max: number][] = [
  [0.75, 1, 6],
  [0.19, 7, 14],
  [0.055, 15, 40],
  [0.005, 100, 200],
];

function randomSize(random: SeededRandom): number {
  let rest = random.number();
  for (const [probability, min, max] of sizes) {
    if (rest < probability) return random.integer(min, max);
    rest -= probability;
  }
  return 1;
}

/** A tree of any shape. */
export function randomShape(random: SeededRandom, size = randomSize(random)): Shape {
  const shape = random.pick(['kary', 'kary', 'mincrit', 'binomial', 'custom']);
  const customHosts = shape === 'custom' ? randomHosts(random, size) : [];
  const argument =
    shape === 'kary' ? `:${random.pick([0, 1, 2, 2, 3, 32])}` : shape === 'mincrit' ? `:${random.integer(0, 3)}` : '';
  return { size, topology: shape + argument, customHosts };
}

/** Hosts whose parents come in any order, a chain or a star among them. */
function randomHosts(random: SeededRandom, size: number): { host: string; parent?: string }[] {
  const placed = [0];
  const parents = new Map<number, number>();
  for (const rank of random.shuffle(Array.from({ length: size - 1 }, (_, index) => index + 1))) {
    parents.set(rank, random.pick(placed));
    placed.push(rank);
  }
  return Array.from({ length: size }, (_, rank) => {
    const parent = parents.get(rank);
    return parent === undefined ? { host: `h${rank}` } : { host: `h${rank}`, parent: `h${parent}` };
  });
}
