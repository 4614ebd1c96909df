/** What ranks of a simulation have around them, and what in a real node the main thread does. */

import type { AccessPolicy } from '../../core/broker/access-policy.ts';
import type { ResourceUsage } from '../../core/broker/common-methods.ts';
import { EventBus, type Subscriber } from '../../core/broker/event-bus.ts';
import type { World } from '../../core/broker/module-host.ts';
import type { ModuleDefinition } from '../../core/broker/service.ts';
import type { LogSink } from '../../core/broker/services/log.ts';
import type { State } from '../../core/broker/state-machine.ts';
import { errno, FluxError } from '../../core/errno.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Message } from '../../core/message/message.ts';
import { bundledModule } from '../../workers/bundled.ts';
import type { ConnectorHost } from '../../workers/connector-local/connector.ts';
import type { Machines } from '../../workers/resource/machine.ts';
import { SlowReaders } from '../../workers/rexec/slow-readers.ts';
import { Rank, type RankHost } from '../../workers/router/rank.ts';
import type { Fabric } from './fabric.ts';
import type { Simulation, SimulationOptions } from './simulation.ts';

/** An event bus that counts, so that a test can see what is left. */
class CountingBus extends EventBus {
  readonly #counts = new Map<Subscriber, number>();

  get count(): number {
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
  }

  #add(subscriber: Subscriber, change: number): void {
    this.#counts.set(subscriber, (this.#counts.get(subscriber) ?? 0) + change);
  }

  override subscribe(prefix: string, subscriber: Subscriber): void {
    super.subscribe(prefix, subscriber);
    this.#add(subscriber, 1);
  }

  override unsubscribe(prefix: string, subscriber: Subscriber): boolean {
    const done = super.unsubscribe(prefix, subscriber);
    if (done) this.#add(subscriber, -1);
    return done;
  }

  override remove(subscriber: Subscriber): void {
    super.remove(subscriber);
    this.#counts.delete(subscriber);
  }
}

export interface LogLine {
  readonly rank: number;
  readonly text: string;
}

const simMachines: Machines = {
  look: () => ({ hostname: 'sim', cores: 4, gpus: 0 }),
  wait: async () => ({ hostname: 'sim', cores: 4, gpus: 0 }),
  describe: () => '<topology/>',
  read: () => ({ hostname: 'sim', cores: 4, gpus: 0 }),
};

export class SimulatedNode {
  readonly #sim: Simulation;
  readonly #options: SimulationOptions;
  readonly #fabric: Fabric;
  readonly #buses: CountingBus[] = [];
  /** Exit codes of the ranks that have ended. */
  readonly exitCodes = new Map<number, number>();
  /** The states of each rank, as it went through them. */
  readonly history: State[][] = [];
  readonly stderr: LogLine[] = [];
  readonly logFile: (LogLine & { readonly path: string })[] = [];
  readonly syslog: (LogLine & { readonly severity: number })[] = [];
  /** Ranks whose sockets were asked for. */
  readonly listening = new Set<number>();
  access: AccessPolicy | undefined;
  readonly slowReaders = new SlowReaders();
  /** Told of each state that a rank enters. */
  onState: (rank: number, state: State) => void = () => {};

  constructor(sim: Simulation, options: SimulationOptions, fabric: Fabric) {
    this.#sim = sim;
    this.#options = options;
    this.#fabric = fabric;
  }

  /** Subscriptions of one rank's modules and clients. */
  subscriptionCount(rank: number): number {
    return this.#buses[rank]!.count;
  }

