/**
 * The service of the module `shell`: the shells of the jobs that have a part on its rank. It is loaded when the first of them comes, by
 * whoever starts it (`job-exec`), and runs on the thread that starts programs for its rank.
 *
 * `shell.start` is a stream: `started`, `barrier` each time the shell waits for those of the other ranks, and `finished`.
 * What requests `<userid>-shell-<jobid>.<method>` ask is answered by the shell of that job.
 */

import { constants } from 'node:os';
import type { Service, ServiceContext } from '../../core/broker/service.ts';
import { asFluxError, FluxError } from '../../core/errno.ts';
import { LATER, type Method, type Request } from '../../core/handle/methods.ts';
import type { JsonObject } from '../../core/json.ts';
import { Role } from '../../core/message/credentials.ts';
import { endPrograms } from '../end-programs.ts';
import { builtinPlugins } from './builtins.ts';
import { systemFiles } from './files.ts';
import type { ProgramThread } from './host.ts';
import { type JobLayout, layOut } from './job-layout.ts';
import { shellOptions } from './options.ts';
import type { ShellHost } from './plugin-shell.ts';
import { rexecPlugin } from './plugins/rexec.ts';
import { loadRcFiles } from './rc-file.ts';
import { JobShell, type ShellResult } from './shell.ts';

interface RunningShell {
  readonly shell: JobShell;
  /** Who started it, and hears how it ends. */
  readonly starter: string | undefined;
}

export class ShellService implements Service {
  readonly #context: ServiceContext;
  readonly #thread: ProgramThread;
  readonly #host: ShellHost;
  // By job.
  readonly #shells = new Map<bigint, RunningShell>();
  readonly #answers = new Map<string, Map<string, Omit<Method, 'allow'>>>();
  #onIdle: (() => void) | undefined;

