/**
 * The module `rexec`: runs programs for clients of its rank (RFC 42).
 */

import type { ModuleDefinition, Service, ServiceContext } from '../../core/broker/service.ts';
import { FluxError } from '../../core/errno.ts';
import { decodeIo } from '../../core/formats/io.ts';
import { LATER, type Method, type Methods, type Request } from '../../core/handle/methods.ts';
import { ExecFlag, LocalExecFlag } from '../../core/handle/remote-process.ts';
import type { JsonObject } from '../../core/json.ts';
import { Role } from '../../core/message/credentials.ts';
import { isObject } from '../../core/message/unpack.ts';
import { endPrograms } from '../end-programs.ts';
import { type Command, parseCommand } from './command.ts';
import type { SlowReaders } from './slow-readers.ts';
import { requestKey, Subprocess } from './subprocess.ts';

export interface RexecHost {
  /** The environment of the rank now. */
  environment(): Promise<Readonly<Record<string, string>>>;
  /** FLUX_URI of the programs of this rank; its socket is there once this resolves. */
  localUri(): Promise<string>;
  readonly thread: RexecThread;
}

/** What the programs of one thread have in common, of whichever ranks they are. */
export interface RexecThread {
  readonly slowReaders: SlowReaders;
  /** Resolves when the thread has time to start a program. */
  spawnTurn(): Promise<void>;
}

export function rexecModule(host: (context: ServiceContext) => RexecHost): ModuleDefinition {
  return { start: (context) => new Rexec(context, host(context)) };
}

class Rexec implements Service {
  readonly #context: ServiceContext;
  readonly #host: RexecHost;
  readonly #byPid = new Map<number, Subprocess>();
  readonly #byLabel = new Map<string, Subprocess>();
  // Those that a client may write to, by the request that started them.
  readonly #byRequest = new Map<string, Subprocess>();
  // Requests that are being looked into; what their clients send next waits for that.
  readonly #starting = new Map<string, { readonly sender: string; readonly done: Promise<unknown>; gone: boolean }>();
  #onIdle: (() => void) | undefined;

  constructor(context: ServiceContext, host: RexecHost) {
    this.#context = context;
    this.#host = host;
  }

  /** On rank 0 of an instance with guests, only those who are on that rank may run programs. */
  #checkAllowed(request: Request): void {
    if (this.#context.rank > 0 || request.rolemask & Role.local) return;
    const { access } = this.#context.config;
    if (isObject(access) && access['allow-guest-user'] === true)
      throw new FluxError('EPERM', 'Remote rexec requests are not allowed on rank 0');
  }

