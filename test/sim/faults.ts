/** What befalls the processes of an instance: drawn before a run, as data, so that a run can be had with fewer of them. */

import type { Processes } from './processes.ts';
import type { SeededRandom } from './random.ts';
import type { Simulation } from './simulation.ts';
import type { Learning } from './wires.ts';

type Kind =
  | { readonly kind: 'crash'; readonly process: number; readonly learning: number }
  | { readonly kind: 'break'; readonly process: number; readonly parent: number; readonly learning: Learning }
  | { readonly kind: 'pause' | 'congestion'; readonly process: number; readonly seconds: number }
  | {
      readonly kind: 'slow link';
      readonly process: number;
      readonly parent: number;
      readonly slowness: number;
      readonly seconds: number;
    }
  | { readonly kind: 'slow feed'; readonly process: number; readonly slowness: number; readonly seconds: number }
  | { readonly kind: 'lossy feed'; readonly process: number; readonly loss: number; readonly seconds: number }
  | { readonly kind: 'broken feed'; readonly process: number; readonly learn: number; readonly back: number }
  | { readonly kind: 'restart'; readonly process: number }
  | { readonly kind: 'clock jumps'; readonly process: number; readonly by: number }
  | { readonly kind: 'client goes'; readonly client: number }
  | { readonly kind: 'move'; readonly rank: number; readonly parent: number };

export type Fault = Kind & { readonly at: number };

/** What nobody may be lost by: the most frequent. */
const harmless = ['pause', 'congestion', 'slow link', 'slow feed', 'lossy feed', 'lossy feed', 'broken feed'] as const;

/** Most are short; some last. */
const someSeconds = (random: SeededRandom) => random.pick([0.001, 0.02, 0.3, 3]) * random.number();

/** What a broken connection is noticed after: at once by its end, or by ZeroMQ's heartbeats. */
const someLearning = (random: SeededRandom) => random.pick([0, 0.001, 0.1, 2, 20]) * random.number();

export interface FaultTimes {
  /** Seconds in which all begin. */
  readonly seconds: number;
  readonly processes: number;
}

export interface FaultSettings extends FaultTimes {
  /** How many take nobody out of the instance, and how many do. */
  readonly harmless: number;
  readonly harmful: number;
  /** Whether the process of rank 0 may crash. */
  readonly mayEnd: boolean;
  parents(process: number): readonly number[];
}

export function drawFaults(random: SeededRandom, settings: FaultSettings): Fault[] {
  const { seconds, processes } = settings;
  const child = () => random.integer(1, processes - 1);
  const at = () => seconds * random.number();
  const faults: Fault[] = [];
  if (processes === 1) return faults;
  for (let i = settings.harmless; i > 0; i--)
    faults.push({ at: at(), ...drawHarmless(random, settings, random.pick(harmless), child()) });
  for (let i = settings.harmful; i > 0; i--) {
    const process = child();
    if (random.chance(0.4)) faults.push({ at: at(), kind: 'crash', process, learning: someLearning(random) });
    else {
      const parent = random.pick(settings.parents(process));
      const learning = { client: someLearning(random), server: someLearning(random) };
      faults.push({ at: at(), kind: 'break', process, parent, learning });
    }
  }
  for (let i = random.integer(0, 3); i > 0; i--)
    faults.push({ at: at(), kind: 'client goes', client: random.integer(0, 99) });
  if (settings.mayEnd) faults.push({ at: at(), kind: 'crash', process: 0, learning: someLearning(random) });
  return faults.sort((a, b) => a.at - b.at);
}

/** Moves of ranks on demand; some can't be. */
export function drawMoves(
  random: SeededRandom,
  { seconds, size, count }: { readonly seconds: number; readonly size: number; readonly count: number },
): Fault[] {
  const rank = () => random.integer(0, size - 1);
  return Array.from({ length: count }, () => ({
    at: seconds * random.number(),
    kind: 'move',
    rank: rank(),
    parent: rank(),
  }));
}

