/**
 * Modules that users load: in a thread of their own that all ranks of this node share for one file, or each in a process.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import type net from 'node:net';
import { errno } from '../errno.ts';
import type { Methods } from '../handle/methods.ts';
import { Role } from '../message/credentials.ts';
import { threadOf } from '../ring/endpoint.ts';
import type { Connections } from './connections.ts';
import type { WorkerData } from './instance.ts';
import type { ThreadControl } from './thread-control.ts';
import type { WorkerPool } from './worker-pool.ts';

export interface ModuleLauncherOptions {
  readonly workers: WorkerPool;
  readonly control: ThreadControl;
  readonly connections: Connections;
  /** The program that runs a module in a process. */
  readonly entry: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly owner: number;
  workerData(thread: number): WorkerData;
  rankOfEndpoint(address: number): number;
}

interface ModuleProcess {
  readonly child: ChildProcess;
  readonly name: string;
  readonly rankThread: number;
  /** Why it ended, once it has. */
  end: string | undefined;
  reported: boolean;
}

/** Descriptor of a module process at which its socket is. */
const SOCKET_FD = 3;
const ignoredErrors = () => {};

export class ModuleLauncher {
  readonly #options: ModuleLauncherOptions;
  // The thread that runs a file's modules.
  readonly #threadOfFile = new Map<string, number>();
  readonly #processes = new Map<number, ModuleProcess>();

  constructor(options: ModuleLauncherOptions) {
    this.#options = options;
  }

  /** Starts a module for a rank and resolves to its endpoint, where its welcome is awaited. */
  async launch(path: string, name: string, rankEndpoint: number, inProcess: boolean): Promise<number> {
    return inProcess ? this.#launchProcess(path, name, rankEndpoint) : this.#launchInThread(path, rankEndpoint);
  }

  async #launchInThread(path: string, rankEndpoint: number): Promise<number> {
    const { workers, control, workerData } = this.#options;
    let thread = this.#threadOfFile.get(path);
    if (thread === undefined) {
      thread = workers.nextIndex();
      this.#threadOfFile.set(path, thread);
      workers.start(`module ${path}`, workerData(thread));
    }
    const { endpoint } = await control.rpc<{ endpoint: number }>(thread, 'module.start', { path, rankEndpoint });
    return endpoint;
  }

  #launchProcess(path: string, name: string, rankEndpoint: number): number {
    const { connections, entry, environment, owner, rankOfEndpoint } = this.#options;
    const child = spawn(process.execPath, [entry, path], {
      env: { ...environment, FLUX_MODULE_URI: `fd://${SOCKET_FD}` },
      stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
    });
    const socket = child.stdio[SOCKET_FD] as net.Socket;
    const peer = { userid: owner, rolemask: Role.owner | Role.local, pid: child.pid ?? 0 };
    const connection = connections.add(socket, rankOfEndpoint(rankEndpoint), peer);
    const module: ModuleProcess = { child, name, rankThread: threadOf(rankEndpoint), end: undefined, reported: false };
    this.#processes.set(connection.endpoint, module);
    child.on('error', ignoredErrors);
    child.on('exit', (code, signal) => {
      module.end = signal ? `killed by ${signal}` : code ? `exit code ${code}` : '';
      this.#report(connection.endpoint, module);
    });
    return connection.endpoint;
  }

  /** A connection is over; true when it was a module's. */
  gone(address: number): boolean {
    const module = this.#processes.get(address);
    if (!module) return false;
    if (module.end === undefined) {
      // It may only have closed its socket; without it, it is no use.
      module.child.kill('SIGTERM');
    } else this.#report(address, module);
    return true;
  }

  #report(address: number, module: ModuleProcess): void {
    if (module.reported) return;
    module.reported = true;
    this.#processes.delete(address);
    const text = module.end ? `process of module ${module.name}: ${module.end}` : undefined;
    this.#options.control.notify(module.rankThread, 'module.gone', {
      endpoint: address,
      errnum: text ? errno.ECONNRESET : 0,
      ...(text && { text }),
    });
  }

  /**
   * Ends a module without asking it.
   *
   * A thread may run the modules of several ranks; ending one of them so ends all.
   */
  kill(address: number): void {
    const module = this.#processes.get(address);
    if (module) {
      module.child.kill('SIGKILL');
      return;
    }
    const thread = threadOf(address);
    // What is loaded from now on is not to die with it.
    this.threadDied(thread);
    this.#options.workers.kill(thread);
  }

  /** A thread is gone; the next module of its file gets a new one. */
  threadDied(thread: number): void {
    for (const [file, each] of this.#threadOfFile) if (each === thread) this.#threadOfFile.delete(file);
  }

  killAll(): void {
    for (const { child } of this.#processes.values()) child.kill('SIGKILL');
  }
}

/** What the threads of ranks ask of the launcher. */
export function launcherMethods(launcher: () => ModuleLauncher): Methods {
  return {
    'module.launch': {
      handler: async (request) => {
        const { path, name, rankEndpoint, inProcess } = request.unpack({
          path: 's',
          name: 's',
          rankEndpoint: 'i',
          inProcess: 'b',
        });
        return { endpoint: await launcher().launch(path, name, rankEndpoint, inProcess) };
      },
    },
    'module.kill': {
      handler: (request) => {
        launcher().kill(request.unpack({ endpoint: 'i' }).endpoint);
        return undefined;
      },
    },
  };
}
