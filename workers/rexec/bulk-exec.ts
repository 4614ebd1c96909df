/** One program on many ranks, run by their subprocess servers (RFC 42). */

import type { ServiceContext, Timer } from '../../core/broker/service.ts';
import { asFluxError, FluxError } from '../../core/errno.ts';
import { IdSet } from '../../core/formats/idset.ts';
import { ExecFlag, encodeExec, type ProcessEvents, RemoteProcess } from '../../core/handle/remote-process.ts';
import { isObject } from '../../core/message/unpack.ts';

export interface BulkExecSpec {
  readonly ranks: IdSet;
  readonly cmdline: readonly string[];
  /** Variables beside those of this rank's environment. */
  readonly environment: Readonly<Record<string, string>>;
}

export interface BulkExecEvents {
  /** It runs on all ranks. */
  started?(): void;
  output(rank: number, stream: string, line: string): void;
  /** It could not be run, or the rank was lost. */
  failed(rank: number, error: FluxError): void;
  /** It is over on these ranks: those that ended at about the same time. */
  exited?(ranks: IdSet): void;
  /** It is over everywhere. */
  completed(): void;
}

/** Seconds in which ends are told together. */
const BATCH_SECONDS = 0.01;

const SERVICE = 'rexec';

/** What wait(2) would say of a program that could not be run. */
function statusOf({ code }: FluxError): number {
  // A node that is lost says nothing about the program.
  if (code === 'EHOSTUNREACH') return 0;
  if (code === 'EPERM' || code === 'EACCES') return 126 << 8;
  return (code === 'ENOENT' ? 127 : 1) << 8;
}

export class BulkExec {
  readonly ranks: IdSet;
  /** The largest status of all that are over. */
  status = 0;
  readonly #context: ServiceContext;
  readonly #events: BulkExecEvents;
  // Processes once they are asked for; ranks are active until theirs is over.
  readonly #processes = new Map<number, RemoteProcess>();
  readonly #active: Set<number>;
  readonly #failed = new Set<number>();
  // Signals for processes that do not run yet.
  readonly #signals = new Map<number, number>();
  #started = 0;
  #batch: number[] = [];
  #batchTimer: Timer | undefined;

  /** Runs the program; events come from the next turn on. */
  constructor(context: ServiceContext, spec: BulkExecSpec, events: BulkExecEvents) {
    this.ranks = spec.ranks;
    this.#context = context;
    this.#events = events;
    this.#active = new Set(spec.ranks);
    this.#run(spec).catch((error: unknown) => {
      for (const rank of [...this.#active]) this.#fail(rank, asFluxError(error));
    });
  }

  async #run({ cmdline, environment }: BulkExecSpec): Promise<void> {
    const answer = await this.#context.rpc('broker.getenv', {});
    const own = isObject(answer) && isObject(answer.env) ? (answer.env as Readonly<Record<string, string>>) : {};
    const command = { cmdline, env: { ...own, ...environment }, opts: {} };
    const payload = encodeExec(command, ExecFlag.stdout | ExecFlag.stderr);
    if (this.ranks.first === undefined) this.#events.completed();
    const events: ProcessEvents = {
      output: ({ rank }, stream, data) => this.#output(rank, stream, data),
      changed: (process) => this.#changed(process),
      credit: () => {},
    };
    for (const rank of this.ranks) {
      const process = RemoteProcess.start(this.#context, SERVICE, rank, payload, events);
      this.#processes.set(rank, process);
      // Nobody will ever type anything.
      process.endInput();
      void process.ended.then(() => process.state === 'exited' && this.#end(rank));
    }
  }

  #output(rank: number, stream: string, data: Buffer): void {
    for (const line of data.toString().replace(/\n$/, '').split('\n')) this.#events.output(rank, stream, line);
  }

  #changed(process: RemoteProcess): void {
    const { rank, state, status, error } = process;
    if (state === 'running') {
      const signum = this.#signals.get(rank);
      if (signum !== undefined) this.#signal(process, signum);
      if (++this.#started === this.ranks.count) this.#events.started?.();
    } else if (state === 'exited') {
      this.status = Math.max(this.status, status);
      if (status !== 0) this.#failed.add(rank);
    } else if (state === 'failed') this.#fail(rank, error ?? new FluxError('EPROTO'));
  }

  #fail(rank: number, error: FluxError): void {
    this.status = Math.max(this.status, statusOf(error));
    this.#failed.add(rank);
    this.#events.failed(rank, error);
    this.#end(rank);
  }

  #end(rank: number): void {
    if (!this.#active.delete(rank)) return;
    this.#signals.delete(rank);
    this.#batch.push(rank);
    if (this.#active.size) {
      if (this.#events.exited) this.#batchTimer ??= this.#context.clock.after(BATCH_SECONDS, () => this.#tellBatch());
      return;
    }
    this.#tellBatch();
    this.#events.completed();
  }

  #tellBatch(): void {
    this.#batchTimer?.cancel();
    this.#batchTimer = undefined;
    const ranks = IdSet.from(this.#batch);
    this.#batch = [];
    this.#events.exited?.(ranks);
  }

  /** Where it is not over. */
  get activeRanks(): IdSet {
    return IdSet.from(this.#active);
  }

  /** Where it could not be run, or has ended with another status than 0. */
  get failedRanks(): IdSet {
    return IdSet.from(this.#failed);
  }

  get isActive(): boolean {
    return this.#active.size > 0;
  }

  /** What wait(2) said of it on a rank; undefined: nothing, for it could not be run, or is not over. */
  statusOn(rank: number): number | undefined {
    const process = this.#processes.get(rank);
    return process?.state === 'exited' ? process.status : undefined;
  }

  /** Sends a signal where it is not over; where it does not run yet as soon as it does. */
  kill(signum: number, ranks: IdSet = this.ranks): void {
    for (const rank of this.#active) {
      if (!ranks.has(rank)) continue;
      const process = this.#processes.get(rank);
      if (process?.state === 'running') this.#signal(process, signum);
      else this.#signals.set(rank, signum);
    }
  }

  #signal(process: RemoteProcess, signum: number): void {
    process.kill(signum).catch((error: unknown) => {
      const { code, message } = asFluxError(error);
      if (code !== 'ESRCH') this.#context.log('err', `signal ${signum} to rank ${process.rank}: ${message}`);
    });
  }
}
