/**
 * One rank put together: its broker, its place in the tree, its modules, its clients and its life.
 */

import { Attributes } from '../../core/broker/attributes.ts';
import { Broker, type InternalServices } from '../../core/broker/broker.ts';
import type { DirectWays } from '../../core/broker/direct-ways.ts';
import { Environment } from '../../core/broker/environment.ts';
import type { EventBus } from '../../core/broker/event-bus.ts';
import { Lifecycle } from '../../core/broker/lifecycle.ts';
import type { World } from '../../core/broker/module-host.ts';
import { builtinModules } from '../../core/broker/module-table.ts';
import { type BuiltinModule, type ModuleSource, Modules } from '../../core/broker/modules.ts';
import { RcPrograms } from '../../core/broker/rc.ts';
import type { ModuleDefinition, Timer } from '../../core/broker/service.ts';
import { attrService } from '../../core/broker/services/attr.ts';
import { brokerService } from '../../core/broker/services/broker.ts';
import { eventService } from '../../core/broker/services/event.ts';
import { type LogSink, logService } from '../../core/broker/services/log.ts';
import { moduleService } from '../../core/broker/services/module.ts';
import { runatService } from '../../core/broker/services/runat.ts';
import { serviceService } from '../../core/broker/services/service.ts';
import { shutdownService } from '../../core/broker/services/shutdown.ts';
import { stateMachineService } from '../../core/broker/services/state-machine.ts';
import { type State, stateNumber } from '../../core/broker/state-machine.ts';
import { parseDuration } from '../../core/formats/duration.ts';
import type { Methods } from '../../core/handle/methods.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Message } from '../../core/message/message.ts';
import { isObject } from '../../core/message/unpack.ts';
import { brokerUuid, type Instance } from '../../core/node/instance.ts';
import { kvsShard } from '../../core/node/plan.ts';
import type { Moves } from '../../core/overlay/moves.ts';
import type { Overlay } from '../../core/overlay/overlay.ts';
import type { Topology } from '../../core/overlay/topology.ts';
import { configModule } from '../config/config.ts';
import { Connector, type ConnectorHost } from '../connector-local/connector.ts';
import type { StoreThread } from '../content/access.ts';
import { contentModule } from '../content/content.ts';
import { groupsModule } from '../groups/groups.ts';
import { jobInfo } from '../job-info/job-info.ts';
import { jobIngestFollower, jobIngestModule } from '../job-ingest/job-ingest.ts';
import type { PluginThreads } from '../job-ingest/plugin-threads.ts';
import { jobListModule } from '../job-list/job-list.ts';
import { jobManager } from '../job-manager/job-manager.ts';
import { kvsModule } from '../kvs/kvs.ts';
import { dispatcher, shardedKvs } from '../kvs/shards.ts';
import { kvsWatchModule } from '../kvs-watch/kvs-watch.ts';
import { overlayModule } from '../overlay/overlay.ts';
import type { Machines } from '../resource/machine.ts';
import type { OpenParent } from '../resource/parent.ts';
import { resourceFollower, resourceModule } from '../resource/resource.ts';
import { rexecModule } from '../rexec/rexec.ts';
import type { SlowReaders } from '../rexec/slow-readers.ts';
import { type ProgramThread, shellModule } from '../shell/host.ts';
import { DefaultRc } from './default-rc.ts';
import { RankOverlay } from './rank-overlay.ts';
import type { Ring } from './ring-requests.ts';

