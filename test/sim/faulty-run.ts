/**
 * One run of an instance of several processes: first anything may break, and nothing may be wrong; then nothing breaks any
 * more, what is left has to make progress, and ends.
 */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { IdSet } from '../../core/formats/idset.ts';
import { checkPlacement, type NodeFacts, nodesOfRanks, parentNodes } from '../../core/overlay/placement.ts';
import { Topology } from '../../core/overlay/topology.ts';
import { checkAnswers, checkNothingLeft } from './checks.ts';
import type { Call, SimulatedClient } from './client.ts';
import { echo } from './echo.ts';
import { drawFaults, drawJumps, drawMoves, drawRestarts, type Fault, inflict } from './faults.ts';
import {
  breakMeetings,
  checkAnnouncements,
  checkCommits,
  checkEvents,
  checkFences,
  checkFrames,
  checkMeetings,
  checkMembers,
  checkPrompt,
  checkTree,
  memberRanks,
} from './process-checks.ts';
import { SeededRandom } from './random.ts';
import { Simulation } from './simulation.ts';
import { Workload } from './workload.ts';

export interface Plan {
  readonly seed: number;
  readonly size: number;
  readonly placement: readonly string[];
  readonly topology: string;
  readonly hasFeed: boolean;
  /** Seconds in which there are faults, and actions of clients. */
  readonly seconds: number;
  readonly actions: number;
  /** Whether ranks that lose their parents go on below others. */
  readonly rewires?: boolean;
  /** Whether faults begin with the instance. */
  readonly isEarly: boolean;
  readonly faults: readonly Fault[];
}

const sizes: readonly [number, number][] = [
  [3, 8],
  [3, 8],
  [5, 20],
  [5, 20],
  [16, 64],
  [64, 200],
];

/** What a seed stands for. */
export function drawPlan(seed: number): Plan {
  const random = new SeededRandom(seed);
  const size = random.integer(...random.pick(sizes));
  const { placement, topology, parents } = drawShape(random, size);
  const seconds = random.pick([0.5, 3, 10]);
  const processes = placement.length;
  const harmful = random.pick([0, 1, 2, Math.ceil(processes / 3)]);
  const mayEnd = random.chance(0.05);
  const harmless = random.pick([0, 10, 60, 200]);
  const faults = drawFaults(random, { seconds, processes, harmless, harmful, mayEnd, parents });
  // Drawn of another seed, so that what a seed stood for before there were moves is the same.
  const more = new SeededRandom(seed ^ 0x6d6f7665);
  const rewires = more.chance(0.6);
  const moves = rewires ? drawMoves(more, { seconds, size, count: more.pick([0, 1, 3, 20]) }) : [];
  return {
    seed,
    size,
    placement,
    topology,
    hasFeed: random.chance(0.8),
    seconds,
    actions: random.pick([30, 120, 300]),
    isEarly: random.chance(0.3),
    rewires,
    faults: [
      ...faults,
      ...moves,
      ...drawRestarts(more, faults, seconds),
      ...drawJumps(more, { seconds, processes }, more.pick([0, 1, 5])),
    ].sort((a, b) => a.at - b.at),
  };
}

interface DrawnShape {
  readonly placement: readonly string[];
  readonly topology: string;
  parents(process: number): readonly number[];
}

function drawShape(random: SeededRandom, size: number): DrawnShape {
  for (;;) {
    const count = random.integer(2, Math.min(size, 3 + Math.ceil(size / 6)));
    const nodes = drawPlacement(random, size, count).map((ranks) => ({ ranks: IdSet.from(ranks).encode() }));
    const fanout = random.pick([1, 2, 2, 3, 32]);
    const topology = random.pick(['procs', 'procs', 'procs', 'kary', 'kary', 'binomial']);
    const uri = topology === 'binomial' ? topology : `${topology}:${fanout}`;
    const tree = Topology.create(uri, size, { nodeOfRank: nodesOfRanks(nodes, size) });
    const parents = nodes.map((_, own) => parentNodes({ own, nodes }, tree));
    if (!isPossible(nodes, tree)) continue;
    return { placement: nodes.map(({ ranks }) => ranks), topology: uri, parents: (process) => parents[process]! };
  }
}

/** Processes that are above each other can't be linked. */
function isPossible(nodes: readonly NodeFacts[], tree: Topology): boolean {
  try {
    checkPlacement(nodes, tree);
    return true;
  } catch {
    return false;
  }
}

/** Ranks by process, in blocks or in turns or as it comes; rank 0 is in the first. */
function drawPlacement(random: SeededRandom, size: number, count: number): number[][] {
  const processes = Array.from({ length: count }, (_, index) => [index]);
  const way = random.pick(['blocks', 'blocks', 'turns', 'any']);
  if (way === 'blocks') {
    const starts = random.sample(range(1, size - 1), count - 1).sort((a, b) => a - b);
    const bounds = [0, ...starts, size];
    return bounds.slice(0, -1).map((start, index) => range(start, bounds[index + 1]! - 1));
  }
  for (let rank = count; rank < size; rank++)
    processes[way === 'turns' ? rank % count : random.integer(0, count - 1)]!.push(rank);
  return processes;
}

const range = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, index) => first + index);

export interface Outcome {
  /** The same for runs in which the same happened. */
  readonly digest: string;
  readonly events: number;
  readonly faults: number;
  readonly calls: number;
}

/** Seconds. */
const REWIRE_TIMEOUT = 60;

/**
 * Runs a plan; throws what was wrong.
 *
 * @param look shows the instance to who wants to see what it did
 */
