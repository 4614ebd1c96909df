/** Fences and barriers that a module on each rank enters when an event says so. */

import { fileURLToPath } from 'node:url';
import { Handle } from '../core/handle/handle.ts';
import { type Figure, figure } from './figure.ts';
import type { LastMeeting } from './meeter.ts';
import { processesOf } from './places.ts';

async function load(handle: Handle, path: string, ranks: readonly number[]): Promise<void> {
  await Promise.all(ranks.map((nodeid) => handle.rpc('module.load', { path, args: [] }, { nodeid })));
}

/** Milliseconds from the first rank's request until the last has its answer; as many rounds again warm up. */
async function meetings(handle: Handle, event: string, rounds: number): Promise<number[]> {
  const size = Number(await handle.attribute('size'));
  const ranks = Array.from({ length: size }, (_, rank) => rank);
  // The service is one that is not loaded by itself.
  if (event === 'bench.barrier') await load(handle, 'barrier', ranks);
  await load(handle, fileURLToPath(new URL('./meeter.js', import.meta.url)), ranks);
  const times: number[] = [];
  for (let round = 1; round <= 2 * rounds; round++) {
    await handle.publish(event);
    // Asking earlier would slow down what is measured.
    await new Promise((resolve) => setTimeout(resolve, 50));
    let last: LastMeeting[];
    do last = await Promise.all(ranks.map((nodeid) => handle.rpc<LastMeeting>('meeter.last', null, { nodeid })));
    while (last.some(({ count }) => count < round));
    const failed = last.find(({ error }) => error !== undefined);
    if (failed) throw new Error(`${event} failed: ${failed.error}`);
    const starts = last.map(({ start }) => Number(BigInt(start) / 1000n));
    const ends = last.map(({ end }) => Number(BigInt(end) / 1000n));
    if (round > rounds) times.push((Math.max(...ends) - Math.min(...starts)) / 1000);
  }
  return times;
}

/** A fence of all ranks, into which each puts a key. */
export async function fence(uri: string, rounds: number): Promise<Figure[]> {
  const handle = await Handle.open(uri);
  const size = await handle.attribute('size');
  const times = await meetings(handle, 'bench.fence', rounds);
  await handle.close();
  return [figure(`kvs.fence-${size}`, 'ms', 'less', times)];
}

/** A barrier of all ranks of an instance in several processes. */
export async function procsBarrier(uri: string, rounds: number): Promise<Figure[]> {
  const handle = await Handle.open(uri);
  const { size, firstRanks } = await processesOf(handle);
  const times = await meetings(handle, 'bench.barrier', rounds);
  await handle.close();
  return [figure(`procs-${firstRanks.length}.barrier-${size}`, 'ms', 'less', times)];
}
