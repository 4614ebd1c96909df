/** Rates that are measured for a time rather than for a number of requests, so that a slow broker takes no longer. */

import type { Figure } from './figure.ts';
import { type Scale, scaled } from './scale.ts';
import type { WireClient } from './wire-client.ts';

const ROUNDS = 5;

export interface Round {
  readonly milliseconds: number;
  /** The most requests of a client, when it is not to go on for all of the time. */
  readonly requests?: number;
  /** Done before each round, which is not measured. */
  before?(): Promise<unknown>;
}

/** A round as long as the scale has them. */
export function round(scale: Scale): Round {
  return { milliseconds: scaled(scale, 1000, 200, 15) };
}

/** Requests a second, one sample a round, of clients that each keep `window` requests under way. */
export async function rates(
  clients: readonly WireClient[],
  window: number,
  next: (client: number) => Buffer,
  { milliseconds, requests = Number.POSITIVE_INFINITY, before }: Round,
): Promise<number[]> {
  const samples: number[] = [];
  // What is measured counts when so much was done before that the broker is warm.
  let warmingUp = milliseconds;
  while (samples.length < ROUNDS) {
    await before?.();
    const start = performance.now();
    const run = (client: WireClient, index: number) => {
      let sent = 0;
      const goOn = () => sent++ < requests && performance.now() - start < milliseconds;
      return client.exchange(window, () => next(index), goOn);
    };
    const answered = await Promise.all(clients.map(run));
    const elapsed = performance.now() - start;
    if (warmingUp <= 0) samples.push((1000 * answered.reduce((sum, count) => sum + count, 0)) / elapsed);
    warmingUp -= elapsed;
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