export async function runPlan(plan: Plan, look: (sim: Simulation) => void = () => {}): Promise<Outcome> {
  const { seed, size, placement, topology, hasFeed, seconds, faults, rewires = false } = plan;
  const modules = { echo };
  const attributes = {
    'broker.quorum': '1',
    ...(rewires && { 'tbon.policy': 'rewire', 'tbon.rewire_timeout': `${REWIRE_TIMEOUT}s` }),
  };
  const sim = new Simulation({ seed, size, placement, topology, hasFeed, modules, attributes });
  look(sim);
  const workload = new Workload(sim, new SeededRandom(seed + 1));
  sim.startRanks(sim.ranks.keys());
  if (plan.isEarly) inflict(sim, faults, seconds);
  await sim.when(() => hasStarted(sim, plan), 'a start');
  await loadModules(sim);
  // A rank that is started again has what it had.
  sim.node.onState = (rank, state) => {
    if (state === 'run') startLoading(sim, [rank]);
  };
  if (!plan.isEarly) inflict(sim, faults, seconds);
  workload.schedule(plan.actions, seconds);
  await sim.advance(seconds);
  // Processes that have not joined yet end one after the other, each when it has looked for another above in vain.
  await heal(sim, workload, plan.isEarly ? 200 + REWIRE_TIMEOUT * placement.length : 200);
  return {
    digest: digest(sim),
    events: sim.processes!.published.length,
    faults: faults.length,
    calls: sim.clients.reduce((sum, { calls }) => sum + calls.length, 0),
  };
}

/** All ranks run; where faults come early, some or none at all may be enough. */
function hasStarted(sim: Simulation, { isEarly, size }: Plan): boolean {
  if (isEarly) return sim.stateOf(0) === 'run' || sim.processes!.of(0).hasCrashed;
  return sim.ranksIn('run').length === size;
}

/** Loads what clients ask on ranks. */
function startLoading(sim: Simulation, ranks: readonly number[]): { client: SimulatedClient; call: Call }[] {
  return ranks
    .map((rank) => sim.connect(rank))
    .flatMap((client) => ['echo', 'barrier'].map((path) => ({ client, call: load(client, path) })));
}

/** The same for all ranks that are there and lack it, to the end. */
async function loadModules(sim: Simulation): Promise<void> {
  const there = [...sim.ranks.keys()].filter((rank) => sim.processes!.of(rank).isAlive);
  const calls = startLoading(
    sim,
    there.filter((rank) => lacks(sim, rank)),
  );
  await sim.when(() => calls.every(({ client, call }) => !client.isConnected || call.finalAnswers.length), 'modules');
}

const lacks = ({ ranks }: Simulation, rank: number) => !ranks[rank]!.modules.get('barrier');

const load = (client: SimulatedClient, path: string) => client.call('module.load', { path, args: [] });

async function heal(sim: Simulation, workload: Workload, seconds: number): Promise<void> {
  await checkMembers(sim, seconds);
  const live = memberRanks(sim);
  if (live.includes(0)) {
    await loadModules(sim);
    await checkProgress(sim, workload, live);
    await checkFrames(sim);
    checkTree(sim);
    await endCalls(sim, workload, live);
  }
  await sim.advance(2);
  await sim.when(() => sim.network.inFlight === 0, 'a moment in which nothing is under way', 60);
  checkAnswers(sim);
  checkEvents(sim, workload);
  checkAnnouncements(workload);
  checkPrompt(sim, workload);
  checkMeetings(sim, workload.barriers);
  checkMeetings(sim, workload.fences);
  if (!live.includes(0)) return;
  const client = sim.connect(live.at(-1));
  await checkCommits(sim, workload, client);
  await checkFences(sim, workload, client);
  sim.ranks[0]!.lifecycle.signal(15);
  await sim.when(() => live.every((rank) => sim.node.exitCodes.has(rank)), 'the end of all ranks', 600);
  const gone = (rank: number) => sim.processes!.of(rank).hasCrashed;
  await checkNothingLeft(sim, gone);
}

/** All who are still there can do all there is to do. */
async function checkProgress(sim: Simulation, workload: Workload, live: readonly number[]): Promise<void> {
  const clients = live.map((rank) => sim.connect(rank));
  const subscribers = clients.map((client) => workload.subscribe(client)!);
  await sim.when(() => subscribers.every(({ from }) => from !== undefined), 'subscriptions', 60);
  for (const client of clients) workload.publish(client);
  const commit = workload.commit(clients.at(-1)!);
  const calls = clients.flatMap((client, index) => [
    workload.ask(client, live[(index * 7 + 1) % live.length]!),
    workload.ask(client, 0),
  ]);
  const hasAll = () =>
    [...calls, commit.call].every(({ finalAnswers }) => finalAnswers.length) &&
    clients.every(({ events }) => events.at(-1)?.sequence === sim.processes!.published.length);
  await sim.when(hasAll, 'answers and events for all who are there', 60);
  assert.equal(commit.call.finalAnswers[0]!.errnum, 0, 'a commit');
}

/** What waits for something that never comes fails once that is sure. */
async function endCalls(sim: Simulation, { barriers, fences }: Workload, live: readonly number[]): Promise<void> {
  await sim.advance(40);
  breakMeetings([...barriers, ...fences]);
  await sim.advance(2);
  const removals = live.map((rank) => sim.ranks[rank]!.modules).filter((modules) => modules.get('echo'));
  for (const modules of removals) await sim.until(modules.remove('echo'), 'removal of echo');
}

function digest(sim: Simulation): string {
  const hash = createHash('sha1');
  for (const { rank, received } of sim.clients)
    for (const { type, word1, word2, topic } of received) hash.update(`${rank} ${type} ${word1} ${word2} ${topic}\n`);
  return hash.update(String(sim.agenda.time)).digest('hex');
}
