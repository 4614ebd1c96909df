/**
 * The ranks of one thread: hands what comes over the rings to the rank it is for, and what ranks send to each other from
 * one to the next.
 *
 * Two ranks on this thread hand messages over by reference. They go through a queue, not through calls, so a message may
 * pass any number of ranks without growing the stack, and every link keeps its order. What the ranks ask of a service that
 * they share does not pass links at all (`DirectWays`).
 */

import { DirectWays } from '../../core/broker/direct-ways.ts';
import { EventBus } from '../../core/broker/event-bus.ts';
import type { Severity } from '../../core/broker/log-format.ts';
import type { Module } from '../../core/broker/module.ts';
import type { LogSink } from '../../core/broker/services/log.ts';
import { FluxError } from '../../core/errno.ts';
import type { Methods } from '../../core/handle/methods.ts';
import { type JsonObject, parseJson } from '../../core/json.ts';
import { decodeMessage, encodeMessage } from '../../core/message/codec.ts';
import { type Message, MessageType } from '../../core/message/message.ts';
import { readConfigPath } from '../../core/node/config-files.ts';
import { type Instance, topologyOf } from '../../core/node/instance.ts';
import {
  eventEndpoints,
  FEED_INDEX,
  hasReaders,
  kvsShards,
  leaderThread,
  MAIN,
  type Plan,
  rankIndex,
  remoteRankIndex,
  remoteRankOf,
  threadOfService,
} from '../../core/node/plan.ts';
import { RING_FRAME, RING_LIST } from '../../core/node/ring-host.ts';
import type { ThreadControl } from '../../core/node/thread-control.ts';
import { Moves, REPARENT_EVENT } from '../../core/overlay/moves.ts';
import type { Overlay } from '../../core/overlay/overlay.ts';
import { nodesOfRanks } from '../../core/overlay/placement.ts';
import type { Topology } from '../../core/overlay/topology.ts';
import { endpoint, indexOf, threadOf } from '../../core/ring/endpoint.ts';
import type { Mailbox } from '../../core/ring/mailbox.ts';
import { bundledModule } from '../bundled.ts';
import type { ConnectorHost } from '../connector-local/connector.ts';
import type { StoreThread } from '../content/access.ts';
import { PluginPool } from '../job-ingest/plugin-pool.ts';
import { RealMachines } from '../machines.ts';
import { resolveModule } from '../module-files.ts';
import type { ProgramThread } from '../shell/host.ts';
import { openParent, realWorld } from '../world.ts';
import { Rank, type RankHost } from './rank.ts';
import { remoteLinkMethods } from './remote-links.ts';
import { RingRequests } from './ring-requests.ts';

/** Ranks that are started before timers and rings have their turn. */
const START_BATCH = 64;

/** Bytes that may wait for the thread of a user's module before its requests are refused. */
const MODULE_BACKLOG = 64 * 1024 * 1024;

/** A module of a rank that runs elsewhere, by the endpoint it has there. */
interface Remote {
  readonly rank: Rank;
  readonly module: Module;
}

/** A message between ranks of this thread, on its way. */
interface Hop {
  readonly overlay: Overlay;
  readonly from: number;
  readonly message: Message;
}

export class Router {
  readonly #mailbox: Mailbox;
  readonly #control: ThreadControl;
  readonly #plan: Plan;
  readonly #instance: Instance;
  readonly #programs: ProgramThread;
  readonly #store: StoreThread;
  readonly #topology: Topology;
  /** The process of each rank. */
  readonly #nodeOfRank: Int32Array;
  readonly #moves: Moves;
  readonly #machines: RealMachines;
  readonly #ring: RingRequests;
  /** What the main thread tells. */
  readonly methods: Methods;
  /** Where rank 0's events go beside this thread. */
  readonly #eventEndpoints: readonly number[];
  readonly #bus: EventBus;
  readonly #directWays: DirectWays | undefined;
  readonly #ranks = new Map<number, Rank>();
  // The rank of each client, by the client's endpoint.
  readonly #rankOfClient = new Map<number, Rank>();
  readonly #slowClients = new Set<number>();
  // Threads of the plan that ran services, and never will again.
  readonly #deadThreads = new Set<number>();
  readonly #remotes = new Map<number, Remote>();
  #hops: Hop[] = [];
  #draining = false;
  // The encoded form of the event that is being delivered, made for the first client or module that gets it.
  #encodedEvent: { readonly event: Message; readonly bytes: Buffer } | undefined;