  constructor(context: ServiceContext, thread: ProgramThread, isUtf8: boolean, uri: string) {
    this.#context = context;
    this.#thread = thread;
    thread.guard.enter(context.spawn, context.attribute('rundir') ?? '', (text) => context.log('err', text));
    this.#host = {
      context,
      files: systemFiles,
      plugins: [...builtinPlugins, rexecPlugin(thread)],
      uri,
      isUtf8,
      loadPlugins: loadRcFiles,
      register: (service, method, answer) => this.#register(service, method, answer),
    };
  }

  #start(request: Request): typeof LATER {
    const { id, userid, owner, namespace, jobspec, R } = request.unpack({
      id: 'I',
      userid: 'i',
      owner: 'i',
      namespace: 's',
      jobspec: 'o',
      R: 'o',
    });
    if (this.#shells.has(id)) throw new FluxError('EEXIST', `job ${id} has a shell on rank ${this.#context.rank}`);
    const layout = this.#layout(id, jobspec, R);
    let shell: JobShell;
    try {
      shell = new JobShell({ jobid: id, userid, owner, namespace, jobspec, R, layout }, this.#host, {
        barrier: () => request.respond({ type: 'barrier' }),
        finished: (result) => this.#finished(shell, result, request),
      });
    } catch (error) {
      this.#releaseLayout(id);
      throw error;
    }
    this.#shells.set(id, { shell, starter: request.sender });
    this.#answers.set(shell.service, this.#answers.get(shell.service) ?? new Map());
    this.#tellBroker('service.add', shell.service);
    request.respond({ type: 'started' });
    void shell.run();
    return LATER;
  }

  /** Worked out once for all shells of a job on this thread: a job of a thousand ranks may have as many here. */
  #layout(id: bigint, jobspec: JsonObject, R: JsonObject): JobLayout {
    const { layouts } = this.#thread;
    let shared = layouts.get(id);
    if (!shared) {
      shared = { layout: layOut(jobspec, R, shellOptions(jobspec)), users: 0 };
      layouts.set(id, shared);
    }
    shared.users++;
    return shared.layout;
  }

  #releaseLayout(id: bigint): void {
    const shared = this.#thread.layouts.get(id);
    if (shared && --shared.users === 0) this.#thread.layouts.delete(id);
  }

  #tellBroker(topic: 'service.add' | 'service.remove', service: string): void {
    this.#context
      .rpc(topic, { service })
      .catch((error: unknown) => this.#context.log('err', `${topic} ${service}: ${asFluxError(error).message}`));
  }

  #finished(shell: JobShell, { status, log, usage }: ShellResult, request: Request): void {
    this.#shells.delete(shell.jobid);
    this.#answers.delete(shell.service);
    this.#tellBroker('service.remove', shell.service);
    this.#releaseLayout(shell.jobid);
    request.respond({
      type: 'finished',
      status,
      log: log.map(({ key, text }) => ({ key, text })),
      ...(usage && { usage: { ...usage } }),
    });
    request.endStream();
    if (this.#shells.size === 0) this.#onIdle?.();
  }

  // ---- requests to one shell

  /** A method of this name is known from now on; which shell answers is seen from the service that is asked. */
  #register(service: string, method: string, answer: Omit<Method, 'allow'>): void {
    const answers = this.#answers.get(service) ?? new Map<string, Omit<Method, 'allow'>>();
    this.#answers.set(service, answers);
    answers.set(method, answer);
    if (Object.hasOwn(this.methods, method)) return;
    this.methods[method] = {
      allow: Role.user,
      handler: (request) => this.#answer(request, method),
    };
  }

  #answer(request: Request, method: string): ReturnType<Method['handler']> {
    const service = request.message.service;
    const answer = this.#answers.get(service)?.get(method);
    if (!answer) throw new FluxError('ENOSYS', `Unknown service method '${request.topic}'`);
    if (!request.isOwner && !service.startsWith(`${request.userid}-`)) throw new FluxError('EPERM');
    if (answer.streaming && !request.isStreaming)
      throw new FluxError('EPROTO', `${request.topic} requires the streaming flag`);
    return answer.handler(request);
  }

  // ---- what job-exec tells its shells

  #tell(take: (shell: JobShell, request: Request) => void): Method {
    return {
      handler: (request) => {
        const { id } = request.unpack({ id: 'I' });
        const running = this.#shells.get(id);
        if (!running) throw new FluxError('ENOENT', `job ${id} has no shell on rank ${this.#context.rank}`);
        take(running.shell, request);
        return undefined;
      },
    };
  }

  readonly methods: Record<string, Method> = {
    start: { streaming: true, handler: (request) => this.#start(request) },
    /** A signal for the shell itself. */
    signal: this.#tell((shell, request) => shell.signal(request.unpack({ signum: 'i' }).signum)),
    /** A signal for its tasks. */
    'signal-tasks': this.#tell((shell, request) => shell.signalTasks(request.unpack({ signum: 'i' }).signum)),
    'leave-barrier': this.#tell((shell, request) => shell.leaveBarrier(request.unpack({ complete: 'b' }).complete)),
    lost: this.#tell((shell, request) => {
      const { shell_rank, severity, message } = request.unpack({ shell_rank: 'i', severity: 'i', message: 's' });
      shell.shellLost(shell_rank, severity, message);
    }),
    disconnect: {
      allow: Role.user,
      handler: (request) => {
        const { service } = request.message;
        if (service === this.#context.name) this.#starterGone(request.sender);
        return this.#answers.get(service)?.get('disconnect')?.handler(request);
      },
    },
  };

  /** Nobody hears any more how these shells end: for whoever started them they are lost. */
  #starterGone(sender: string | undefined): void {
    for (const { shell, starter } of this.#shells.values())
      if (starter === sender) shell.signal(constants.signals.SIGKILL);
  }

  stats(): JsonObject {
    return {
      jobs: Object.fromEntries(Array.from(this.#shells.values(), ({ shell }) => [shell.jobidText, shell.describe()])),
    };
  }

  /** Ends all shells: asks their tasks first, and makes them after a while. */
  async stop(): Promise<void> {
    await this.#endShells();
    this.#thread.guard.leave();
  }

  async #endShells(): Promise<void> {
    if (this.#shells.size === 0) return;
    const signal = (signum: number) => {
      for (const { shell } of this.#shells.values()) shell.signal(signum);
    };
    await endPrograms(this.#context.clock, signal, (idle) => {
      this.#onIdle = idle;
    });
  }
}
