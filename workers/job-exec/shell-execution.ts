/**
 * Runs a job by shells, one on each of its ranks: they are asked for by requests to the module `shell` there, whose
 * responses tell what becomes of them.
 */

import type { ServiceContext } from '../../core/broker/service.ts';
import { asFluxError, errno, type FluxError } from '../../core/errno.ts';
import { IdSet } from '../../core/formats/idset.ts';
import { signalText } from '../../core/formats/signal.ts';
import type { Request } from '../../core/handle/methods.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import { Flag, type Message } from '../../core/message/message.ts';
import { isObject, unpack } from '../../core/message/unpack.ts';
import type { ProcessUsage } from '../../native/process.ts';
import type { LogText } from '../shell/event-writer.ts';
import { systemAttributes } from '../shell/shell.ts';
import { ShellBarrier } from './barrier.ts';
import type { Execution, ExecutionEvents } from './execution.ts';
import { hostsOf, type JobFacts, submittedJobspec } from './job-facts.ts';
import type { ExecSettings } from './settings.ts';

export interface ShellExecutionOptions {
  readonly context: ServiceContext;
  readonly job: JobFacts;
  readonly namespace: string;
  readonly settings: ExecSettings;
  /** Userid of the instance owner. */
  readonly owner: number;
  /** Shell ranks without which the job can't go on. */
  criticalRanks(): IdSet;
  /** Whether an exception of the job is dealt with. */
  isFailing(): boolean;
  /** Has the module `shell` loaded on a rank. */
  loadShellModule(rank: number): Promise<void>;
  readonly events: ExecutionEvents;
}

/** Severity of the exception about a shell that a job can do without. */
const LOST_SEVERITY = 2;

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

  async start(): Promise<void> {
    const { context, job, namespace, owner } = this.#options;
    const jobspec = await submittedJobspec(context, job.id);
    const payload = { id: job.id, userid: job.userid, owner, namespace, jobspec, R: job.R };
    if (this.#isCanceled) {
      this.#active.clear();
      this.#options.events.complete(0);
      return;
    }
    for (const rank of this.#ranks) void this.#runShell(rank, payload);
  }

  /** Has a shell run, and follows it to its end. */
  async #runShell(rank: number, payload: JsonValue): Promise<void> {
    const { context, loadShellModule } = this.#options;
    const ask = () => context.request('shell.start', payload, { nodeid: rank, flags: Flag.streaming });
    let responses = ask();
    try {
      let response = await responses.next();
      if (response.errnum === errno.ENOSYS) {
        await loadShellModule(rank);
        responses = ask();
        response = await responses.next();
      }
      while (response.errnum === 0) {
        this.#take(rank, response);
        response = await responses.next();
      }
      if (response.errnum !== errno.ENODATA) throw response.error();
    } catch (error) {
      responses.abandon();
      this.#failed(rank, asFluxError(error));
    }
  }

  #take(rank: number, response: Message): void {
    const { type } = response.unpack({ type: 's' });
    if (type === 'started') {
      if (++this.#startedCount === this.#ranks.length) this.#options.events.started();
    } else if (type === 'barrier') this.#barrier.enter(rank, (isComplete) => this.#leaveBarrier(rank, isComplete));
    else if (type === 'finished') this.#finished(rank, response);
  }

  #leaveBarrier(rank: number, complete: boolean): void {
    this.#tell(rank, 'leave-barrier', { complete });
  }

  #tell(rank: number, method: string, payload: JsonObject): void {
    const { context, job } = this.#options;
    context.notify(`shell.${method}`, { id: job.id, ...payload }, { nodeid: rank });
  }

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

  #finished(rank: number, response: Message): void {
    const { status, log, usage } = response.unpack({ status: 'i', log: 'a', usage: 'o?' });
    for (const entry of log) this.#log.push(unpack(entry, { key: 's', text: 's' }));
    if (usage) this.#addUsage(unpack(usage, { utime: 'n', stime: 'n', maxrss: 'n' }));
    this.#ended(rank, status);
  }

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
    const signal = status & 0x7f;
    if (signal === 0) return;
    const shellRank = this.#ranks.indexOf(rank);
    const what = `shell rank ${shellRank} (on ${host}): ${signalText(signal)}`;
    if (shellRank === 0) events.fatal(what);
    else this.#lost(shellRank, what);
  }

  /** A shell is gone without having said so, or never came to be. */
  #failed(rank: number, error: FluxError): void {
    const { events, job } = this.#options;
    const host = hostsOf(job, [rank]);
    const shellRank = this.#ranks.indexOf(rank);
    if (error.errno === errno.EHOSTUNREACH) {
      this.#lost(shellRank, `node failure on ${host} (shell rank ${shellRank})`);
      if (this.#isCritical(shellRank)) events.fatal(`node failure on ${host} (rank ${rank})`);
    } else events.fatal(`job shell exec error on broker ${host} (rank ${rank}): ${error.message}`);
    this.#ended(rank, 1 << 8);
  }

  #isCritical(shellRank: number): boolean {
    return this.#options.criticalRanks().has(shellRank);
  }

  /** The leader is not to wait for a shell any more. */
  #lost(shellRank: number, message: string): void {
    const isCritical = this.#isCritical(shellRank);
    if (!isCritical) this.#options.events.raise('node-failure', LOST_SEVERITY, message);
    // The note of an exception is shown anyway.
    this.#tell(this.#ranks[0]!, 'lost', {
      shell_rank: shellRank,
      severity: isCritical ? 0 : LOST_SEVERITY,
      message: isCritical ? message : '',
    });
  }

  // ---- signals

  cancel(): void {
    this.#isCanceled = true;
  }

  kill(signum: number): void {
    for (const rank of this.#active) this.#tell(rank, 'signal', { signum });
  }

  killTasks(signum: number): void {
    for (const rank of this.#active) this.#tell(rank, 'signal-tasks', { signum });
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
