/**
 * One job that is run (RFC 32): from the request to start it, over what its execution tells, to the release of its
 * resources.
 */

import type { ServiceContext, Timer } from '../../core/broker/service.ts';
import { asFluxError, FluxError } from '../../core/errno.ts';
import { formatDuration } from '../../core/formats/duration.ts';
import { encodeEventlogEntry } from '../../core/formats/eventlog.ts';
import { encodeFluid } from '../../core/formats/fluid.ts';
import { IdSet } from '../../core/formats/idset.ts';
import { signalName } from '../../core/formats/signal.ts';
import { exitCodeOf } from '../../core/formats/wait-status.ts';
import type { Request } from '../../core/handle/methods.ts';
import { type JsonObject, real } from '../../core/json.ts';
import type { ProcessUsage } from '../../native/process.ts';
import { EventWriter, type LogText } from '../shell/event-writer.ts';
import type { Execution, ExecutionEvents } from './execution.ts';
import { GuestNamespace } from './guest-namespace.ts';
import { hostsOf, type JobFacts } from './job-facts.ts';
import { type ExecSettings, KILL_INTERVAL_MAX } from './settings.ts';

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

const LOG = 'exec.eventlog';
/** Seconds from a job's start to the link to its namespace. */
const LINK_DELAY = 0.01;
/** Seconds that the other shells have to end with the leader. */
const LEADER_DELAY = 0.05;
const EXIT_1 = 1 << 8;
const SIGALRM = 14;
const SIGUSR1 = 10;

export class RunningJob {
  readonly facts: JobFacts;
  readonly events: ExecutionEvents;
  readonly namespace: GuestNamespace;
  readonly #request: Request;
  readonly #host: RunningJobHost;
  readonly #writer: EventWriter;
  /** What is written when it is over, before what the writer still has. */
  readonly #log: LogText[] = [];
  #hasBeginning = false;
  execution: Execution | undefined;
  criticalRanks: IdSet;
  #expiration: number;
  readonly #startRequested: number;
  #hasNamespace = false;
  /** Whether its namespace was made just now, and is not linked yet. */
  #isFresh = false;
  #ready: Promise<void> | undefined;
  #linkTimer: Timer | undefined;
  #linked: Promise<void> | undefined;
  #isStarted = false;
  #isRunning = false;
  #isFailing = false;
  #isFinalizing = false;
  #exceptionStatus: number | undefined;
  #killTimeout: number;
  #killCount = 0;
  #killShellCount = 0;
  #expirationTimer: Timer | undefined;
  #killTimer: Timer | undefined;
  #killShellTimer: Timer | undefined;
  #maxKillTimer: Timer | undefined;
  #shellExitTimer: Timer | undefined;
  #leaderTimer: Timer | undefined;
  // Until its end is told.
  #leaderStatus: number | undefined;

  constructor(facts: JobFacts, request: Request, host: RunningJobHost) {
    this.facts = facts;
    this.#request = request;
    this.#host = host;
    this.namespace = new GuestNamespace(host.context, facts.id);
    this.#writer = new EventWriter(host.context, this.namespace.name, () => {});
    this.criticalRanks = IdSet.range(0, facts.ranks.count - 1);
    this.#expiration = facts.expiration;
    this.#startRequested = host.context.clock.now();
    this.#killTimeout = host.settings.killTimeout;
    this.events = {
      started: () => this.#started(),
      leaderEnded: (status) => this.#leaderEnded(status),
      complete: (status, usage, log) => this.#complete(status, usage, log),
      fatal: (note) => this.fail(note),
      raise: (type, severity, note) => this.#raise(type, severity, note),
      drain: (ranks, reason) => void this.#drain(ranks, `job ${this.#id} ${reason}`),
      output: (rank, component, stream, data) => this.#post('log', { component, stream, rank: String(rank), data }),
      post: (name, context) => this.#post(name, context),
    };
  }

