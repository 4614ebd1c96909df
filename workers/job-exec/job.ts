/**
 * One job that is run (RFC 32): from the request to start it, over what its execution tells, to the release of its
 * resources.
 */

import type { ServiceContext } from '../../core/broker/service.ts';
import { asFluxError, FluxError } from '../../core/errno.ts';
import { encodeFluid } from '../../core/formats/fluid.ts';
import { IdSet } from '../../core/formats/idset.ts';
import { exitCodeOf } from '../../core/formats/wait-status.ts';
import type { Request } from '../../core/handle/methods.ts';
import { type JsonObject, real } from '../../core/json.ts';
import type { ProcessUsage } from '../../native/process.ts';
import type { LogText } from '../shell/event-writer.ts';
import type { Execution, ExecutionEvents } from './execution.ts';
import { JobData } from './job-data.ts';
import type { JobFacts } from './job-facts.ts';
import { KillEscalation, type KillTarget } from './kill-escalation.ts';
import { LeaderExit, type LedJob } from './leader-exit.ts';
import type { ExecSettings } from './settings.ts';
import { TimeLimit } from './time-limit.ts';

export interface RunningJobHost {
  readonly context: ServiceContext;
  readonly settings: ExecSettings;
  /** When this service began, seconds since the epoch. */
  readonly epoch: number;
  /** Userid of the instance owner. */
  readonly owner: number;
  /** @throws FluxError there is nothing to run this job with */
  makeExecution(job: RunningJob): Execution;
  /** The job is over. */
  forget(job: RunningJob): void;
}

const EXIT_1 = 1 << 8;
const SIGALRM = 14;

export class RunningJob implements LedJob, KillTarget {
  readonly facts: JobFacts;
  readonly events: ExecutionEvents;
  readonly #request: Request;
  readonly #host: RunningJobHost;
  readonly #data: JobData;
  readonly #timeLimit: TimeLimit;
  readonly #escalation: KillEscalation;
  readonly #leaderExit: LeaderExit;
  execution: Execution | undefined;
  criticalRanks: IdSet;
  #ready: Promise<void> | undefined;
  #isStarted = false;
  #isRunning = false;
  #isFailing = false;
  #isFinalizing = false;
  #exceptionStatus: number | undefined;

