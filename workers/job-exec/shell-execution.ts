/** Runs a job by shells, one on each of its ranks, from their start over their barriers to the end of the last one. */

import type { ServiceContext } from '../../core/broker/service.ts';
import { asFluxError, errno } from '../../core/errno.ts';
import { IdSet } from '../../core/formats/idset.ts';
import { signalText } from '../../core/formats/signal.ts';
import { systemAttributes } from '../../core/formats/system-attributes.ts';
import { signalOf } from '../../core/formats/wait-status.ts';
import type { Request } from '../../core/handle/methods.ts';
import type { JsonObject } from '../../core/json.ts';
import { isObject, unpack } from '../../core/message/unpack.ts';
import type { ProcessUsage } from '../../native/process.ts';
import type { LogText } from '../shell/event-writer.ts';
import { ShellBarrier } from './barrier.ts';
import type { Execution, ExecutionEvents } from './execution.ts';
import { hostsOf, type JobFacts } from './job-facts.ts';
import type { ExecSettings } from './settings.ts';
import type { ShellListener, Shells } from './shells.ts';

export interface ShellExecutionOptions {
  readonly context: ServiceContext;
  readonly job: JobFacts;
  readonly shells: Shells;
  readonly settings: ExecSettings;
  /** Shell ranks without which the job can't go on. */
  criticalRanks(): IdSet;
  /** Whether an exception of the job is dealt with. */
  isFailing(): boolean;
  readonly events: ExecutionEvents;
}

/** Severity of the exception about a shell that a job can do without. */
const LOST_SEVERITY = 2;
const EXIT_1 = 1 << 8;

export class ShellExecution implements Execution {
  readonly name = 'bulk-exec';
  readonly #options: ShellExecutionOptions;
  readonly #ranks: readonly number[];
  readonly #active: Set<number>;
  readonly #barrier: ShellBarrier;
  readonly #log: LogText[] = [];
  #startedCount = 0;
  #status = 0;
  #usage: ProcessUsage | undefined;
  #isCanceled = false;
  #isStarted = false;
  #endedBeforeBarrier = false;