  makeRank(rank: number): Rank {
    const bus = new CountingBus(
      (event) => this.#fabric.broadcast(event, rank),
      (event) => this.#fabric.delivered(event, rank),
    );
    this.#buses[rank] = bus;
    this.history[rank] = [];
    this.exitCodes.delete(rank);
    return new Rank(rank, this.#host(rank, bus));
  }

  #host(rank: number, bus: EventBus): RankHost {
    const { instance, remoteModules } = this.#sim;
    const world = this.world(rank);
    return {
      instance,
      topology: this.#fabric.topology(rank),
      sharedAttributes: new Map(instance.attributes),
      config: JSON.parse(instance.config) as JsonObject,
      bus,
      world,
      clients: this.#clients(),
      log: this.#logSink(rank),
      modules: {
        bundled: (name) => this.#bundled(name),
        resolve: (target) => remoteModules.resolve(target),
        launch: (module, welcome) => remoteModules.launch(this.#sim.ranks[rank]!, module, welcome, world),
      },
      slowReaders: this.slowReaders,
      kvsShards: 0,
      store: {},
      plugins: { running: 0, call: async () => ({ errnum: errno.ENOSYS }) },
      backingStore: () => undefined,
      openParent: () => Promise.reject(new FluxError('ENOENT', 'no instance encloses this one')),
      programs: {
        slowReaders: this.slowReaders,
        spawnTurn: async () => {},
        layouts: new Map(),
        guard: { enter: () => {}, leave: () => {} },
      },
      directWays: () => undefined,
      nodeOfRank: this.#fabric.nodeOfRank,
      moves: this.#fabric.moves(rank),
      reach: (other, uri) => this.#fabric.reach(rank, other, uri),
      address: async () => this.#fabric.address(rank),
      connect: (from, to) => this.#fabric.connect(from, to),
      ring: {
        ask: () => Promise.reject(new FluxError('ENOSYS', 'the simulation has no ring')),
        list: async () => ({}),
      },
      listen: async () => {
        this.listening.add(rank);
      },
      readConfig: () => this.#options.readConfig?.(),
      machines: simMachines,
      engineInfo: async () => ({}),
      severed: () => this.#fabric.severed(rank),
      stateChanged: (_, state) => {
        this.history[rank]!.push(state);
        this.onState(rank, state);
      },
      exited: (_, exitCode) => this.#exited(rank, exitCode),
    };
  }

  #bundled(name: string): ModuleDefinition | undefined {
    const { modules = {} } = this.#options;
    return Object.hasOwn(modules, name) ? modules[name] : bundledModule(name);
  }

  world(rank: number): World {
    const { random, programs } = this.#sim;
    const clock = this.#fabric.clock(rank);
    return {
      clock,
      random,
      rusage: () => usage,
      spawn: programs.spawn(clock),
      spawnSoon: programs.spawnSoon(clock),
    };
  }

  #clients(): ConnectorHost {
    return {
      send: (endpoint, message) => this.#sim.clientAt(endpoint)?.deliver(message),
      sendEvent: (endpoint, event) => this.#sim.clientAt(endpoint)?.deliver(event),
      close: (endpoint) => this.#sim.clientAt(endpoint)?.hangUp(),
      setAccess: (policy) => {
        this.access = policy;
      },
    };
  }

  #logSink(rank: number): LogSink {
    return {
      stderr: (text) => this.stderr.push({ rank, text }),
      file: (path, text) => this.logFile.push({ rank, path, text }),
      syslog: (severity, text) => this.syslog.push({ rank, severity, text }),
    };
  }

  #exited(rank: number, exitCode: number): void {
    this.exitCodes.set(rank, exitCode);
    this.#fabric.exited(rank, exitCode);
  }

  /** Hands an event to the subscribers of a rank. */
  deliverEvent(event: Message, rank: number): void {
    this.#buses[rank]!.deliver(event);
  }
}

/** Made-up figures, with times that have a fraction and that have none. */
const usage: ResourceUsage = {
  utime: 1,
  stime: 0.25,
  maxrss: 1024,
  ixrss: 0,
  idrss: 0,
  isrss: 0,
  minflt: 1,
  majflt: 0,
  nswap: 0,
  inblock: 0,
  oublock: 0,
  msgsnd: 0,
  msgrcv: 0,
  nsignals: 0,
  nvcsw: 0,
  nivcsw: 0,
};