  constructor(
    mailbox: Mailbox,
    control: ThreadControl,
    plan: Plan,
    instance: Instance,
    programs: ProgramThread,
    store: StoreThread,
  ) {
    this.#mailbox = mailbox;
    this.#programs = programs;
    this.#store = store;
    this.#control = control;
    this.#plan = plan;
    this.#instance = instance;
    this.#topology = topologyOf(instance);
    const nodeOfRank = nodesOfRanks(instance.placement.nodes, instance.size);
    this.#nodeOfRank = nodeOfRank;
    this.#moves = new Moves(
      { topology: this.#topology, overlay: (rank) => this.#ranks.get(rank)?.overlay },
      instance.placement.own === 0,
    );
    this.#machines = new RealMachines(instance, nodeOfRank);
    this.#ring = this.#makeRing(nodeOfRank);
    const overlays = () => Array.from(this.#ranks.values(), ({ overlay }) => overlay);
    this.methods = {
      ...this.#methods,
      ...this.#ring.methods,
      ...remoteLinkMethods({ overlays, nodeOfRank, machines: this.#machines }),
    };
    this.#eventEndpoints = [
      ...eventEndpoints(plan, mailbox.thread),
      ...(instance.placement.nodes.length > 1 ? [endpoint(MAIN, FEED_INDEX)] : []),
    ];
    this.#bus = new EventBus(
      (event) => this.#broadcast(event),
      (event) => this.#takeMove(event),
    );
    const host = this.#rankHost();
    for (let rank = 0; rank < instance.size; rank++)
      if (plan.threadOfRank[rank] === mailbox.thread) this.#ranks.set(rank, new Rank(rank, host));
    const leader = this.#ranks.get(0);
    if (leader) this.#directWays = new DirectWays(leader.broker);
  }

  /** Starts the ranks, parents first. */
  async start(): Promise<void> {
    let started = 0;
    for (const rank of this.#ranks.values()) {
      if (!this.#instance.startsAll && rank.rank > 0) continue;
      rank.start();
      if (++started % START_BATCH === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #rankHost(): RankHost {
    const instance = this.#instance;
    const config = parseJson(instance.config) as JsonObject;
    const { thread } = this.#mailbox;
    return {
      instance,
      topology: this.#topology,
      sharedAttributes: new Map(instance.attributes),
      config,
      bus: this.#bus,
      world: realWorld,
      clients: this.#clientHost(),
      log: this.#logSink(),
      modules: this.#moduleSource(),
      slowReaders: this.#programs.slowReaders,
      kvsShards: kvsShards(this.#plan),
      store: this.#store,
      plugins: new PluginPool(),
      backingStore: () => undefined,
      programs: this.#plan.threads[thread]!.services.includes('rexec') ? this.#programs : undefined,
      directWays: () => this.#directWays,
      nodeOfRank: this.#nodeOfRank,
      moves: this.#moves,
      reach: async (rank, uri) => {
        const node = this.#nodeOfRank[rank]!;
        if (node !== instance.placement.own)
          await this.#control.rpc(MAIN, 'link.reach', { node, ...(uri !== undefined && { uri }) });
      },
      address: async () => (await this.#control.rpc<{ uri?: string }>(MAIN, 'link.address')).uri,
      connect: (from, to) => this.#connect(from, to),
      ring: this.#ring,
      listen: async (rank) => {
        await this.#control.rpc(MAIN, 'listen', { rank });
      },
      readConfig: () => (instance.configPath === undefined ? undefined : readConfigPath(instance.configPath)),
      machines: this.#machines,
      openParent,
      engineInfo: () => this.#control.rpc(MAIN, 'engine.info'),
      severed: (rank) => {
        for (const below of this.#topology.subtree(rank)) {
          this.#ranks.get(below)?.broker.cutOff();
        }
      },
      stateChanged: (rank, state) => {
        if (rank === this.#plan.firstRank) this.#control.notify(MAIN, 'node.state', { state });
      },
      exited: (rank, exitCode) => this.#control.notify(MAIN, 'rank.exited', { rank, exitCode }),
    };
  }

  #makeRing(nodeOfRank: Int32Array): RingRequests {
    return new RingRequests({
      clock: realWorld.clock,
      random: realWorld.random,
      placement: this.#instance.placement,
      nodeOfRank,
      send: (frame) => this.#control.notify(MAIN, RING_FRAME, frame),
      request: (rank, ...asked) => this.#ranks.get(rank)?.broker.request(...asked),
      list: () => this.#control.rpc(MAIN, RING_LIST),
    });
  }

  #logSink(): LogSink {
    return {
      stderr: (line) => this.#control.notify(MAIN, 'log.stderr', { line }),
      file: (path, line) => this.#control.notify(MAIN, 'log.file', { path, line }),
      syslog: (severity, line) => this.#control.notify(MAIN, 'log.syslog', { severity, line }),
    };
  }

  #clientHost(): ConnectorHost {
    const own = endpoint(this.#mailbox.thread, 0);
    return {
      send: (client, message) => this.#mailbox.send(client, own, message),
      sendEvent: (client, event) => this.#sendEvent(client, own, event),
      close: (client) => this.#control.notify(MAIN, 'client.close', { endpoint: client }),
      setAccess: (policy) => this.#control.notify(MAIN, 'access', { ...policy }),
    };
  }

  /** Many may get an event: it is encoded once. */
  #sendEvent(to: number, from: number, event: Message): void {
    if (this.#encodedEvent?.event !== event) this.#encodedEvent = { event, bytes: encodeMessage(event) };
    const { bytes } = this.#encodedEvent;
    this.#mailbox.sendBytes(to, from, bytes, 0, bytes.length);
  }

  #moduleSource(): RankHost['modules'] {
    return {
      bundled: (name) => bundledModule(name),
      resolve: (target) => resolveModule(target, this.#instance.environment.FLUX_MODULE_PATH),
      launch: async (module, welcome, inProcess) => {
        const rank = this.#ranks.get(module.rank)!;
        const from = endpoint(this.#mailbox.thread, rankIndex(rank.rank));
        const { endpoint: address } = this.#plan.threads.some(({ services }) => services.includes(module.path))
          ? await this.#startService(module.path, rank.rank, from)
          : await this.#control.rpc<{ endpoint: number }>(MAIN, 'module.launch', {
              path: module.path,
              name: module.name,
              rankEndpoint: from,
              inProcess,
            });
        const thread = threadOf(address);
        this.#remotes.set(address, { rank, module });
        this.#mailbox.send(address, from, welcome);
        return {
          send: (message) => {
            if (message.type === MessageType.event) this.#sendEvent(address, from, message);
            else this.#mailbox.send(address, from, message);
          },
          kill: () => this.#control.notify(MAIN, 'module.kill', { endpoint: address }),
          isFull: () => !(thread in this.#plan.threads) && this.#mailbox.queuedBytes(thread) > MODULE_BACKLOG,
        };
      },
    };
  }

  async #startService(service: string, rank: number, rankEndpoint: number): Promise<{ endpoint: number }> {
    const thread = threadOfService(this.#plan, service, rank);
    if (this.#deadThreads.has(thread))
      throw new FluxError('EHOSTUNREACH', `thread ${this.#plan.threads[thread]!.name} has died`);
    return this.#control.rpc(thread, 'service.start', { service, rankEndpoint });
  }

  // ---- what comes over the rings

  /** Takes a message to one of this thread's endpoints other than the thread itself. */
  receive(source: Buffer, start: number, end: number, to: number, from: number): void {
    const rank = this.#ranks.get(indexOf(to) - 1);
    if (!rank) return;
    let message: Message;
    try {
      message = decodeMessage(source, start, end);
    } catch (error) {
      this.#refuse(rank, from, error as FluxError);
      return;
    }
    this.#dispatch(rank, message, from);
    this.#drainHops();
  }

  /** What came over a socket is no message: its connection ends. What our own threads send is one, or they have a bug. */
  #refuse(rank: Rank, from: number, error: FluxError): void {
    if (threadOf(from) !== MAIN) throw error;
    const who = this.#remotes.get(from)?.module.name ?? 'a client';
    rank.broker.log('err', `${who} sent what is no message: ${error.message}`, 'connector-local');
    this.#control.notify(MAIN, 'client.close', { endpoint: from });
  }

  #dispatch(rank: Rank, message: Message, from: number): void {
    if (this.#rankOfClient.has(from)) {
      rank.connector.receive(from, message);
      return;
    }
    const remote = this.#remotes.get(from);
    if (remote) {
      remote.module.receive(message);
      return;
    }
    if (from === endpoint(leaderThread(this.#plan), 0)) {
      this.#bus.deliver(message);
      return;
    }
    // On main there are ranks of other processes, and connections that were closed here already.
    const peer = threadOf(from) === MAIN ? remoteRankOf(indexOf(from)) : indexOf(from) - 1;
    if (peer !== undefined) rank.overlay.receive(peer, message);
  }

  /** A move may lead to other events, which come after its own. */
  #takeMove(event: Message): void {
    if (event.topic !== REPARENT_EVENT) return;
    try {
      this.#moves.takeEvent(event);
    } catch (error) {
      this.#ranks.get(0)?.broker.log('err', `${event.topic}: ${(error as FluxError).message}`, 'overlay');
    }
  }

  // ---- between ranks

  #connect(from: number, to: number): (message: Message) => void {
    const thread = this.#plan.threadOfRank[to]!;
    const own = this.#mailbox.thread;
    if (thread !== own) {
      const index = thread === MAIN ? remoteRankIndex(to) : rankIndex(to);
      const [near, far] = [endpoint(own, rankIndex(from)), endpoint(thread, index)];
      return (message) => this.#mailbox.send(far, near, message);
    }
    // Found when first needed: the other rank may not be made yet.
    let overlay: Overlay | undefined;
    return (message) => {
      overlay ??= this.#ranks.get(to)!.overlay;
      this.#hops.push({ overlay, from, message });
      if (this.#hops.length === 1 && !this.#draining) queueMicrotask(() => this.#drainHops());
    };
  }

  #drainHops(): void {
    if (this.#draining) return;
    this.#draining = true;
    try {
      while (this.#hops.length) {
        const hops = this.#hops;
        this.#hops = [];
        for (const { overlay, from, message } of hops) overlay.receive(from, message);
      }
    } finally {
      this.#draining = false;
    }
  }

  /** Rank 0 has numbered an event: the other threads with ranks get it, and the other processes. */
  #broadcast(event: Message): void {
    if (!this.#eventEndpoints.length) return;
    const bytes = encodeMessage(event);
    const own = endpoint(this.#mailbox.thread, 0);
    for (const to of this.#eventEndpoints) this.#mailbox.sendBytes(to, own, bytes, 0, bytes.length);
  }

  /** Programs and watches whose output goes to a client wait while it is slow, wherever they are. */
  #setSlow(client: number, isSlow: boolean): void {
    const uuid = this.#rankOfClient.get(client)?.connector.uuidOf(client);
    if (uuid === undefined || this.#slowClients.has(client) === isSlow) return;
    if (isSlow) this.#slowClients.add(client);
    else this.#slowClients.delete(client);
    const reader = { client: uuid, isSlow };
    for (const { index, services } of this.#plan.threads)
      if (hasReaders(services)) this.#control.notify(index, 'reader.slow', reader);
    if (this.#instance.placement.nodes.length > 1) this.#control.notify(MAIN, 'reader.slow', reader);
  }

  // ---- what the main thread tells

  readonly #methods: Methods = {
    'client.connected': {
      handler: (request) => {
        const {
          endpoint: client,
          rank,
          userid,
          rolemask,
          pid,
        } = request.unpack({ endpoint: 'i', rank: 'i', userid: 'i', rolemask: 'i', pid: 'i' });
        const host = this.#ranks.get(rank)!;
        this.#rankOfClient.set(client, host);
        host.connector.connected(client, { userid, rolemask }, pid);
        return undefined;
      },
    },
    'client.slow': {
      handler: (request) => {
        const { endpoint: client, isSlow } = request.unpack({ endpoint: 'i', isSlow: 'b' });
        this.#setSlow(client, isSlow);
        return undefined;
      },
    },
    'client.gone': {
      handler: (request) => {
        const { endpoint: client } = request.unpack({ endpoint: 'i' });
        this.#setSlow(client, false);
        this.#rankOfClient.get(client)?.connector.disconnected(client);
        this.#rankOfClient.delete(client);
        this.#drainHops();
        return undefined;
      },
    },
    'module.gone': {
      handler: (request) => {
        const { endpoint: address, errnum, text } = request.unpack({ endpoint: 'i', errnum: 'i', text: 's?' });
        const remote = this.#remotes.get(address);
        this.#remotes.delete(address);
        remote?.rank.modules.exited(remote.module, errnum ? new FluxError(errnum, text) : undefined);
        return undefined;
      },
    },
    'thread.died': {
      handler: (request) => {
        const { thread, text } = request.unpack({ thread: 'i', text: 's' });
        if (thread in this.#plan.threads) this.#deadThreads.add(thread);
        for (const [address, { rank, module }] of [...this.#remotes]) {
          if (threadOf(address) !== thread) continue;
          this.#remotes.delete(address);
          rank.modules.exited(module, new FluxError('EHOSTUNREACH', text));
        }
        return undefined;
      },
    },
    'rank.environment': {
      handler: (request) => this.#ranks.get(request.unpack({ rank: 'i' }).rank)?.environment.all() ?? {},
    },
    'rank.log': {
      handler: (request) => {
        const { rank, severity, text, appname } = request.unpack({ rank: 'i', severity: 's', text: 's', appname: 's' });
        this.#ranks.get(rank)?.broker.log(severity as Severity, text, appname);
        return undefined;
      },
    },
    signal: {
      handler: (request) => {
        const { signum } = request.unpack({ signum: 'i' });
        for (const { rank, lifecycle, overlay } of this.#ranks.values()) {
          // Others end as their parents do, but nobody else tells the programs that keep them from that.
          if (rank === 0 || overlay.parent?.isRemote) lifecycle.signal(signum);
          else lifecycle.abortProgram();
        }
        return undefined;
      },
    },
    panic: {
      handler: (request) => {
        const { text, exitCode = 1 } = request.unpack({ text: 's', exitCode: 'i?' });
        const leader = this.#ranks.get(0);
        leader?.broker.log('crit', text);
        leader?.lifecycle.panic(exitCode);
        return undefined;
      },
    },
  };
}