  constructor(facts: JobFacts, request: Request, host: RunningJobHost) {
    this.facts = facts;
    this.#request = request;
    this.#host = host;
    this.#data = new JobData(host.context, facts);
    this.#timeLimit = new TimeLimit({
      facts,
      clock: host.context.clock,
      settings: () => host.settings,
      expired: () => this.#expired(),
    });
    this.#escalation = new KillEscalation(host, this);
    this.#leaderExit = new LeaderExit(host, this, this.#data);
    this.criticalRanks = IdSet.range(0, facts.ranks.count - 1);
    this.events = {
      started: () => this.#started(),
      leaderEnded: (status) => this.#leaderExit.take(status),
      complete: (status, usage, log) => this.#complete(status, usage, log),
      fatal: (note) => this.fail(note),
      raise: (type, severity, note) => this.#raise(type, severity, note),
      drain: (ranks, reason) => void this.#drain(ranks, `job ${this.#id} ${reason}`),
      output: (rank, component, stream, data) =>
        this.#data.post('log', { component, stream, rank: String(rank), data }),
      post: (name, context) => this.#data.post(name, context),
    };
  }

  get #id(): string {
    return encodeFluid(this.facts.id);
  }

  /** The name of its namespace. */
  get namespace(): string {
    return this.#data.namespace;
  }

  /** Whether an exception that ends it is dealt with. */
  get isFailing(): boolean {
    return this.#isFailing;
  }

  // ---- start

  /** Makes its namespace and has it run; what goes wrong is an exception of the job. */
  start(): void {
    this.#ready = this.#begin();
  }

  async #begin(): Promise<void> {
    try {
      await (this.facts.reattach ? this.#data.recover() : this.#data.make(this.#host.epoch));
    } catch (error) {
      this.#failWith('failed to create guest ns', error);
      return;
    }
    // Somebody has canceled it meanwhile: it is released, and a link would take the place of what it left.
    if (this.#isFailing) return;
    this.#data.linkSoon((error) => this.#failWith('failed to link guest ns', error));
    try {
      this.execution = this.#host.makeExecution(this);
    } catch (error) {
      this.fail(asFluxError(error).message);
      return;
    }
    try {
      await (this.facts.reattach ? this.#reattach(this.execution) : this.#execute(this.execution));
    } catch (error) {
      this.fail(asFluxError(error).message);
    }
  }

  async #execute(execution: Execution): Promise<void> {
    this.#data.post('starting');
    this.#isStarted = true;
    await execution.start();
  }

  async #reattach(execution: Execution): Promise<void> {
    if (!execution.reattach) throw new FluxError('EINVAL', 'the tasks of the job ended when the instance went down');
    this.#isStarted = true;
    await execution.reattach();
  }

  #started(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#timeLimit.start();
    this.#respond(this.facts.reattach ? 'reattached' : 'start', {});
  }

  // ---- time limit

  /** @throws FluxError EINVAL: not a time */
  setExpiration(expiration: number): void {
    this.#timeLimit.set(expiration);
  }

  #expired(): void {
    this.#raise('timeout', 0, 'resource allocation expired');
    this.#isFailing = true;
    this.execution?.kill(SIGALRM);
    this.#escalation.start();
  }

  // ---- exceptions

  /** The job manager says that an exception has ended the job. */
  exception(type: string, waitStatus: number | undefined): void {
    if (this.#isFinalizing) return;
    if (this.#isFailing) {
      this.execution?.kill(this.#host.settings.termSignal);
      return;
    }
    this.#isFailing = true;
    if (waitStatus !== undefined) this.#exceptionStatus = exitStatus(waitStatus);
    this.fail(`aborted due to exception type=${type}`);
  }

  #failWith(what: string, error: unknown): void {
    this.fail(`${what}: ${asFluxError(error).message}`);
  }

  /** The job can't go on: says so, unless somebody has, and ends what runs of it. */
  fail(note: string): void {
    if (!this.#isFailing) {
      this.#isFailing = true;
      this.#raise('exec', 0, note);
    }
    if (this.#isStarted && !this.#isFinalizing) this.#cancel();
    else this.#finalize();
  }

  #raise(type: string, severity: number, note: string): void {
    this.#host.context.log('info', `job-exception: id=${this.#id}: ${note}`);
    this.#respond('exception', { severity, type, note });
  }

  #cancel(): void {
    if (this.#escalation.isStarted) return;
    this.#leaderExit.leaveOthers();
    this.#escalation.start();
    this.execution?.cancel();
    this.execution?.kill(this.#host.settings.termSignal);
  }

  /** What runs can't be ended: its nodes are not to be used, and the job is over. */
  giveUp(why: string): void {
    const ranks = this.execution?.activeRanks();
    if (!ranks || this.#isFinalizing) return;
    this.#host.context.log('debug', `job ${this.#id} ${why}. Draining active ranks`);
    void this.#drain(ranks, `unkillable user processes for job ${this.#id}`);
    this.#complete(1);
  }

  async #drain(ranks: IdSet, reason: string): Promise<void> {
    const targets = ranks.encode();
    try {
      await this.#host.context.rpc('resource.drain', { targets, reason, mode: 'update' }, { nodeid: 0 });
    } catch (error) {
      this.#host.context.log(
        'err',
        `Failed to drain broker ranks ${targets} for job ${this.#id}: ${asFluxError(error).message}`,
      );
    }
  }

  // ---- end

  #complete(executionStatus: number, usage?: ProcessUsage, log: readonly LogText[] = []): void {
    if (this.#isFinalizing) return;
    this.#isRunning = false;
    this.#data.endBeginning();
    this.#leaderExit.tell();
    let status = executionStatus;
    if (this.#isFailing) status = this.#exceptionStatus ?? (status || EXIT_1);
    this.#data.keep(log);
    this.#data.post('complete', { status });
    this.#respond('finish', {
      status,
      ...(usage &&
        this.#host.settings.reportsUsage && {
          rusage: { utime: real(usage.utime), stime: real(usage.stime), maxrss: usage.maxrss },
        }),
    });
    this.#finalize();
  }

  /** Writes what is left to be written, and releases the resources. */
  #finalize(): void {
    if (this.#isFinalizing) return;
    this.#isFinalizing = true;
    this.#stopTimers();
    void this.#release();
  }

  #stopTimers(): void {
    this.#leaderExit.stop();
    this.#data.stopLinking();
    this.#timeLimit.stop();
    this.#escalation.stop();
  }

  async #release(): Promise<void> {
    await this.#ready;
    const left = await this.#data.handOver('done');
    this.#host.forget(this);
    this.#request.reply({ id: this.facts.id, type: 'release', data: { ranks: 'all', final: true, ...left } });
  }

  /** This service ends while the job runs: keeps what it wrote so far, and ends what is not to go on without it. */
  async leave(): Promise<void> {
    this.#stopTimers();
    if (this.#isFinalizing || !this.#isRunning) return;
    this.#isFinalizing = true;
    if (this.execution?.name === 'bulk-exec') this.execution.kill(this.#host.settings.killSignal);
    const rootref = await this.#data.finish();
    if (rootref !== undefined) await this.#data.copy(rootref);
  }

  // ---- what is said about it

  #respond(type: string, data: JsonObject): void {
    this.#request.respond({ id: this.facts.id, type, data });
  }

  /** For `stats-get`. */
  describe(): JsonObject {
    return {
      implementation: this.execution?.name ?? 'none',
      ns: this.namespace,
      critical_ranks: this.criticalRanks.encode(),
      multiuser: Number(this.facts.userid !== this.#host.owner),
      has_namespace: Number(this.#data.hasNamespace),
      exception_in_progress: Number(this.#isFailing),
      started: Number(this.#isStarted),
      running: Number(this.#isRunning),
      finalizing: Number(this.#isFinalizing),
      expiration: real(this.#timeLimit.expiration),
      ...this.#escalation.describe(),
      ...this.execution?.stats(),
    };
  }
}

/** A task's wait status as that of the shell which reports it. */
function exitStatus(waitStatus: number): number {
  return exitCodeOf(waitStatus) << 8;
}
