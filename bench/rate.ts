/** Rates that are measured for a time rather than for a number of requests, so that a slow broker takes no longer. */

import type { Figure } from './figure.ts';
import { type Scale, scaled } from './scale.ts';
import type { WireClient } from './wire-client.ts';

const ROUNDS = 5;

/** Milliseconds of a round. */
export function roundTime(scale: Scale): number {
  return scaled(scale, 1000, 200, 15);
}

/** Requests a second, one sample a round, of clients that each keep `window` requests under way. */
export async function rates(
  clients: readonly WireClient[],
  window: number,
  next: (client: number) => Buffer,
  milliseconds: number,
): Promise<number[]> {
  const samples: number[] = [];
  // The first round warms up.
  for (let round = 0; round <= ROUNDS; round++) {
    const start = performance.now();
    const goOn = () => performance.now() - start < milliseconds;
    const answered = await Promise.all(
      clients.map((client, index) => client.exchange(window, () => next(index), goOn)),
    );
    const seconds = (performance.now() - start) / 1000;
    if (round) samples.push(answered.reduce((sum, count) => sum + count, 0) / seconds);
  }
  return samples;
}

/** Seconds that a step may take: brokers that slow down with size are measured as far as they can follow. */
const STEP_SECONDS_MAX = 60;

/**
 * Measures at growing sizes, until a step takes too long.
 *
 * @param step measures at one size, or gives nothing when `isLate` says on its way there that it takes too long
 */
export async function growing(
  sizes: readonly number[],
  step: (size: number, isLate: () => boolean) => Promise<readonly Figure[]>,
): Promise<Figure[]> {
  const all: Figure[] = [];
  for (const size of sizes) {
    const start = performance.now();
    const isLate = () => performance.now() - start > STEP_SECONDS_MAX * 1000;
    const figures = await step(size, isLate);
    all.push(...figures);
    if (!figures.length || isLate()) break;
  }
  return all;
}
