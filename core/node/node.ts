/**
 * One process of an instance: its main thread, which owns the sockets and the processes' signals, and its workers.
 */

import fs from 'node:fs';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { nativeStatus, takeStopped } from '../../native/index.ts';
import type { AccessPolicy } from '../broker/access-policy.ts';
import { FluxError } from '../errno.ts';
import type { Methods } from '../handle/methods.ts';
import type { JsonObject } from '../json.ts';
import { decodeMessage } from '../message/codec.ts';
import { createDoorbells } from '../ring/doorbell.ts';
import { indexOf, threadOf } from '../ring/endpoint.ts';
import { LargeBuffers } from '../ring/large-buffers.ts';
import { Mailbox } from '../ring/mailbox.ts';
import { bundlesFolder } from './bundles.ts';
import { Connections } from './connections.ts';
import { type Instance, socketPath } from './instance.ts';
import { LogWriter } from './log-writer.ts';
import { launcherMethods, ModuleLauncher } from './module-launcher.ts';
import { optimizeSooner } from './optimize-sooner.ts';
import { leaderThread, MAIN, type Plan, THREADS_MAX } from './plan.ts';
import { discardFolders, type Prepared, prepare, type StartOptions } from './prepare.ts';
import { type InstanceFolder, removeFolder } from './run-directory.ts';
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
  #leaderState = 'load-builtins';
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
      spins: 'when asked',
      connect: (to, memory) => this.#workers.connect(MAIN, to, memory),
      buffers,
      onRoundEnd: () => this.#connections.flush(),
      onCongestion: (thread, congested) => this.#connections.setCongested(thread, congested),
    });
    this.#control = new ThreadControl(this.#mailbox, this.#methods());
    this.#workers = new WorkerPool(
      new URL('host.js', bundles),
      () => this.#mailbox,
      (thread, name, error) => this.#threadDied(thread, name, error),
    );
    this.#connections = this.#makeConnections(buffers);
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
   * Starts an instance in this process.
   *
   * @throws FluxError what is wrong with the options, the configuration or the folders
   */
  static async start(options: StartOptions = {}): Promise<FluxNode> {
    const prepared = prepare(options);
    try {
      return await new FluxNode(prepared, options).#open();
    } catch (error) {
      discardFolders(prepared.folders);
      throw error;
    }
  }

  /** URI of rank 0's local connector. */
  get uri(): string {
    return `local://${socketPath(this.instance.rundir, 0)}`;
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

  #log(rank: number, severity: string, text: string, appname: string): void {
    this.#control.notify(this.plan.threadOfRank[rank]!, 'rank.log', { rank, severity, text, appname });
  }

  /** Opens rank 0's socket; ends what was started when that can't be. */
  async #open(): Promise<this> {
    try {
      await this.#connections.listen(0);
      const lacking = nativeStatus();
      if (lacking) this.#log(0, 'notice', lacking, 'broker');
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
    process.on('SIGCHLD', this.#onChild).on('exit', this.#removeFolders);
    void this.#mailbox
      .run((source, start, end, to, from) => {
        if (indexOf(to) !== 0) this.#connections.send(to, source, start, end);
        else this.#control.receive(decodeMessage(source, start, end), threadOf(from));
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
    for (const { index, routes } of this.plan.threads) if (routes) this.#control.notify(index, 'signal', { signum });
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
      'client.close': {
        handler: (request) => empty(() => this.#connections.close(request.unpack({ endpoint: 'i' }).endpoint)),
      },
      access: {
        handler: (request) =>
          // From a thread of ours.
          empty(() => this.#setAccess(request.payload as unknown as AccessPolicy)),
      },
      'leader.state': { handler: (request) => empty(() => this.#leaderIn(request.unpack({ state: 's' }).state)) },
      'rank.exited': {
        handler: (request) => {
          const { rank, exitCode } = request.unpack({ rank: 'i', exitCode: 'i' });
          return empty(() => this.#rankExited(rank, exitCode));
        },
      },
      'engine.info': { handler: () => this.#describe() },
      ...this.#logWriter.methods,
      ...launcherMethods(() => this.#launcher),
    };
  }

  #setAccess(access: AccessPolicy): void {
    this.#connections.access = access;
    // Guests can only reach the sockets if they may search the folder.
    if (access.allowGuestUser && this.#folders[0]!.isNew) fs.chmodSync(this.instance.rundir, 0o755);
  }

  #describe(): JsonObject {
    const ranks = new Map<number, number>();
    for (const thread of this.plan.threadOfRank) ranks.set(thread, (ranks.get(thread) ?? 0) + 1);
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

  #leaderIn(state: string): void {
    this.#leaderState = state;
    if (state !== 'run') return;
    this.#resolveRunning();
    optimizeSooner();
  }

  #rankExited(rank: number, exitCode: number): void {
    const { mode, timeout } = this.#exit ?? {};
    if (mode === 'any') this.#exitCode = Math.max(this.#exitCode, exitCode);
    if (rank === 0) {
      void this.#finish(mode === 'any' ? this.#exitCode : exitCode);
      return;
    }
    if (exitCode && startingStates.includes(this.#leaderState))
      this.#control.notify(leaderThread(this.plan), 'panic', {
        text: `rank ${rank} failed to start (exit code ${exitCode})`,
        exitCode,
      });
    if (mode !== 'any' || timeout === undefined || this.#exitTimer) return;
    const end = () => this.#fatal(`rank ${rank} has exited and the others have not in ${timeout}s: killed`);
    this.#exitTimer = setTimeout(end, timeout * 1000);
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
      new FluxError('ECANCELED', `the instance ended in state ${this.#leaderState} with exit code ${exitCode}`),
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
  }
}
