/**
 * Shells that are programs, as the configuration names one (exec.job-shell), or run by the IMP for a guest (RFC 15): each rank
 * runs one with the job's id, and it asks for the rest by itself.
 */

import type { ServiceContext } from '../../core/broker/service.ts';
import { asFluxError, FluxError } from '../../core/errno.ts';
import { encodeFluid } from '../../core/formats/fluid.ts';
import { ExecFlag, encodeExec, RemoteProcess } from '../../core/handle/remote-process.ts';
import { unpack } from '../../core/message/unpack.ts';
import type { JobFacts } from './job-facts.ts';
import type { LostShell, ShellListener, Shells } from './shells.ts';

export interface ProcessShellsOptions {
  readonly context: ServiceContext;
  readonly job: JobFacts;
  readonly namespace: string;
  /** The program. */
  readonly shell: string;
  /** What runs it for another user. */
  readonly imp: string | undefined;
  /** The service that runs programs. */
  readonly service: string;
}

export class ProcessShells implements Shells {
  readonly hearEvents = true;
  readonly #options: ProcessShellsOptions;
  readonly #processes = new Map<number, RemoteProcess>();
  #payload: Buffer = Buffer.alloc(0);

  constructor(options: ProcessShellsOptions) {
    this.#options = options;
  }

  async prepare(): Promise<void> {
    const { context, job, namespace, shell, imp } = this.#options;
    const { env } = unpack(await context.rpc('broker.getenv', {}), { env: 'o' });
    const own = {
      FLUX_KVS_NAMESPACE: namespace,
      ...(imp && { FLUX_IMP_EXEC_HELPER: `flux imp_exec_helper ${job.id}` }),
    };
    const cmdline = [...(imp ? [imp, 'exec'] : []), shell, String(job.id)];
    const command = { cmdline, cwd: '/tmp', env: { ...(env as Record<string, string>), ...own }, opts: {} };
    this.#payload = encodeExec(command, ExecFlag.stdout | ExecFlag.stderr);
  }

  start(rank: number, listener: ShellListener): void {
    const { context, service } = this.#options;
    const process = RemoteProcess.start(context, service, rank, this.#payload, {
      output: (_, stream, data) => listener.output(rank, stream, data.toString()),
      changed: ({ state }) => {
        if (state === 'running') listener.started(rank);
      },
      credit: () => {},
    });
    this.#processes.set(rank, process);
    void this.#follow(rank, process, listener);
  }

  /** Its status comes before its last output does. */
  async #follow(rank: number, process: RemoteProcess, listener: ShellListener): Promise<void> {
    await process.ended;
    if (process.state === 'exited') listener.ended(rank, process.status, [], undefined);
    else listener.failed(rank, process.error ?? new FluxError('EPROTO'));
  }

  signal(rank: number, signum: number): void {
    this.#processes
      .get(rank)
      ?.kill(signum)
      .catch((error: unknown) =>
        this.#options.context.log(
          'debug',
          `signal ${signum} to the shell on rank ${rank}: ${asFluxError(error).message}`,
        ),
      );
  }

  signalTasks(_ranks: Iterable<number>, signum: number): void {
    this.#options.context.sendEvent(`shell-${this.#options.job.id}.kill`, { signum });
  }

  /** They are answered where they ask. */
  leaveBarrier(): void {}

  tellLost(rank: number, { shellRank, severity, message }: LostShell): void {
    const { context, job } = this.#options;
    const topic = `${job.userid}-shell-${encodeFluid(job.id, 'f58plain')}.exception`;
    const payload = { type: 'lost-shell', severity, shell_rank: shellRank, message };
    context.notify(topic, payload, { nodeid: rank });
  }
}