export interface RankHost {
  readonly instance: Instance;
  readonly topology: Topology;
  readonly sharedAttributes: ReadonlyMap<string, string | null>;
  readonly config: JsonObject;
  readonly bus: EventBus;
  readonly world: World;
  readonly clients: ConnectorHost;
  readonly log: LogSink;
  readonly modules: Pick<ModuleSource, 'resolve' | 'launch'> & {
    bundled(name: string): ModuleDefinition | undefined;
  };
  /** Who does not take what they are sent as fast as it comes. */
  readonly slowReaders: SlowReaders;
  /** Threads that have parts of the KVS; 0 where it is with rank 0. */
  readonly kvsShards: number;
  /** What the services of the store share on this thread. */
  readonly store: StoreThread;
  /** Where plugins of job-ingest run. */
  readonly plugins: PluginThreads;
  /** A backing store of content by its module's name; undefined where another thread has it. */
  readonly backingStore: (name: string) => ModuleDefinition | undefined;
  /** What runs programs here; undefined where another thread does it for this rank. */
  readonly programs: ProgramThread | undefined;
  /** To rank 0, if it is on this thread. */
  directWays(): DirectWays | undefined;
  /** The process of each rank. */
  readonly nodeOfRank: Int32Array;
  /** How ranks have moved in the tree. */
  readonly moves: Moves;
  /** Connects to the process of a rank, at `uri` if its address is not known; resolves once messages can be sent there. */
  reach(rank: number, uri?: string): Promise<void>;
  /** Where this process takes connections of others. */
  address(): Promise<string | undefined>;
  /** What hands messages of a rank to its neighbour `to`. */
  connect(from: number, to: number): (message: Message) => void;
  /** By which any rank is reached while the tree is broken. */
  readonly ring: Ring;
  /** Opens the socket of a rank's connector, if it is not open. */
  listen(rank: number): Promise<void>;
  readConfig(): JsonObject | undefined;
  /** What the machine has that the ranks are on. */
  readonly machines: Machines;
  /** Connects to the instance that this one is a job of. */
  readonly openParent: OpenParent;
  /** What the threads of this node do. */
  engineInfo(): Promise<JsonObject>;
  /** The rank and all below it are no part of the instance any more. */
  severed(rank: number): void;
  stateChanged(rank: number, state: State): void;
  exited(rank: number, exitCode: number): void;
}

/** What rc1 and rc3 are unless they are told otherwise: the broker does it itself, without a process. */
export const defaultRc = { rc1: 'flux modprobe rc1', rc3: 'flux modprobe rc3' } as const;

const internalServices = new Set([
  'broker',
  'log',
  'attr',
  'event',
  'service',
  'module',
  'runat',
  'state-machine',
  'shutdown',
  'engine',
]);

export class Rank {
  readonly rank: number;
  readonly broker: Broker;
  readonly overlay: Overlay;
  readonly connector: Connector;
  readonly modules: Modules;
  readonly lifecycle: Lifecycle;
  readonly environment: Environment;
  readonly #host: RankHost;
  readonly #place: RankOverlay;
  readonly #programs: RcPrograms;
  #followConfig: () => Promise<void> = async () => {};
  #listening: Promise<void> | undefined;
  #silenceTimer: Timer | undefined;

