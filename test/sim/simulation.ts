/**
 * An instance in one thread and virtual time: real ranks and services, and around them a network, clients, programs and
 * modules that follow from a seed. Each rank is as far from its neighbours as if it had a machine of its own.
 *
 *     const sim = new Simulation({ seed: 7, size: 4, topology: 'kary:2' });
 *     await sim.start();
 *     const client = sim.connect(3);
 *     assert.deepEqual(await client.rpc('groups.get', { name: 'broker.online' }, { nodeid: 0 }), { members: '0-3' });
 */

import type { ModuleDefinition } from '../../core/broker/service.ts';
import type { State } from '../../core/broker/state-machine.ts';
import { IdSet } from '../../core/formats/idset.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Credentials } from '../../core/message/credentials.ts';
import { type Instance, topologyOf } from '../../core/node/instance.ts';
import { sharedAttributes } from '../../core/node/instance-attributes.ts';
import { nodesOfRanks } from '../../core/overlay/placement.ts';
import { type CustomHost, Topology } from '../../core/overlay/topology.ts';
import { defaultRc, type Rank } from '../../workers/router/rank.ts';
import { Agenda } from './agenda.ts';
import { owner, SimulatedClient } from './client.ts';
import type { Fabric } from './fabric.ts';
import { RemoteModules } from './modules.ts';
import { Network } from './network.ts';
import { SimulatedNode } from './node.ts';
import { Processes } from './processes.ts';
import { type Program, Programs } from './programs.ts';
import { SeededRandom } from './random.ts';
import { Runner } from './runner.ts';
import { TreeOfLines } from './tree.ts';

export interface SimulationOptions {
  readonly seed?: number;
  readonly size?: number;
  /** Value of tbon.topo. */
  readonly topology?: string;
  /** The ranks of each process, as idsets; absent: each rank is as if on a machine of its own. */
  readonly placement?: readonly string[] | undefined;
  /** Whether processes have a feed of events; without it events go over their links. */
  readonly hasFeed?: boolean;
  readonly customHosts?: readonly CustomHost[];
  readonly attributes?: Readonly<Record<string, string>>;
  readonly config?: JsonObject;
  readonly environment?: Readonly<Record<string, string>>;
  /** The initial program, of `programs`; without it the instance runs until it is told to end. */
  readonly command?: readonly string[];
  readonly rc1?: string;
  readonly rc3?: string;
  readonly programs?: Readonly<Record<string, Program>>;
  /** Modules that run inside their broker, by name. */
  readonly modules?: Readonly<Record<string, ModuleDefinition>>;
  /** Modules that run elsewhere, by the path they are loaded with. */
  readonly remoteModules?: Readonly<Record<string, ModuleDefinition>>;
  /** What `config.reload` reads. */
  readonly readConfig?: () => JsonObject | undefined;
}

export class Simulation {
  readonly random: SeededRandom;
  readonly agenda = new Agenda();
  readonly network: Network;
  readonly programs: Programs;
  readonly instance: Instance;
  readonly topology: Topology;
  readonly remoteModules: RemoteModules;
  readonly node: SimulatedNode;
  /** What is between the ranks. */
  readonly fabric: Fabric;
  /** The processes of the instance, when it has several. */
  readonly processes: Processes | undefined;
  readonly ranks: Rank[];
  readonly clients: SimulatedClient[] = [];
  readonly #runner: Runner;

  constructor(options: SimulationOptions = {}) {
    this.random = new SeededRandom(options.seed ?? 1);
    this.network = new Network(this.agenda, this.random);
    this.#runner = new Runner(this.agenda, this.network, options.seed);
    this.programs = new Programs(options.programs ?? {});
    this.instance = describeInstance(options);
    this.topology = topologyOf(this.instance);
    this.remoteModules = new RemoteModules(this.network, options.remoteModules ?? {});
    this.processes = options.placement && new Processes(this, options.hasFeed ?? true);
    this.fabric = this.processes ?? new TreeOfLines(this);
    this.node = new SimulatedNode(this, options, this.fabric);
    this.ranks = Array.from({ length: this.instance.size }, (_, rank) => this.node.makeRank(rank));
  }

  /** Whether ranks that lost their parents go on below others. */
  get rewires(): boolean {
    return new Map(this.instance.attributes).get('tbon.policy') === 'rewire';
  }

  get size(): number {
    return this.instance.size;
  }

  // ---- the instance

  /** Starts ranks, in random order within `seconds`. */
  startRanks(ranks: Iterable<number>, seconds = 0.01): void {
    for (const rank of ranks)
      this.agenda.at(this.agenda.time + seconds * this.random.number(), () =>
        this.fabric.starts(rank, () => this.ranks[rank]!.start()),
      );
  }

