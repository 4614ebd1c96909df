/**
 * Which thread does what: turns cores, ranks and configuration into threads and their jobs. Nothing else decides where a
 * service lives.
 */

import { canYield } from '../../native/index.ts';
import { FluxError } from '../errno.ts';
import type { JsonObject } from '../json.ts';
import { unpackTable } from '../message/unpack.ts';
import type { Topology } from '../overlay/topology.ts';
import { endpoint } from '../ring/endpoint.ts';

/** Threads that an instance can have, those of modules included. */
export const THREADS_MAX = 256;
/** The main thread: owns the sockets. */
export const MAIN = 0;

/** Clients have endpoints on main up to this one. */
export const CLIENT_INDEX_MAX = 0x7ffffe;
/** What is sent here is an event for the other processes. */
export const FEED_INDEX = 0x7fffff;
const REMOTE_RANKS = 0x800000;

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
  /** The lowest rank that this process hosts. */
  readonly firstRank: number;
  /** The thread that hosts each rank; main, where ranks of other processes are. */
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
/** Longer than an answer takes through both threads, the one it comes from just woken; and than one of another process. */
const SPIN_MICROSECONDS = 200;
const SPIN_MICROSECONDS_BETWEEN = 500;

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
 * @param ranks those that this process hosts, in order
 * @throws FluxError EINVAL: [engine] of the configuration is wrong
 */
export function makePlan(
  cores: number,
  topology: Topology,
  config: JsonObject,
  ranks: readonly number[] = Array.from({ length: topology.size }, (_, rank) => rank),
): Plan {
  const settings = engineSettings(config);
  const isLeader = ranks[0] === 0;
  const wanted = Math.ceil(ranks.length / RANKS_PER_ROUTER);
  const routers = settings.routers ?? Math.max(1, Math.min(wanted, Math.floor(cores / 4)));
  const execWorkers = settings.execWorkers ?? (cores < 4 ? 0 : Math.max(1, Math.floor(cores / 16)));
  const kvsWorkers = isLeader ? (settings.kvsWorkers ?? 0) : 0;
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
  if (isLeader) threads.push({ index: threads.length, name: 'store', routes: false, services: backingStores });
  return {
    threads,
    firstRank: ranks[0]!,
    threadOfRank: shardRanks(topology, ranks, routers),
    ringBytes: settings.ringBytes ?? RING_BYTES,
    spinMicroseconds: settings.spinMicroseconds ?? usualSpin(cores, ranks.length < topology.size),
    clientBacklogBytes: settings.clientBacklogBytes ?? CLIENT_BACKLOG_BYTES,
  };
}

function usualSpin(cores: number, hasOthers: boolean): number {
  // Who looks for work while others wait for the only processor has to let them have it.
  if (cores === 1 && !canYield()) return 0;
  return hasOthers ? SPIN_MICROSECONDS_BETWEEN : SPIN_MICROSECONDS;
}

/**
 * Deals ranks out to routers by the subtrees below the first rank, the largest first, each to the router with the fewest
 * ranks: then every way from rank 0 crosses threads at most once, and events and responses from there keep their order.
 */
function shardRanks(topology: Topology, ranks: readonly number[], routers: number): Uint8Array {
  const threadOfRank = new Uint8Array(topology.size).fill(MAIN);
  const [first] = ranks;
  const loads = new Array<number>(routers).fill(0);
  threadOfRank[first!] = MAIN + 1;
  loads[0] = 1;
  const subtrees = subtreesBelow(first!, topology, ranks);
  for (const subtree of subtrees.sort((a, b) => b.length - a.length)) {
    const router = loads.indexOf(Math.min(...loads));
    loads[router]! += subtree.length;
    for (const rank of subtree) threadOfRank[rank] = MAIN + 1 + router;
  }
  return threadOfRank;
}

/** The ranks of a process but for its first one, those together whose ways to the others all lead by that one, or abroad. */
function subtreesBelow(first: number, topology: Topology, ranks: readonly number[]): number[][] {
  const own = new Set(ranks);
  const subtrees: number[][] = [];
  const below = (rank: number): number[] => {
    const subtree = [rank];
    for (let i = 0; i < subtree.length; i++)
      for (const child of topology.children(subtree[i]!)) if (own.has(child)) subtree.push(child);
    return subtree;
  };
  for (const rank of ranks) {
    const parent = topology.parent(rank);
    if (rank !== first && (parent === first || !own.has(parent!))) subtrees.push(below(rank));
  }
  return subtrees;
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

/** Whether services of a thread send much to readers that may be slow. */
export function hasReaders(services: readonly string[]): boolean {
  return services.includes('rexec') || services.includes('kvs-watch');
}

/** The thread that hosts rank 0; main where another process does, by which what comes from there comes. */
export function leaderThread(plan: Plan): number {
  return plan.threadOfRank[0]!;
}

/** Index of a rank's endpoint on its thread. */
export function rankIndex(rank: number): number {
  return rank + 1;
}

/** Where a thread sends an event for all others that host ranks: to one rank of each. */
export function eventEndpoints(plan: Plan, from: number): number[] {
  return plan.threads
    .filter(({ index, routes }) => routes && index !== from)
    .map(({ index }) => ({ index, rank: plan.threadOfRank.indexOf(index) }))
    .filter(({ rank }) => rank >= 0)
    .map(({ index, rank }) => endpoint(index, rankIndex(rank)));
}

/** Index on main of the endpoint of a rank that another process hosts. */
export function remoteRankIndex(rank: number): number {
  return REMOTE_RANKS + rank;
}

/** The rank of an endpoint's index on main; undefined where it is none of a rank. */
export function remoteRankOf(index: number): number | undefined {
  return index >= REMOTE_RANKS ? index - REMOTE_RANKS : undefined;
}