/** Somebody sets the clocks of machines, by little or by years, forth or back. */
export function drawJumps(random: SeededRandom, { seconds, processes }: FaultTimes, count: number): Fault[] {
  return Array.from({ length: count }, () => ({
    at: seconds * random.number(),
    kind: 'clock jumps',
    process: random.integer(0, processes - 1),
    by: random.pick([-1e8, -100, -0.5, 0.5, 100, 1e8]) * random.number(),
  }));
}

/** Processes that crash, or are cut off, are started again by somebody, sooner or later; some never are. */
export function drawRestarts(random: SeededRandom, faults: readonly Fault[], seconds: number): Fault[] {
  return faults.flatMap((fault) => {
    if ((fault.kind !== 'crash' && fault.kind !== 'break') || fault.process === 0 || random.chance(0.4)) return [];
    const at = Math.min(seconds, fault.at + someSeconds(random));
    return [{ at, kind: 'restart', process: fault.process }];
  });
}

function drawHarmless(
  random: SeededRandom,
  { parents, processes }: FaultSettings,
  kind: (typeof harmless)[number],
  process: number,
): Kind {
  const seconds = someSeconds(random);
  switch (kind) {
    case 'pause':
    case 'congestion':
      return { kind, process: random.integer(0, processes - 1), seconds };
    case 'slow link':
      return { kind, process, parent: random.pick(parents(process)), slowness: someSeconds(random), seconds };
    case 'slow feed':
      return { kind, process, slowness: someSeconds(random), seconds };
    case 'lossy feed':
      return { kind, process, loss: random.pick([0.1, 0.5, 1]), seconds };
    case 'broken feed':
      return { kind, process, learn: someSeconds(random), back: someSeconds(random) };
  }
}

/** Lets faults happen from now on, each at its time; what lasts ends `until` then at the latest. */
export function inflict(sim: Simulation, faults: readonly Fault[], until: number): void {
  const begin = sim.agenda.time;
  for (const fault of faults) {
    sim.agenda.at(begin + fault.at, () => {
      const end = apply(sim, sim.processes!, fault);
      if (!end) return;
      const seconds = 'seconds' in fault ? fault.seconds : 0;
      sim.agenda.at(begin + Math.min(until, fault.at + seconds), end);
    });
  }
}

/** Does it; returns what ends it. */
function apply(sim: Simulation, processes: Processes, fault: Fault): (() => void) | undefined {
  const { wires, list } = processes;
  switch (fault.kind) {
    case 'crash':
      processes.crash(fault.process, fault.learning);
      return undefined;
    case 'break':
      processes.break(fault.process, fault.parent, fault.learning);
      return undefined;
    case 'clock jumps':
      list[fault.process]!.setClock(fault.by);
      return undefined;
    case 'restart':
      processes.restart(fault.process);
      return undefined;
    case 'pause': {
      const process = list[fault.process]!;
      process.pause();
      return () => process.resume();
    }
    case 'congestion': {
      const process = list[fault.process]!;
      process.setCongested(true);
      return () => process.setCongested(false);
    }
    case 'slow link': {
      const connection = wires.connection(fault.process, fault.parent);
      if (!connection) return undefined;
      const set = (slowness: number) => {
        connection.toServer.slowness = slowness;
        connection.toClient.slowness = slowness;
      };
      set(fault.slowness);
      return () => set(0);
    }
    case 'slow feed':
      wires.feed.setSlowness(fault.process, fault.slowness);
      return () => wires.feed.setSlowness(fault.process, 0);
    case 'lossy feed':
      wires.feed.setLoss(fault.process, fault.loss);
      return () => wires.feed.setLoss(fault.process, 0);
    case 'broken feed':
      wires.feed.break(fault.process, fault.learn, fault.back);
      return undefined;
    case 'move':
      processes.move(fault.rank, fault.parent);
      return undefined;
    case 'client goes':
      processes.clientGoes(sim.clients[fault.client]);
      return undefined;
  }
}
