/**
 * One process of an instance: its main thread, which owns the sockets and the processes' signals, and its workers.
 */

import fs from 'node:fs';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { nativeStatus, takeStopped, yieldProcessor } from '../../native/index.ts';
import type { AccessPolicy } from '../broker/access-policy.ts';
import { FluxError } from '../errno.ts';
import type { Methods } from '../handle/methods.ts';
import type { JsonObject } from '../json.ts';
import { decodeMessage, SEQUENCE_FROM_END } from '../message/codec.ts';
import { createDoorbells } from '../ring/doorbell.ts';
import { indexOf, threadOf } from '../ring/endpoint.ts';
import { LargeBuffers } from '../ring/large-buffers.ts';
import { Mailbox } from '../ring/mailbox.ts';
import { bundlesFolder } from './bundles.ts';
import { Connections } from './connections.ts';
import { type Instance, socketPath } from './instance.ts';
import { linkHost } from './link-host.ts';
import { LogWriter } from './log-writer.ts';
import { launcherMethods, ModuleLauncher } from './module-launcher.ts';
import { type LinkSettings, NodeLinks } from './node-links.ts';
import { optimizeSooner } from './optimize-sooner.ts';
import { FEED_INDEX, hasReaders, leaderThread, MAIN, type Plan, remoteRankOf, THREADS_MAX } from './plan.ts';
import { discardFolders, type Prepared, prepare, type StartOptions } from './prepare.ts';
import { ringHost, ringMethods } from './ring-host.ts';
import { RingLinks } from './ring-links.ts';
import type { RingSettings } from './ring-neighbours.ts';
import { type InstanceFolder, removeFolder } from './run-directory.ts';
import { shareWires } from './shared-wires.ts';
import { ThreadControl } from './thread-control.ts';
import { WorkerPool } from './worker-pool.ts';

/** Bytes that may wait for one thread before sockets that feed it are read no more. */
const QUEUE_BYTES_MARK = 4 * 1024 * 1024;
/** The states in which a rank other than 0 that fails takes the instance with it. */
const startingStates = ['load-builtins', 'join', 'config-sync', 'init', 'quorum'];

export class FluxNode {
  readonly instance: Instance;
  readonly plan: Plan;
  /** Resolves to the exit code once the instance is over and cleaned up. */
  readonly exited: Promise<number>;
  /** Resolves when rank 0 runs; rejects when it ends before. */
  readonly running: Promise<void>;
  readonly #folders: readonly InstanceFolder[];
  readonly #mailbox: Mailbox;
  readonly #control: ThreadControl;
  readonly #workers: WorkerPool;
  readonly #connections: Connections;
  readonly #launcher: ModuleLauncher;
  readonly #stderr: (line: string) => void;
  readonly #exit: StartOptions['exit'];
  readonly #logWriter: LogWriter;
  readonly #ring: RingLinks;
  readonly #links: NodeLinks | undefined;
  readonly #congested = new Set<number>();
  /** The state of the first rank of this process. */
  #state = 'load-builtins';
  #hasRun = false;
  #hasPanicked = false;
  /** Whether another process was ever linked to. */
  #hasJoined = false;
  #ranksLeft: number;
  #over = false;
  // The highest of all ranks, where that counts.
  #exitCode = 0;
  #exitTimer: NodeJS.Timeout | undefined;
  #resolveExited!: (exitCode: number) => void;
  #resolveRunning!: () => void;
  #rejectRunning!: (error: FluxError) => void;