  constructor(rank: number, host: RankHost) {
    this.rank = rank;
    this.#host = host;
    const { instance, topology, bus, world } = host;
    this.environment = new Environment(instance.environment);
    this.broker = new Broker({
      rank,
      size: instance.size,
      uuid: brokerUuid(instance.id, rank),
      owner: instance.owner,
      topology,
      attributes: this.#attributes(),
      config: host.config,
      bus,
      world,
      internal: this.#internalServices(),
      directWays: () => (rank === 0 ? undefined : host.directWays()),
    });
    this.#place = new RankOverlay(host, {
      broker: this.broker,
      lifecycle: () => this.lifecycle,
      followConfig: () => this.#followAgain(),
      linksChanged: () => this.#watchSilence(),
    });
    this.overlay = this.#place.overlay;
    this.connector = new Connector(this.broker, host.clients);
    const source = {
      ...host.modules,
      builtin: (name: string) => this.#builtin(name),
      bundled: (name: string) => this.#bundled(name),
    };
    this.modules = new Modules(this.broker, source, (text) => this.panic(text));
    this.#programs = this.#makePrograms();
    this.lifecycle = new Lifecycle(this.broker, this.#programs, {
      loadBuiltins: () => this.#loadBuiltins(),
      syncConfig: () => this.#followConfig(),
      unloadBuiltins: () => this.modules.removeAll(),
      stateChanged: (state) => this.#stateChanged(state),
      exited: (exitCode) => host.exited(rank, exitCode),
    });
    if (rank === 0) this.broker.prepareService('shutdown');
  }

  #attributes(): Attributes {
    const { instance, sharedAttributes } = this.#host;
    const own: [string, string | null][] = [
      ['rank', String(this.rank)],
      ['broker.uuid', brokerUuid(instance.id, this.rank)],
      ['hostname', instance.hostnames[this.rank]!],
      ['local-uri', `local://${instance.rundir}/local-${this.rank}`],
      ...this.#placeAttributes(),
    ];
    return new Attributes(sharedAttributes, this.rank === 0 ? [...own, ...instance.leaderAttributes] : own);
  }

  #placeAttributes(): [string, string][] {
    const { topology } = this.#host;
    return [
      ['tbon.level', String(topology.level(this.rank))],
      ['tbon.descendants', String(topology.descendants(this.rank))],
    ];
  }

  /** Makes true what an attribute says that is asked for. */
  #prepareAttribute(name: string): Promise<void> | undefined {
    if (name === 'local-uri') return this.listen();
    for (const [each, value] of this.#placeAttributes()) if (each === name) this.broker.attributes.put(name, value);
    return undefined;
  }

  #internalServices(): InternalServices {
    return {
      has: (name) => internalServices.has(name),
      methods: (name) => this.#internalService(name),
    };
  }

  #internalService(name: string): Methods {
    const { broker } = this;
    switch (name) {
      case 'broker':
        return brokerService(this.environment)(broker);
      case 'log':
        return logService(this.#host.log)(broker);
      case 'attr':
        return attrService(broker, (attribute) => this.#prepareAttribute(attribute));
      case 'event':
        return eventService(broker);
      case 'service':
        return serviceService(broker);
      case 'module':
        return moduleService(this.modules);
      case 'runat':
        return runatService(this.#programs, () => this.#shell());
      case 'state-machine':
        return stateMachineService(this.lifecycle);
      case 'shutdown':
        return shutdownService(this.lifecycle)(broker);
      case 'engine':
        return { info: { handler: () => this.#host.engineInfo() } };
      default:
        return {};
    }
  }

  #builtin(name: string): BuiltinModule | undefined {
    const host = this.#host;
    switch (name) {
      case 'config':
        return {
          definition: configModule({
            modules: () => this.modules.names(),
            accept: (config) => {
              this.broker.config = config;
            },
            onSync: (follow) => this.#onSync(follow),
            readFiles: () => host.readConfig(),
          }),
        };
      case 'connector-local':
        return { definition: this.connector.definition, intercept: (module) => this.connector.attach(module) };
      case 'groups':
        return {
          definition: groupsModule({
            onChild: (listener) => this.overlay.onChild(listener),
            onGone: (listener) => this.overlay.onGone(listener),
            onMovedAway: (listener) => this.overlay.onMovedAway(listener),
            onParent: (listener) => this.#place.onParent(listener),
            subtree: () => host.topology.subtree(this.rank),
            hasMoved: () => !host.moves.isEmpty,
            isOf: (rank, child) => this.overlay.children.has(child) && host.topology.isInSubtree(rank, child),
          }),
        };
      case 'rexec':
        return host.programs ? { definition: rexecModule(() => this.#programHost(host.programs!)) } : {};
      case 'shell':
        return host.programs ? { definition: shellModule(() => this.#programHost(host.programs!)) } : {};
      case 'overlay':
        return { definition: overlayModule(this.#place.service, host.ring) };
      case 'content':
        return this.#nodeService(() => contentModule(host.store));
      case 'kvs':
        return this.#kvs();
      case 'kvs-watch':
        return this.#nodeService(() => kvsWatchModule(host.store, host.slowReaders));
      case 'resource':
        return this.rank === 0
          ? { definition: resourceModule(host.machines, host.openParent) }
          : { isRelay: true, definition: resourceFollower(host.machines) };
      case 'job-list':
        return { definition: jobListModule(host.slowReaders) };
      case 'job-manager':
        return this.rank === 0 ? { definition: jobManager } : undefined;
      case 'job-info':
        return this.#nodeService(() => jobInfo);
      case 'job-ingest': {
        const thread = { plugins: host.plugins, soon: host.store.soon };
        return this.rank === 0
          ? { definition: jobIngestModule(thread) }
          : { isRelay: true, definition: jobIngestFollower(thread) };
      }
      case 'content-sqlite':
      case 'content-files': {
        const definition = host.backingStore(name);
        return definition ? { definition } : {};
      }
      default:
        return this.#isShard(name) ? {} : undefined;
    }
  }

  #bundled(name: string): BuiltinModule | undefined {
    const definition = this.#host.modules.bundled(name);
    if (!definition) return undefined;
    return name === 'barrier' && this.#isLeafOfProcess() ? { isRelay: true } : { definition };
  }

  /** Whether no rank is below this one, and its parent in the same process, where many messages cost no more than one. */
  #isLeafOfProcess(): boolean {
    const { topology, nodeOfRank } = this.#host;
    const parent = topology.parent(this.rank);
    const isWithin = parent !== undefined && nodeOfRank[parent] === nodeOfRank[this.rank];
    return isWithin && topology.children(this.rank).length === 0;
  }

  /** At rank 0, or on threads of its own with one that hands requests out before them. */
  #kvs(): BuiltinModule {
    const { store, kvsShards } = this.#host;
    if (kvsShards === 0 || this.rank > 0) return this.#nodeService(() => kvsModule(store));
    return {
      definition: shardedKvs(kvsShards),
      intercept: () => dispatcher(kvsShards, (name) => this.modules.get(name)),
    };
  }

  #isShard(name: string): boolean {
    const { kvsShards } = this.#host;
    return this.rank === 0 && Array.from({ length: kvsShards }, (_, index) => kvsShard(index)).includes(name);
  }

  /** A service that all ranks of this process share: rank 0 has it. */
  #nodeService(define: () => ModuleDefinition): BuiltinModule {
    return this.rank === 0 ? { definition: define() } : { isRelay: true };
  }

  /** What those who run programs reach of this rank. */
  #programHost(thread: ProgramThread) {
    return {
      environment: async () => this.environment.all(),
      localUri: () => this.localUri(),
      thread,
    };
  }

  /** A parent has its modules once this rank may join it; `config`, loaded anew later, need not wait for that. */
  #onSync(follow: () => Promise<void>): void {
    this.#followConfig = follow;
    this.#followAgain();
  }

  #followAgain(): void {
    if (stateNumber(this.lifecycle.state) > stateNumber('config-sync')) this.#followConfig().catch(() => {});
  }

  async #loadBuiltins(): Promise<void> {
    this.overlay.join();
    for (const path of builtinModules) await this.modules.load({ path, args: [] });
  }

  // ---- programs

  #shell(): string {
    return this.environment.get('SHELL') ?? '/bin/bash';
  }

  #makePrograms(): RcPrograms {
    const { instance } = this.#host;
    const programs = new RcPrograms(this.broker, () => this.environment.all(), instance.workingDirectory);
    const usual = new DefaultRc({
      broker: this.broker,
      modules: this.modules,
      programs,
      shell: () => this.#shell(),
      variable: (name) => this.environment.get(name),
    });
    for (const name of ['rc1', 'rc3'] as const) {
      const text = instance[name];
      if (text === defaultRc[name]) name === 'rc1' ? usual.pushRc1() : usual.pushRc3();
      else if (text) programs.push(name, { argv: [this.#shell(), '-c', text], passThrough: false, text });
    }
    if (this.rank === 0 && instance.initialProgram) programs.push('rc2', instance.initialProgram);
    return programs;
  }

  // ---- life

  #stateChanged(state: State): void {
    // A thread may have no rank whose parent is in another process: such a one has learnt them when it joined.
    if (state === 'init') void this.#place.learnMoves();
    if (state === 'cleanup') this.overlay.refuseChildren();
    else if (state === 'shutdown') {
      this.overlay.refuseChildren();
      if (!this.overlay.awaitChildren()) this.lifecycle.post('children-none');
    } else if (state === 'goodbye' && this.rank > 0) {
      this.overlay.leave();
      this.broker.closeDirectWay();
      this.lifecycle.post('goodbye');
    }
    if (state === 'exit') {
      this.#silenceTimer?.cancel();
      this.#place.stop();
    }
    this.#host.stateChanged(this.rank, state);
  }

  start(): void {
    this.lifecycle.start();
    this.#watchSilence();
  }

  /** Only what is in other processes falls silent. */
  #watchSilence(): void {
    if (!this.#silenceTimer && this.overlay.hasRemoteLinks) this.#checkSilence();
  }

  /** As [tbon] says now: its torpid_min and torpid_max may change. */
  #checkSilence(): void {
    const { attributes, config, world } = this.broker;
    const table = isObject(config.tbon) ? config.tbon : {};
    const seconds = (name: string) => parseDuration(String(table[name] ?? attributes.get(`tbon.${name}`)));
    const torpidMin = seconds('torpid_min');
    this.overlay.checkSilence(torpidMin, seconds('torpid_max'));
    this.#silenceTimer = world.clock.after(Math.max(torpidMin / 4, 0.05), () => this.#checkSilence());
  }

  /** The instance can't go on with what happened here. */
  panic(text: string): void {
    this.broker.log('crit', text);
    this.lifecycle.panic();
  }

  /** Opens the socket of this rank's connector; it is there once this resolves. */
  listen(): Promise<void> {
    this.#listening ??= this.#host.listen(this.rank);
    return this.#listening;
  }

  async localUri(): Promise<string> {
    await this.listen();
    return this.broker.attributes.get('local-uri')!;
  }
}
