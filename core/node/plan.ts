/**
 * Which thread does what: turns cores, ranks and configuration into threads and their jobs. Nothing else decides where a
 * service lives.
 */

import { FluxError } from '../errno.ts';
import type { JsonObject } from '../json.ts';
import { unpackTable } from '../message/unpack.ts';
import type { Topology } from '../overlay/topology.ts';

/** Threads that an instance can have, those of modules included. */
export const THREADS_MAX = 256;
/** The main thread: owns the sockets. */
export const MAIN = 0;

export interface ThreadPlan {
  readonly index: number;
  readonly name: string;
  /** Whether it hosts ranks. */
  readonly routes: boolean;
  /** Process-wide services that live here. */
  readonly services: readonly string[];
}

export interface Plan {
  readonly threads: readonly ThreadPlan[];
  /** The thread that hosts each rank. */
  readonly threadOfRank: Uint8Array;
  /** Bytes of each ring. */
  readonly ringBytes: number;
  /** Microseconds that a thread looks for work before it sleeps. */
  readonly spinMicroseconds: number;
  /** Bytes that may wait for a client that does not read them. */
  readonly clientBacklogBytes: number;
}

/** Ranks that one router serves before another is worth its memory. */
const RANKS_PER_ROUTER = 256;
/** What all ranks share, at the thread of rank 0. */
const nodeServices = ['content', 'kvs', 'kvs-watch'];
/** What runs programs for ranks. */
const programServices = ['rexec', 'shell'];
/** Services that wait for disks, so nothing else is on their thread. */
const backingStores = ['content-sqlite', 'content-files'];
const RING_BYTES = 1024 * 1024;
const CLIENT_BACKLOG_BYTES = 64 * 1024 * 1024;
/** Longer than an answer takes through both threads, the one it comes from just woken. */
const SPIN_MICROSECONDS = 200;

/** The [engine] table of the configuration. */
interface EngineSettings {
  readonly routers: number | undefined;
  readonly execWorkers: number | undefined;
  readonly kvsWorkers: number | undefined;
  readonly ringBytes: number | undefined;
  readonly spinMicroseconds: number | undefined;
  readonly clientBacklogBytes: number | undefined;
}

function engineSettings(config: JsonObject): EngineSettings {
  const table = unpackTable(config, 'engine', {
    routers: 'i?',
    'exec-workers': 'i?',
    'kvs-workers': 'i?',
    'ring-size': 'i?',
    spin: 'i?',
    'client-backlog': 'i?',
  });
  const checked = (key: string, value: number | undefined, min: number, max: number) => {
    if (value !== undefined && (value < min || value > max))
      throw new FluxError('EINVAL', `error parsing [engine] configuration: '${key}' is not between ${min} and ${max}`);
    return value;
  };
  const ringBytes = checked('ring-size', table['ring-size'], 4096, 2 ** 28);
  if (ringBytes !== undefined && !Number.isInteger(Math.log2(ringBytes)))
    throw new FluxError('EINVAL', "error parsing [engine] configuration: 'ring-size' is no power of two");
  return {
    routers: checked('routers', table.routers, 1, 64),
    execWorkers: checked('exec-workers', table['exec-workers'], 0, 64),
    kvsWorkers: checked('kvs-workers', table['kvs-workers'], 0, 64),
    ringBytes,
    spinMicroseconds: checked('spin', table.spin, 0, 100_000),
    clientBacklogBytes: checked('client-backlog', table['client-backlog'], 65_536, 2 ** 40),
  };
}

/**
 * The plan for an instance.
 *
 * On two cores one engine thread does everything beside main and the disks; from four on programs are run by a thread of
 * their own, and routers multiply with cores and ranks.
 *
 * @throws FluxError EINVAL: [engine] of the configuration is wrong
 */
export function makePlan(cores: number, topology: Topology, config: JsonObject): Plan {
  const settings = engineSettings(config);
  const wanted = Math.ceil(topology.size / RANKS_PER_ROUTER);
  const routers = settings.routers ?? Math.max(1, Math.min(wanted, Math.floor(cores / 4)));
  const execWorkers = settings.execWorkers ?? (cores < 4 ? 0 : Math.max(1, Math.floor(cores / 16)));
  const kvsWorkers = settings.kvsWorkers ?? 0;
  const threads: ThreadPlan[] = [{ index: MAIN, name: 'main', routes: false, services: [] }];
  for (let i = 0; i < routers; i++) {
    const alone = routers === 1 && execWorkers === 0;
    threads.push({
      index: threads.length,
      name: alone ? 'engine' : `router ${i}`,
      routes: true,
      services: [...(execWorkers === 0 ? programServices : []), ...(i === 0 ? nodeServices : [])],
    });
  }
  for (let i = 0; i < execWorkers; i++)
    threads.push({ index: threads.length, name: `exec ${i}`, routes: false, services: programServices });
  for (let i = 0; i < kvsWorkers; i++)
    threads.push({ index: threads.length, name: `kvs ${i}`, routes: false, services: [kvsShard(i)] });
  threads.push({ index: threads.length, name: 'store', routes: false, services: backingStores });
  return {
    threads,
    threadOfRank: shardRanks(topology, routers),
    ringBytes: settings.ringBytes ?? RING_BYTES,
    spinMicroseconds: settings.spinMicroseconds ?? (cores > 1 ? SPIN_MICROSECONDS : 0),
    clientBacklogBytes: settings.clientBacklogBytes ?? CLIENT_BACKLOG_BYTES,
  };
}

/**
 * Deals ranks out to routers by subtrees of rank 0, the largest first, each to the router with the fewest ranks: then
 * every way from rank 0 crosses threads at most once, and events and responses from there keep their order.
 */
function shardRanks(topology: Topology, routers: number): Uint8Array {
  const threadOfRank = new Uint8Array(topology.size);
  const first = MAIN + 1;
  const loads = new Array<number>(routers).fill(0);
  threadOfRank[0] = first;
  loads[0] = 1;
  const children = [...topology.children(0)].sort((a, b) => topology.descendants(b) - topology.descendants(a));
  for (const child of children) {
    const router = loads.indexOf(Math.min(...loads));
    loads[router]! += topology.descendants(child) + 1;
    for (const rank of topology.subtree(child)) threadOfRank[rank] = first + router;
  }
  return threadOfRank;
}

/** The thread that runs the process-wide service of a rank: its own when it can, else one of those that do. */
export function threadOfService(plan: Plan, service: string, rank: number): number {
  const own = plan.threadOfRank[rank]!;
  const threads = plan.threads.filter((thread) => thread.services.includes(service)).map((thread) => thread.index);
  return threads.includes(own) ? own : threads[rank % threads.length]!;
}

/** The module that has a part of the namespaces of the KVS. */
export function kvsShard(index: number): string {
  return `kvs-${index}`;
}

/** Threads that have parts of the KVS; 0 where it is with rank 0. */
export function kvsShards(plan: Plan): number {
  let count = 0;
  while (plan.threads.some(({ services }) => services.includes(kvsShard(count)))) count++;
  return count;
}

/** The thread that hosts rank 0. */
export function leaderThread(plan: Plan): number {
  return plan.threadOfRank[0]!;
}

/** Index of a rank's endpoint on its thread. */
export function rankIndex(rank: number): number {
  return rank + 1;
}