  private constructor({ instance, plan, folders }: Prepared, options: StartOptions) {
    this.instance = instance;
    this.plan = plan;
    this.#folders = folders;
    this.#exit = options.exit;
    this.#stderr = options.stderr ?? ((line) => process.stderr.write(`${line}\n`));
    this.#logWriter = new LogWriter(this.#stderr);
    this.exited = new Promise((resolve) => {
      this.#resolveExited = resolve;
    });
    this.running = new Promise((resolve, reject) => {
      this.#resolveRunning = resolve;
      this.#rejectRunning = reject;
    });
    // Whoever only waits for the end must not be told of this as of an error nobody took.
    this.running.catch(() => {});

    const bundles = options.bundles ?? bundlesFolder();
    const doorbells = createDoorbells(THREADS_MAX);
    const buffers = new LargeBuffers();
    this.#mailbox = new Mailbox({
      thread: MAIN,
      doorbells,
      ringBytes: plan.ringBytes,
      queueBytesMark: QUEUE_BYTES_MARK,
      sources: [],
      spinMicroseconds: plan.spinMicroseconds,
      letOthers: yieldProcessor,
      spins: 'when asked',
      connect: (to, memory) => this.#workers.connect(MAIN, to, memory),
      buffers,
      onRoundEnd: () => {
        this.#connections.flush();
        this.#links?.flush();
      },
      onCongestion: (thread, congested) => this.#setCongested(thread, congested),
    });
    this.#control = new ThreadControl(this.#mailbox, this.#methods());
    this.#workers = new WorkerPool(
      new URL('host.js', bundles),
      () => this.#mailbox,
      (thread, name, error) => this.#threadDied(thread, name, error),
    );
    this.#connections = this.#makeConnections(buffers);
    this.#ring = this.#makeRing(options.links);
    this.#links = options.links && this.#makeLinks(options.links, buffers);
    this.#ranksLeft = plan.threadOfRank.reduce((count, thread) => count + Number(thread !== MAIN), 0);
    this.#launcher = new ModuleLauncher({
      workers: this.#workers,
      control: this.#control,
      connections: this.#connections,
      entry: fileURLToPath(new URL('module-host.js', bundles)),
      environment: instance.environment,
      owner: instance.owner,
      workerData: (thread) => ({ thread, plan, doorbells, instance }),
      rankOfEndpoint: (address) => indexOf(address) - 1,
    });
    this.#start(doorbells);
  }

  /**
   * Starts an instance in this process. When it cannot be, its wires are closed: they would keep the process alive.
   *
   * @throws FluxError what is wrong with the options, the configuration or the folders
   */
  static async start(options: StartOptions = {}): Promise<FluxNode> {
    let prepared: Prepared | undefined;
    try {
      prepared = prepare(options);
      return await new FluxNode(prepared, options).#open();
    } catch (error) {
      if (prepared) discardFolders(prepared.folders);
      options.links?.wires.close();
      throw error;
    }
  }

  /** URI of the local connector of this process's first rank. */
  get uri(): string {
    return `local://${socketPath(this.instance.rundir, this.plan.firstRank)}`;
  }

  #makeConnections(buffers: LargeBuffers): Connections {
    return new Connections({
      mailbox: this.#mailbox,
      buffers,
      rundir: this.instance.rundir,
      owner: this.instance.owner,
      backlogBytesMax: this.plan.clientBacklogBytes,
      threadOfRank: (rank) => this.plan.threadOfRank[rank]!,
      connected: ({ endpoint, rank, thread, userid, rolemask, pid }) =>
        this.#control.notify(thread, 'client.connected', { endpoint, rank, userid, rolemask, pid }),
      gone: ({ endpoint, thread }) => {
        if (!this.#launcher.gone(endpoint)) this.#control.notify(thread, 'client.gone', { endpoint });
      },
      slow: ({ endpoint, thread }, isSlow) => this.#control.notify(thread, 'client.slow', { endpoint, isSlow }),
      log: (rank, severity, text) => this.#log(rank, severity, text, 'connector-local'),
    });
  }

  #makeLinks(settings: LinkSettings, buffers: LargeBuffers): NodeLinks {
    const host = linkHost(this.instance, this.plan, this.#mailbox, buffers, {
      isCongested: () => this.#congested.size > 0,
      setHeldUp: (isHeldUp) => this.#connections.setHeldUp(isHeldUp),
      tellRouters: (topic, payload) => this.#tellRouters(topic, payload),
      tellThreads: (topic, payload) => {
        for (const { index, services } of this.plan.threads)
          if (hasReaders(services)) this.#control.notify(index, topic, payload);
      },
      joined: (node) => this.#linkJoined(node),
      lost: (node, why) => this.#linkLost(node, why),
      note: (note) => {
        if (note.machine) this.#control.notify(leaderThread(this.plan), 'node.machine', note);
        else this.#panic(note);
      },
      log: (severity, text) => this.#log(this.plan.firstRank, severity, text, 'overlay'),
    });
    return new NodeLinks(host, { ...settings, wires: shareWires(settings.wires, this.#ring.server) });
  }

  #makeRing(settings: RingSettings | undefined): RingLinks {
    const host = ringHost(this.instance, this.plan, this.#control, {
      isCongested: () => this.#congested.size > 0,
      log: (severity, text) => this.#log(this.plan.firstRank, severity, text, 'overlay'),
    });
    return new RingLinks(host, settings);
  }

  #setCongested(thread: number, congested: boolean): void {
    if (congested) this.#congested.add(thread);
    else this.#congested.delete(thread);
    this.#connections.setCongested(thread, congested);
    if (this.#congested.size === 0) this.#links?.relieved();
  }

  #tellRouters(topic: string, payload: JsonObject): void {
    for (const { index, routes } of this.plan.threads) if (routes) this.#control.notify(index, topic, payload);
  }

  #log(rank: number, severity: string, text: string, appname: string): void {
    this.#control.notify(this.plan.threadOfRank[rank]!, 'rank.log', { rank, severity, text, appname });
  }

  /** Opens the first rank's socket; ends what was started when that can't be. */
  async #open(): Promise<this> {
    try {
      const { firstRank } = this.plan;
      await this.#connections.listen(firstRank);
      const lacking = nativeStatus();
      if (lacking) this.#log(firstRank, 'notice', lacking, 'broker');
      return this;
    } catch (error) {
      await this.#stopAll();
      throw error;
    }
  }

  #start(doorbells: SharedArrayBuffer): void {
    for (const { index, name } of this.plan.threads) {
      if (index !== MAIN)
        this.#workers.start(name, { thread: index, plan: this.plan, doorbells, instance: this.instance });
    }
    this.#links?.start();
    this.#ring.start();
    process.on('SIGCHLD', this.#onChild).on('exit', this.#removeFolders);
    void this.#mailbox
      .run((source, start, end, to, from) => {
        const index = indexOf(to);
        const rank = remoteRankOf(index);
        if (index === 0) this.#control.receive(decodeMessage(source, start, end), threadOf(from));
        else if (rank !== undefined) this.#links?.send(rank, indexOf(from) - 1, source, start, end);
        else if (index === FEED_INDEX)
          this.#links?.publish(source.readUInt32BE(end - SEQUENCE_FROM_END), source, start, end);
        else this.#connections.send(to, source, start, end);
      })
      .catch((error: Error) => this.#fatal(`main thread: ${error.stack ?? error.message}`));
  }

  readonly #removeFolders = (): void => {
    for (const folder of this.#folders) {
      try {
        if (folder.cleanup) removeFolder(folder);
      } catch (error) {
        this.#stderr(`cannot remove ${folder.path}: ${(error as Error).message}`);
      }
    }
  };

  /** Some child changed its state; one that was stopped is told to the thread that runs it. */
  readonly #onChild = (): void => {
    for (const [pid] of takeStopped())
      for (const { index, services } of this.plan.threads)
        if (services.length) this.#control.notify(index, 'process.stopped', { pid });
  };

  /** Ends the instance as a signal to its broker does; `exited` tells when it is over. */
  signal(signum: number): void {
    this.#tellRouters('signal', { signum });
  }

  // ---- what workers tell

  #methods(): Methods {
    const empty = (action: () => void): undefined => {
      action();
      return undefined;
    };
    return {
      listen: {
        handler: async (request) => {
          await this.#connections.listen(request.unpack({ rank: 'i' }).rank);
          return undefined;
        },
      },
      'link.reach': {
        handler: async (request) => {
          const { node, uri } = request.unpack({ node: 'i', uri: 's?' });
          await this.#links?.reach(node, uri);
          return undefined;
        },
      },
      'link.address': { handler: () => (this.#links?.uri === undefined ? {} : { uri: this.#links.uri }) },
      'client.close': {
        handler: (request) => empty(() => this.#connections.close(request.unpack({ endpoint: 'i' }).endpoint)),
      },
      access: {
        handler: (request) =>
          // From a thread of ours.
          empty(() => this.#setAccess(request.payload as unknown as AccessPolicy)),
      },
      'node.state': { handler: (request) => empty(() => this.#enter(request.unpack({ state: 's' }).state)) },
      'rank.exited': {
        handler: (request) => {
          const { rank, exitCode } = request.unpack({ rank: 'i', exitCode: 'i' });
          return empty(() => this.#rankExited(rank, exitCode));
        },
      },
      'reader.slow': { handler: (request) => empty(() => this.#links?.spread(request.payload as JsonObject)) },
      'engine.info': { handler: () => this.#describe() },
      ...this.#logWriter.methods,
      ...launcherMethods(() => this.#launcher),
      ...ringMethods(() => this.#ring),
    };
  }

  #setAccess(access: AccessPolicy): void {
    this.#connections.access = access;
    // Guests can only reach the sockets if they may search the folder.
    if (access.allowGuestUser && this.#folders[0]!.isNew) fs.chmodSync(this.instance.rundir, 0o755);
  }

  #describe(): JsonObject {
    const ranks = new Map<number, number>();
    for (const thread of this.plan.threadOfRank) if (thread !== MAIN) ranks.set(thread, (ranks.get(thread) ?? 0) + 1);
    const threads = this.#workers.threads().map(({ index, name, load }) => ({
      index,
      name,
      load,
      ranks: ranks.get(index) ?? 0,
      services: this.plan.threads[index]?.services ?? [],
    }));
    const rings = this.#workers.rings().map((ring) => ({ ...ring }));
    const { rss, heapUsed } = process.memoryUsage();
    return {
      cores: os.availableParallelism(),
      threads,
      rings,
      clients: this.#connections.count,
      memory: { rss, heapUsed },
    };
  }

  // ---- the end

  #enter(state: string): void {
    this.#state = state;
    if (state !== 'run') return;
    this.#hasRun = true;
    this.#resolveRunning();
    optimizeSooner();
  }

  #rankExited(rank: number, exitCode: number): void {
    const { mode, timeout } = this.#exit ?? {};
    this.#ranksLeft--;
    if (mode === 'any' || this.plan.firstRank > 0) this.#exitCode = Math.max(this.#exitCode, exitCode);
    if (rank > 0 && exitCode && !this.#hasRun) this.failStart(`rank ${rank} failed to start`, exitCode);
    if (rank === 0 || this.#ranksLeft === 0) {
      void this.#finish(rank === 0 && mode !== 'any' ? exitCode : this.#exitCode);
      return;
    }
    if (mode !== 'any' || timeout === undefined || this.#exitTimer) return;
    const end = () => this.#fatal(`rank ${rank} has exited and the others have not in ${timeout}s: killed`);
    this.#exitTimer = setTimeout(end, timeout * 1000);
  }

  /** The instance cannot start. */
  failStart(why: string, exitCode: number): void {
    const note = { text: `${why} (exit code ${exitCode})`, exitCode };
    if (this.plan.firstRank > 0) this.#links?.tell(note);
    else this.#panic(note);
  }

  /** Ends the start of rank 0, for the first reason; one that is over, or ends already, is left alone. */
  #panic(note: JsonObject): void {
    if (this.#hasPanicked || !startingStates.includes(this.#state)) return;
    this.#hasPanicked = true;
    this.#control.notify(leaderThread(this.plan), 'panic', note);
  }

  #linkJoined(node: number): void {
    if (!this.#hasJoined) this.#exitCode = 0;
    this.#hasJoined = true;
    this.#tellRouters('link.joined', { node });
  }

  #linkLost(node: number, why: string): void {
    // Who never becomes part of the instance has failed.
    if (!this.#hasJoined) this.#exitCode = 1;
    this.#tellRouters('link.lost', { node, why });
    // Who starts all processes together starts none again.
    const { ranks } = this.instance.placement.nodes[node]!;
    if (this.#exit && !this.#hasRun) this.failStart(`ranks ${ranks} are lost: ${why}`, 1);
  }

  /** `error` is undefined when it was killed on demand. */
  #threadDied(thread: number, name: string, error: Error | undefined): void {
    this.#control.threadDied(thread);
    this.#mailbox.disconnect(thread);
    if (error) {
      const report = `thread ${thread} (${name}) died: ${error.stack ?? error.message}`;
      if (this.plan.threads[thread]?.routes) {
        this.#fatal(report);
        return;
      }
      this.#stderr(report);
    }
    this.#launcher.threadDied(thread);
    const text = error ? `thread ${name} died: ${error.message}` : 'killed';
    for (const { index, routes } of this.plan.threads)
      if (routes) this.#control.notify(index, 'thread.died', { thread, text });
  }

  /** Something without which the instance can't even end in order. */
  #fatal(text: string): void {
    if (this.#over) return;
    this.#stderr(text);
    void this.#finish(1);
  }

  async #finish(exitCode: number): Promise<void> {
    if (this.#over) return;
    this.#rejectRunning(
      new FluxError('ECANCELED', `the instance ended in state ${this.#state} with exit code ${exitCode}`),
    );
    await this.#stopAll();
    this.#removeFolders();
    this.#resolveExited(exitCode);
  }

  async #stopAll(): Promise<void> {
    this.#over = true;
    clearTimeout(this.#exitTimer);
    process.off('SIGCHLD', this.#onChild).off('exit', this.#removeFolders);
    await this.#connections.closeAll();
    this.#launcher.killAll();
    this.#mailbox.stop();
    await this.#workers.stopAll();
    this.#ring.close();
    this.#links?.close();
  }
}