  #find(pid: number, label: string | undefined): Subprocess {
    const found = label === undefined ? this.#byPid.get(pid) : this.#byLabel.get(label);
    if (found) return found;
    const what = label === undefined ? `pid ${pid}` : `label ${label}`;
    throw new FluxError('ESRCH', `${what} does not belong to any subprocess`);
  }

  #running(): Subprocess[] {
    return [...this.#byPid.values()].filter((subprocess) => !subprocess.isOver);
  }

  /** Forgets one that is over, unless somebody may still ask for its status. */
  #reap(subprocess: Subprocess): void {
    if (!subprocess.isOver || subprocess.isWaitable) return;
    this.#byPid.delete(subprocess.pid);
    if (subprocess.command.label !== undefined) this.#byLabel.delete(subprocess.command.label);
    this.#byRequest.delete(subprocess.requestKey);
  }

  #ended(subprocess: Subprocess): void {
    this.#reap(subprocess);
    if (this.#onIdle && this.#running().length === 0) this.#onIdle();
  }

  async #parse(json: JsonObject): Promise<Command> {
    const uri = await this.#host.localUri();
    // Only a request that names no variables needs to know those of this rank.
    const isEmpty = isObject(json.env) && Object.keys(json.env).length === 0;
    return parseCommand(json, isEmpty ? await this.#host.environment() : {}, uri);
  }

  async #exec(request: Request): Promise<typeof LATER> {
    const key = requestKey(request.sender, request.message.matchtag);
    const done = this.#start(request, () => starting.gone);
    const starting = { sender: request.sender, done: done.catch(() => {}), gone: false };
    this.#starting.set(key, starting);
    try {
      await done;
    } finally {
      this.#starting.delete(key);
    }
    return LATER;
  }

  async #start(request: Request, isGone: () => boolean): Promise<void> {
    const background = !request.isStreaming;
    const { cmd, flags, local_flags: localFlags = 0 } = request.unpack({ cmd: 'o', flags: 'i', local_flags: 'i?' });
    if (background && flags & ExecFlag.writeCredit)
      throw new FluxError('EINVAL', 'write-credit flag is not allowed in background mode');
    if (background && localFlags & LocalExecFlag.passThrough)
      throw new FluxError('EINVAL', 'stdio-fallthrough flag is not allowed in background mode');
    if (!background && flags & ExecFlag.waitable)
      throw new FluxError('EINVAL', 'waitable flag only supported in background mode');
    const command = await this.#parse(cmd);
    const { thread } = this.#host;
    await thread.spawnTurn();
    if (isGone() && !background) throw new FluxError('ECONNABORTED', 'the client is gone');
    if (command.label !== undefined && this.#byLabel.has(command.label))
      throw new FluxError('EINVAL', 'command label is not unique');
    if (background && command.channels.length)
      throw new FluxError('EINVAL', 'auxiliary channels are not allowed in background mode');
    const subprocess = new Subprocess(
      this.#context,
      thread.slowReaders,
      { command, flags, localFlags, background, request },
      (ended) => this.#ended(ended),
    );
    this.#byPid.set(subprocess.pid, subprocess);
    if (command.label !== undefined) this.#byLabel.set(command.label, subprocess);
    if (!background) this.#byRequest.set(subprocess.requestKey, subprocess);
  }

  async #write(request: Request): Promise<void> {
    const { matchtag, io } = request.unpack({ matchtag: 'i', io: 'o' });
    const { stream, data, eof } = decodeIo(io);
    const key = requestKey(request.sender, matchtag);
    const starting = this.#starting.get(key);
    if (starting) await starting.done;
    const subprocess = this.#byRequest.get(key);
    try {
      subprocess?.write(stream, data, eof);
    } catch (error) {
      this.#context.log('err', (error as FluxError).message);
      subprocess?.abort(error as FluxError);
    }
  }

  #wait(request: Request): void {
    const { pid, label } = request.unpack({ pid: 'i', label: 's?' });
    const subprocess = this.#find(pid, label);
    if (!subprocess.isWaitable) throw new FluxError('EINVAL', 'process is not waitable');
    if (subprocess.waiter) throw new FluxError('EINVAL', 'process is already being waited on');
    if (subprocess.isAttached) throw new FluxError('EBUSY', 'subprocess has a client attached');
    subprocess.wait(request);
    this.#reap(subprocess);
  }

  #attach(request: Request): void {
    const { pid, label, flags } = request.unpack({ pid: 'i', label: 's?', flags: 'i' });
    if (!request.isStreaming) throw new FluxError('EPROTO', 'attach request is missing STREAMING flag');
    let subprocess: Subprocess;
    try {
      subprocess = this.#find(pid, label);
    } catch (error) {
      throw new FluxError('ENOENT', (error as FluxError).message);
    }
    if (!subprocess.background) throw new FluxError('EBUSY', 'subprocess is not in background mode');
    if (subprocess.isAttached) throw new FluxError('EBUSY', 'subprocess already has a client attached');
    if (subprocess.waiter) throw new FluxError('EBUSY', 'subprocess is being waited on');
    subprocess.attach(request, flags);
    this.#reap(subprocess);
  }

  #checked(handler: Method['handler']): Method {
    return {
      handler: (request) => {
        this.#checkAllowed(request);
        return handler(request);
      },
    };
  }

  readonly methods: Methods = {
    exec: this.#checked((request) => this.#exec(request)),
    write: this.#checked(async (request) => {
      await this.#write(request);
      return undefined;
    }),
    kill: this.#checked((request) => {
      const { pid, signum, label } = request.unpack({ pid: 'i', signum: 'i', label: 's?' });
      this.#find(pid, label).kill(signum);
      return undefined;
    }),
    wait: this.#checked((request) => {
      this.#wait(request);
      return LATER;
    }),
    attach: this.#checked((request) => {
      this.#attach(request);
      return LATER;
    }),
    list: this.#checked(() => ({
      rank: this.#context.rank,
      procs: [...this.#byPid.values()].map((subprocess) => subprocess.describe()),
    })),
    disconnect: {
      handler: (request) => {
        for (const subprocess of this.#byPid.values()) subprocess.disconnect(request.sender);
        for (const starting of this.#starting.values()) starting.gone ||= starting.sender === request.sender;
        return undefined;
      },
    },
  };

  /** Ends all programs: asks them first, and makes them after a while. */
  async stop(): Promise<void> {
    // One that has exited, and whose output others still hold open, gets no signals.
    const signal = (signum: number) => {
      for (const subprocess of this.#running()) if (!subprocess.hasExited) subprocess.kill(signum);
    };
    if (this.#running().length === 0) return;
    await endPrograms(this.#context.clock, signal, (idle) => {
      this.#onIdle = idle;
    });
  }
}