  /** Starts all ranks and goes on until rank 0 runs. */
  async start(): Promise<this> {
    this.startRanks(this.ranks.keys());
    await this.when(() => this.stateOf(0) === 'run', 'state run of rank 0');
    return this;
  }

  /** Makes ranks anew whose process is gone, and starts them. */
  restartRanks(ranks: readonly number[]): void {
    for (const client of this.clients) if (ranks.includes(client.rank)) client.lost();
    for (const rank of ranks) this.ranks[rank] = this.node.makeRank(rank);
    this.startRanks(ranks);
  }

  stateOf(rank: number): State {
    return this.ranks[rank]!.lifecycle.state;
  }

  ranksIn(state: State): number[] {
    return [...this.ranks.keys()].filter((rank) => this.stateOf(rank) === state);
  }

  /** Ends the instance as a signal to its broker does, and goes on until all ranks have ended. */
  async stop(signum = 15): Promise<void> {
    this.ranks[0]!.lifecycle.signal(signum);
    await this.ended();
  }

  /** Goes on until all ranks have ended. */
  async ended(): Promise<void> {
    await this.when(() => this.node.exitCodes.size === this.size, 'the end of all ranks', 3600);
  }

  // ---- clients

  /** A new client of a rank. */
  connect(rank = 0, credentials: Credentials = owner): SimulatedClient {
    const client = new SimulatedClient(this, this.ranks[rank]!, this.clients.length + 1, credentials);
    this.clients.push(client);
    this.fabric.fromClient(rank, () =>
      this.ranks[rank]!.connector.connected(client.endpoint, credentials, client.endpoint),
    );
    return client;
  }

  /** A client's connection is over, as its rank sees it. */
  clientGone({ rank, endpoint }: SimulatedClient): void {
    this.fabric.fromClient(rank, () => this.ranks[rank]!.connector.disconnected(endpoint));
  }

  clientAt(endpoint: number): SimulatedClient | undefined {
    return this.clients[endpoint - 1];
  }

  // ---- faults

  /** What two neighbours send each other is lost from now on, and neither learns of it. */
  sever(rank: number, other: number): void {
    this.fabric.sever(rank, other);
  }

  // ---- time: see Runner

  /** Goes on until a condition holds. */
  when(condition: () => boolean, what: string, seconds?: number): Promise<void> {
    return this.#runner.when(condition, what, seconds);
  }

  /** Goes on until a promise is settled. */
  until<T>(promise: Promise<T>, what: string, seconds?: number): Promise<T> {
    return this.#runner.until(promise, what, seconds);
  }

  /** Goes on for some seconds. */
  advance(seconds: number): Promise<void> {
    return this.#runner.advance(seconds);
  }

  /** Goes on until no message is on its way and no timer is about to fire. */
  settle(): Promise<void> {
    return this.#runner.settle();
  }

  /** Does something after a random time within some seconds. */
  soon(action: () => void, seconds = 0.05): void {
    this.agenda.at(this.agenda.time + seconds * this.random.number(), action);
  }
}

const RUNDIR = '/sim/rundir';

function describeInstance(options: SimulationOptions): Instance {
  const { size = 1, topology: topo = 'kary:2', customHosts = [], config = {}, command } = options;
  const nodes = (options.placement ?? [IdSet.range(0, size - 1).encode()]).map((ranks) => ({ ranks }));
  const set = new Map(Object.entries({ 'tbon.topo': topo, ...options.attributes }));
  const hostnames = Array.from({ length: size }, (_, rank) => `sim${rank}`);
  const topology = Topology.create(topo, size, { hosts: customHosts, nodeOfRank: nodesOfRanks(nodes, size) });
  return {
    id: 'simulation',
    size,
    topology: topo,
    customHosts,
    placement: { own: 0, nodes },
    owner: owner.userid,
    hostnames,
    hostname: 'sim',
    attributes: sharedAttributes(
      {
        size,
        owner: owner.userid,
        topology,
        topologyUri: topo,
        hostnames,
        bootMethod: 'simulation',
        mapping: undefined,
        rundir: RUNDIR,
        rundirCleanup: true,
        configPath: undefined,
        startTime: 0,
        config,
      },
      set,
    ),
    // What is stored is kept in memory: there are no disks.
    leaderAttributes: [['content.backing-module', 'none']],
    config: JSON.stringify(config),
    configPath: undefined,
    rundir: RUNDIR,
    workingDirectory: '/sim',
    environment: options.environment ?? {},
    rc1: options.rc1 ?? defaultRc.rc1,
    rc3: options.rc3 ?? defaultRc.rc3,
    startsAll: true,
    initialProgram: command && { argv: command, passThrough: true },
  };
}