  constructor(options: ShellExecutionOptions) {
    const { context, job, settings } = options;
    this.#options = options;
    this.#ranks = [...job.ranks];
    this.#active = new Set(this.#ranks);
    this.#barrier = new ShellBarrier(this.#ranks, context.clock, barrierTimeout(job.jobspec, settings), (pending) =>
      this.#barrierTimedOut(pending),
    );
  }

  get hearsEvents(): boolean {
    return this.#options.shells.hearEvents;
  }

  async start(): Promise<void> {
    const { shells, events } = this.#options;
    let problem: string | undefined;
    try {
      await shells.prepare();
    } catch (error) {
      problem = asFluxError(error).message;
    }
    if (problem !== undefined) events.fatal(`cannot start shells: ${problem}`);
    if (this.#isCanceled) {
      this.#active.clear();
      events.complete(0);
      return;
    }
    this.#isStarted = true;
    for (const rank of this.#ranks) shells.start(rank, this.#listener);
  }

  readonly #listener: ShellListener = {
    started: () => {
      if (++this.#startedCount === this.#ranks.length) this.#options.events.started();
    },
    barrier: (rank) => this.#barrier.enter(rank, (isComplete) => this.#options.shells.leaveBarrier(rank, isComplete)),
    ended: (rank, status, log, usage) => {
      for (const text of log) this.#log.push(text);
      if (usage) this.#addUsage(usage);
      this.#ended(rank, status);
    },
    failed: (rank, error) => this.#failed(rank, error),
    output: (rank, stream, data) => this.#options.events.output(rank, 'flux-shell', stream, data),
  };

  enterBarrier(request: Request, rank: number): void {
    this.#barrier.enter(rank, (isComplete) => (isComplete ? request.respond() : request.fail('EIO')));
  }

  #barrierTimedOut(pending: IdSet): void {
    const { events } = this.#options;
    events.drain(pending, 'start timeout: possible node hang');
    const ranks = `rank${pending.count > 1 ? 's' : ''} ${pending}`;
    events.fatal(`start barrier timeout waiting for ${pending.count}/${this.#ranks.length} nodes (${ranks})`);
  }

  // ---- ends of shells

  #addUsage({ utime, stime, maxrss }: ProcessUsage): void {
    const sum = this.#usage ?? { utime: 0, stime: 0, maxrss: 0 };
    this.#usage = { utime: sum.utime + utime, stime: sum.stime + stime, maxrss: sum.maxrss + maxrss };
  }

  #ended(rank: number, status: number): void {
    if (!this.#active.delete(rank)) return;
    this.#status = Math.max(this.#status, status);
    if (rank === this.#ranks[0]) this.#options.events.leaderEnded(status);
    if (this.#ranks.length > 1) this.#oneOfManyEnded(rank, status);
    if (this.#active.size === 0) this.#options.events.complete(this.#status, this.#usage, this.#log);
  }

  #oneOfManyEnded(rank: number, status: number): void {
    const { events, job, isFailing } = this.#options;
    const host = hostsOf(job, [rank]);
    if (!this.#barrier.isFirstDone && (!isFailing() || this.#endedBeforeBarrier)) {
      events.fatal(`${host} (rank ${rank}) terminated before first barrier`);
      this.#endedBeforeBarrier = true;
    }
    this.#barrier.shellEnded();
    const signal = signalOf(status);
    if (signal === 0) return;
    const shellRank = this.#ranks.indexOf(rank);
    const what = `shell rank ${shellRank} (on ${host}): ${signalText(signal)}`;
    if (shellRank === 0) events.fatal(what);
    else this.#lost(shellRank, what);
  }

  /** A shell is gone without having said so, or never came to be. */
  #failed(rank: number, error: Error): void {
    const { events, job } = this.#options;
    const host = hostsOf(job, [rank]);
    const shellRank = this.#ranks.indexOf(rank);
    if (asFluxError(error).errno === errno.EHOSTUNREACH) {
      this.#lost(shellRank, `node failure on ${host} (shell rank ${shellRank})`);
      if (this.#isCritical(shellRank)) events.fatal(`node failure on ${host} (rank ${rank})`);
    } else events.fatal(`job shell exec error on broker ${host} (rank ${rank}): ${error.message}`);
    this.#ended(rank, EXIT_1);
  }

  #isCritical(shellRank: number): boolean {
    return this.#options.criticalRanks().has(shellRank);
  }

  /** The leader is not to wait for a shell any more. */
  #lost(shellRank: number, message: string): void {
    const isCritical = this.#isCritical(shellRank);
    if (!isCritical) this.#options.events.raise('node-failure', LOST_SEVERITY, message);
    // The note of an exception is shown anyway.
    this.#options.shells.tellLost(this.#ranks[0]!, {
      shellRank,
      severity: isCritical ? 0 : LOST_SEVERITY,
      message: isCritical ? message : '',
    });
  }

  // ---- signals

  cancel(): void {
    this.#isCanceled = true;
  }

  kill(signum: number): void {
    if (this.#isStarted) for (const rank of this.#active) this.#options.shells.signal(rank, signum);
  }

  killTasks(signum: number): void {
    if (this.#isStarted) this.#options.shells.signalTasks(this.#active, signum);
  }

  activeRanks(): IdSet {
    return IdSet.from(this.#active);
  }

  stats(): JsonObject {
    return {
      total_shells: this.#ranks.length,
      active_shells: this.#active.size,
      active_ranks: this.activeRanks().encode(),
    };
  }
}

function barrierTimeout(jobspec: JsonObject, { barrierTimeout }: ExecSettings): number {
  const { exec } = systemAttributes(jobspec);
  const bulk = isObject(exec) ? exec.bulkexec : undefined;
  const seconds = isObject(bulk) ? bulk['barrier-timeout'] : undefined;
  return seconds === undefined ? barrierTimeout : unpack({ seconds }, { seconds: 'n' }).seconds;
}
