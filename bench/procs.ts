/** Instances of several processes: what it costs that ranks meet by ZeroMQ rather than in memory. */

import { spawnSync } from 'node:child_process';
import { Handle } from '../core/handle/handle.ts';
import { run } from './commands.ts';
import { eventTimes, subscribers } from './event.ts';
import { type Figure, figure } from './figure.ts';
import { pingTimes } from './ping.ts';
import { processesOf } from './places.ts';
import { rates, round } from './rate.ts';
import { type Scale, scaled } from './scale.ts';
import { requestFrame, WireClient } from './wire-client.ts';

interface Shape {
  readonly procs: number;
  readonly size: number;
}

/** The instances of the tables, by how many ranks in how many processes. */
export function procsShapes(scale: Scale): Shape[] {
  const sizes = scaled(scale, [64, 256, 1024], [1024], [6]);
  const counts = scaled(scale, [1, 2, 4, 8], [4], [3]);
  return sizes.flatMap((size) => counts.map((procs) => ({ procs, size })));
}

/** Whole commands, from nothing to an instance that is there with all its ranks and gone again. */
export function procsStarts(flux: string, scale: Scale): Figure[] {
  return procsShapes(scale).map(({ procs, size }) => {
    const argv = [flux, 'start', `--size=${size}`, `--procs=${procs}`, 'true'];
    const seconds = Array.from({ length: scaled(scale, 5, 2, 1) }, () => run(argv).seconds);
    return figure(`procs-${procs}.start-${size}`, 's', 'less', seconds);
  });
}

/** The same where a launcher starts the processes; nothing where there is no Hydra. */
export function hydraStarts(flux: string, scale: Scale): Figure[] {
  if (spawnSync('mpiexec.hydra', ['-version']).error) {
    console.error('bench: instances under Hydra are left out: mpiexec.hydra is not installed (Debian: mpich)');
    return [];
  }
  const [procs, ranks] = scaled(scale, [16, 64], [16, 64], [2, 2]);
  const argv = ['mpiexec.hydra', '-n', String(procs), flux, 'start', `--ranks=${ranks}`, '--alone', 'true'];
  const seconds = Array.from({ length: scaled(scale, 5, 1, 1) }, () => run(argv).seconds);
  return [figure(`hydra-${procs}.start-${procs * ranks}`, 's', 'less', seconds)];
}

/** Pings from a client of rank 0 to the last rank, which is one hop between processes away, or none. */
async function reply(uri: string, { procs, size }: Shape, scale: Scale): Promise<Figure> {
  const client = await WireClient.connect(uri);
  const frame = requestFrame('broker.ping', { seq: 1, pad: '' }, 0, size - 1);
  const times = await pingTimes(client, frame, scaled(scale, 3000, 2000, 50), scaled(scale, 6000, 5000, 50));
  client.close();
  return figure(`procs-${procs}.ping-${size}`, 'ms', 'less', times);
}

/** From publishing an event at rank 0 until one client in each process has it. */
async function reach(uri: string, handle: Handle, rounds: number): Promise<Figure> {
  const { size, firstRanks } = await processesOf(handle);
  const clients = await subscribers(handle, firstRanks);
  const times = await eventTimes(uri, clients, rounds);
  for (const client of clients) client.close();
  return figure(`procs-${firstRanks.length}.event-${size}`, 'ms', 'less', times);
}

/** How long an instance takes to answer, and an event to reach its processes. */
export async function procsTimes(uri: string, scale: Scale): Promise<Figure[]> {
  const handle = await Handle.open(uri);
  const { size, firstRanks } = await processesOf(handle);
  const figures = [
    await reply(uri, { procs: firstRanks.length, size }, scale),
    await reach(uri, handle, scaled(scale, 300, 100, 3)),
  ];
  await handle.close();
  return figures;
}

/** From the death of a process that others are below until all ranks of all others answer, one such process after another. */
export async function rewireTimes(uri: string): Promise<Figure[]> {
  const handle = await Handle.open(uri);
  const { size, firstRanks } = await processesOf(handle);
  const pids = await Promise.all(firstRanks.map((nodeid) => handle.attribute('broker.pid', { nodeid })));
  const answered = async (nodeid: number) => {
    while (!(await handle.rpc('broker.ping', {}, { nodeid }).catch(() => undefined)));
  };
  const times: number[] = [];
  // Each has processes below it, of which the last one is not among these.
  for (let router = 1; router < firstRanks.length / 2; router++) {
    const left = Array.from({ length: size - firstRanks[router + 1]! }, (_, i) => firstRanks[router + 1]! + i);
    process.kill(Number(pids[router]), 'SIGKILL');
    const start = performance.now();
    await Promise.all(left.map(answered));
    times.push(performance.now() - start);
  }
  await handle.close();
  return [figure(`procs-${firstRanks.length}.rewire-${size}`, 'ms', 'less', times)];
}

/** One link between two processes: round trips, and messages a second with many requests under way. */
export async function linkRates(uri: string, scale: Scale): Promise<Figure[]> {
  const shape = { procs: 2, size: 2 };
  const latency = await reply(uri, shape, scale);
  const clients = await Promise.all(Array.from({ length: 4 }, () => WireClient.connect(uri)));
  const ping = requestFrame('broker.ping', { seq: 1, pad: '' }, 0, 1);
  const samples = await rates(clients, 256, () => ping, round(scale));
  for (const client of clients) client.close();
  // A request one way, a response the other.
  const messages = samples.map((pings) => 2 * pings);
  return [latency, figure('procs-2.messages', 'messages/s', 'more', messages)];
}