  get #id(): string {
    return encodeFluid(this.facts.id);
  }

  /** Whether an exception that ends it is dealt with. */
  get isFailing(): boolean {
    return this.#isFailing;
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  // ---- start

  /** Makes its namespace and has it run; what goes wrong is an exception of the job. */
  start(): void {
    this.#ready = this.#begin();
  }

  async #begin(): Promise<void> {
    try {
      await (this.facts.reattach ? this.#recoverNamespace() : this.#makeNamespace());
      this.#link();
    } catch (error) {
      this.#failWith('failed to create guest ns', error);
      return;
    }
    // Somebody has canceled it meanwhile.
    if (this.#isFailing) return;
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

  async #makeNamespace(): Promise<void> {
    // Only a job whose resources are older than this service can have been started by another one.
    if (this.facts.starttime < this.#host.epoch && (await this.namespace.remains()) !== undefined) {
      await this.#recoverNamespace();
      throw new FluxError('EINVAL', 'the instance went down while the job was started: it may have run');
    }
    this.#post('init');
    await this.#create();
  }

  async #create(rootref?: string): Promise<void> {
    await this.namespace.create(this.facts.userid, rootref);
    this.#hasNamespace = true;
  }

  /** What a job wrote is there after an end in order; else it begins with nothing again. */
  async #recoverNamespace(): Promise<void> {
    this.#post('reattach');
    const remains = await this.namespace.remains();
    try {
      await this.#create(typeof remains === 'object' ? remains.rootref : undefined);
    } catch (error) {
      // This service alone was away.
      if (asFluxError(error).code !== 'EEXIST') throw error;
      this.#hasNamespace = true;
    }
  }

  /** A job that ends at once needs no link: it is a commit less. */
  #link(): void {
    this.#isFresh = !this.facts.reattach;
    this.#linkTimer = this.#host.context.clock.after(LINK_DELAY, () => {
      this.#isFresh = false;
      this.#linked = this.namespace.link().catch((error: unknown) => this.#failWith('failed to link guest ns', error));
    });
  }

  async #execute(execution: Execution): Promise<void> {
    this.#post('starting');
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
    this.#setExpirationTimer();
    this.#isRunning = true;
    this.#respond(this.facts.reattach ? 'reattached' : 'start', {});
  }

  // ---- time limit

  /** @throws FluxError EINVAL: not a time */
  setExpiration(expiration: number): void {
    if (expiration < 0) throw new FluxError('EINVAL', `Invalid resource set expiration ${expiration.toFixed(2)}`);
    this.#expiration = expiration;
    if (this.#isRunning) this.#setExpirationTimer();
  }

  #setExpirationTimer(): void {
    this.#expirationTimer?.cancel();
    this.#expirationTimer = undefined;
    if (this.#expiration === 0) return;
    const { clock } = this.#host.context;
    const left = Math.max(this.#adjustedExpiration() - clock.now(), 0);
    this.#expirationTimer = clock.after(left, () => this.#timeLimit());
  }

  /** A short job that was started late may end as much later. */
  #adjustedExpiration(): number {
    const { starttime } = this.facts;
    if (starttime <= 0 || this.facts.reattach) return this.#expiration;
    const delay = this.#startRequested - starttime;
    const percent = (delay / (this.#expiration - starttime)) * 100;
    return percent > this.#host.settings.maxStartDelayPercent ? this.#expiration + delay : this.#expiration;
  }

  #timeLimit(): void {
    this.#raise('timeout', 0, 'resource allocation expired');
    this.#isFailing = true;
    this.execution?.kill(SIGALRM);
    this.#startKillTimers();
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
    if (this.#killTimer) return;
    this.#shellExitTimer?.cancel();
    this.#startKillTimers();
    this.execution?.cancel();
    this.execution?.kill(this.#host.settings.termSignal);
  }

  // ---- escalation

  #startKillTimers(): void {
    const { clock } = this.#host.context;
    const { maxKillTimeout } = this.#host.settings;
    const interval = this.#killTimeout;
    const again = () => {
      this.#killTasks();
      this.#killTimer = clock.after(interval, again);
    };
    this.#killTimer ??= clock.after(interval, again);
    this.#killShellTimer ??= clock.after(interval * 5, () => this.#killShells());
    if (maxKillTimeout !== undefined)
      this.#maxKillTimer ??= clock.after(maxKillTimeout, () => this.#giveUp('exceeded max-kill-timeout'));
  }

  #killTasks(): void {
    const { killSignal } = this.#host.settings;
    this.#host.context.log('debug', `Sending ${signalName(killSignal)} to job ${this.#id}`);
    this.execution?.killTasks(killSignal);
    this.#killCount++;
  }

  #killShells(): void {
    const { context, settings, owner } = this.#host;
    const isGuests = this.facts.userid !== owner;
    // The IMP takes it for a SIGKILL to all that it runs (RFC 15).
    const signum = isGuests ? SIGUSR1 : settings.killSignal;
    context.log('debug', `Sending ${signalName(signum)} to ${isGuests ? 'IMP' : 'job shell'} for job ${this.#id}`);
    this.#killTimer?.cancel();
    this.execution?.kill(signum);
    this.#killShellCount++;
    if (this.#isFinalizing) return;
    this.#killTimeout = Math.min(this.#killTimeout * 2, KILL_INTERVAL_MAX);
    this.#killShellTimer = context.clock.after(this.#killTimeout, () => this.#killShells());
    if (settings.maxKillTimeout === undefined && this.#killShellCount >= settings.maxKillCount)
      this.#giveUp('exceeded max kill count');
  }

  /** What runs can't be ended: its nodes are not to be used, and the job is over. */
  #giveUp(why: string): void {
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

  /** The others mostly end with the leader: a moment later there is less to tell. */
  #leaderEnded(status: number): void {
    this.#takeBeginning();
    this.#leaderStatus = status;
    if (!this.execution?.activeRanks()?.count) this.#tellLeaderEnded();
    else this.#leaderTimer = this.#host.context.clock.after(LEADER_DELAY, () => this.#tellLeaderEnded());
  }

  /** What is noted about its start comes before what shells have left. */
  #takeBeginning(): void {
    if (this.#hasBeginning) return;
    this.#hasBeginning = true;
    this.#log.push(...this.#writer.take());
  }

  #tellLeaderEnded(): void {
    const status = this.#leaderStatus;
    if (status === undefined) return;
    this.#leaderStatus = undefined;
    const active = this.execution?.activeRanks() ?? IdSet.empty;
    this.#post('shell-exit', {
      rank: this.facts.ranks.first!,
      wait_status: status,
      ...(active.count > 0 && { active_ranks: active.encode() }),
    });
    const { shellExitTimeout } = this.#host.settings;
    if (shellExitTimeout <= 0 || active.count === 0 || this.#isFailing) return;
    this.#shellExitTimer ??= this.#host.context.clock.after(shellExitTimeout, () => this.#shellsRemain());
  }

  #shellsRemain(): void {
    const active = this.execution?.activeRanks();
    if (!active?.count) return;
    const ranks = `rank${active.count > 1 ? 's' : ''} ${active}`;
    const after = formatDuration(this.#host.settings.shellExitTimeout);
    this.fail(`job shells still active on ${hostsOf(this.facts, active)} (${ranks}) ${after} after leader shell exit`);
  }

  #complete(executionStatus: number, usage?: ProcessUsage, log: readonly LogText[] = []): void {
    if (this.#isFinalizing) return;
    this.#isRunning = false;
    this.#takeBeginning();
    this.#tellLeaderEnded();
    let status = executionStatus;
    if (this.#isFailing) status = this.#exceptionStatus ?? (status || EXIT_1);
    this.#log.push(...log);
    this.#post('complete', { status });
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
    for (const timer of this.#timers()) timer?.cancel();
    void this.#release();
  }

  #timers(): readonly (Timer | undefined)[] {
    return [
      this.#leaderTimer,
      this.#linkTimer,
      this.#expirationTimer,
      this.#killTimer,
      this.#killShellTimer,
      this.#maxKillTimer,
      this.#shellExitTimer,
    ];
  }

  async #release(): Promise<void> {
    await this.#ready;
    await this.#linked;
    const written = this.#hasNamespace ? await this.#writeRest() : {};
    this.#host.forget(this);
    this.#request.reply({ id: this.facts.id, type: 'release', data: { ranks: 'all', final: true, ...written } });
  }

  /** What the job manager is told of what the job wrote: its root directory, or the texts by their keys. */
  async #writeRest(): Promise<JsonObject> {
    if (!this.#isFresh || !(await this.namespace.isUntouched().catch(() => false)))
      return { guest: await this.#finishNamespace('done') };
    const log = await this.#restOfLog('done');
    const texts: Record<string, string> = {};
    for (const { key, text } of log) texts[key] = (texts[key] ?? '') + text;
    return { guest_log: texts };
  }

  /** What is left of its logs. */
  async #restOfLog(lastEvent?: string): Promise<LogText[]> {
    // What shells have left comes before what is noted about their end.
    const own = await this.#writer.takeRest();
    const done = lastEvent === undefined ? [] : [{ key: LOG, text: this.#encode(lastEvent) }];
    return [...this.#log, ...own, ...done];
  }

  /** Writes what is left of its logs; undefined when that can't be done. */
  async #finishNamespace(lastEvent?: string): Promise<string | undefined> {
    try {
      return await this.namespace.finish(await this.#restOfLog(lastEvent));
    } catch (error) {
      this.#host.context.log('err', `${this.#id}: the job's data is lost: ${asFluxError(error).message}`);
      return undefined;
    }
  }

  /** This service ends while the job runs: keeps what it wrote so far, and ends what is not to go on without it. */
  async leave(): Promise<void> {
    for (const timer of this.#timers()) timer?.cancel();
    if (this.#isFinalizing || !this.#isRunning) return;
    this.#isFinalizing = true;
    if (this.execution?.name === 'bulk-exec') this.execution.kill(this.#host.settings.killSignal);
    const rootref = await this.#finishNamespace();
    if (rootref !== undefined) await this.namespace.copy(rootref);
  }

  // ---- what is said about it

  #post(name: string, context?: JsonObject): void {
    this.#writer.append(LOG, { timestamp: this.#host.context.clock.now(), name, ...(context && { context }) });
  }

  #encode(name: string): string {
    return encodeEventlogEntry({ timestamp: this.#host.context.clock.now(), name });
  }

  #respond(type: string, data: JsonObject): void {
    this.#request.respond({ id: this.facts.id, type, data });
  }

  /** For `stats-get`. */
  describe(): JsonObject {
    return {
      implementation: this.execution?.name ?? 'none',
      ns: this.namespace.name,
      critical_ranks: this.criticalRanks.encode(),
      multiuser: Number(this.facts.userid !== this.#host.owner),
      has_namespace: Number(this.#hasNamespace),
      exception_in_progress: Number(this.#isFailing),
      started: Number(this.#isStarted),
      running: Number(this.#isRunning),
      finalizing: Number(this.#isFinalizing),
      expiration: real(this.#expirationTimer ? this.#expiration : 0),
      kill_timeout: real(this.#killTimeout),
      kill_count: this.#killCount,
      kill_shell_count: this.#killShellCount,
      ...this.execution?.stats(),
    };
  }
}

/** A task's wait status as that of the shell which reports it. */
function exitStatus(waitStatus: number): number {
  return exitCodeOf(waitStatus) << 8;
}
