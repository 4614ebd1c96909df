/** One run of a prolog or epilog: its programs on their ranks, its time limits, and what is said when it fails. */

import { constants } from 'node:os';
import type { Timer } from '../../../core/broker/service.ts';
import { asFluxError } from '../../../core/errno.ts';
import { encodeFluid } from '../../../core/formats/fluid.ts';
import { IdSet } from '../../../core/formats/idset.ts';
import { resourceSetFromJson } from '../../../core/formats/resource-json.ts';
import { signalOf } from '../../../core/formats/wait-status.ts';
import type { JsonObject } from '../../../core/json.ts';
import { BulkExec } from '../../rexec/bulk-exec.ts';
import type { HostNames } from '../host-names.ts';
import type { ActiveJob } from '../job.ts';
import type { JobtapContext } from '../plugin.ts';
import type { PerilogConfig, PerilogName, PerilogSettings } from './perilog-config.ts';

export interface PerilogRun {
  readonly job: ActiveJob;
  readonly name: PerilogName;
  readonly settings: PerilogSettings;
  readonly ignored: PerilogConfig['ignored'];
}

export class PerilogProcess {
  readonly job: ActiveJob;
  readonly name: PerilogName;
  readonly #settings: PerilogSettings;
  readonly #ignored: PerilogConfig['ignored'];
  readonly #context: JobtapContext;
  readonly #hosts: HostNames;
  readonly #programs: BulkExec;
  readonly #onEnd: (process: PerilogProcess) => void;
  #isCanceled = false;
  #isTimedOut = false;
  /** It did not end in time after SIGTERM. */
  #isStuck = false;
  #isOver = false;
  /** Those that are to blame, once it is over. */
  #failedRanks = IdSet.empty;
  #timer: Timer | undefined;
  #killTimer: Timer | undefined;
  /** When the timer that is set last will fire. */
  #deadline: number | undefined;

  /** @throws FluxError the job's R can't be read */
  constructor(context: JobtapContext, hosts: HostNames, run: PerilogRun, onEnd: (process: PerilogProcess) => void) {
    const { job, name, settings, ignored } = run;
    this.job = job;
    this.name = name;
    this.#settings = settings;
    this.#ignored = ignored;
    this.#context = context;
    this.#hosts = hosts;
    this.#onEnd = onEnd;
    const ranks = resourceSetFromJson(job.R).ranks;
    const environment = {
      FLUX_JOB_ID: encodeFluid(job.id),
      FLUX_JOB_RANKS: ranks.encode(),
      FLUX_JOB_USERID: String(job.userid),
    };
    this.#programs = new BulkExec(
      context.service,
      { ranks: settings.perRank ? ranks : IdSet.from([0]), cmdline: settings.command, environment },
      {
        output: (rank, stream, line) => this.#output(rank, stream, line),
        failed: (rank, { message }) => this.#log('err', rank, message),
        completed: () => this.#completed(),
      },
    );
    if (settings.timeout > 0) {
      this.#timer = this.#after(settings.timeout, () => {
        this.#isTimedOut = true;
        this.#terminate();
      });
    }
  }

  #after(seconds: number, callback: () => void): Timer {
    const { clock } = this.#context.service;
    this.#deadline = clock.monotonic() + seconds;
    return clock.after(seconds, callback);
  }

  #log(severity: 'err' | 'info', rank: number, text: string): void {
    const where = `${this.#hosts.of(rank)} (rank ${rank})`;
    this.#context.service.log(severity, `${encodeFluid(this.job.id)}: ${this.name}: ${where}: ${text}`);
  }

  #output(rank: number, stream: string, line: string): void {
    if (this.#ignored.some((pattern) => pattern.test(line))) return;
    this.#log(stream === 'stderr' ? 'err' : 'info', rank, `${stream}: ${line}`);
  }

  // ---- its end

  /** The job has a fatal exception: where it is wanted, the programs are to end. */
  cancel(): void {
    if (!this.#settings.cancelsOnException || this.#isCanceled || !this.#programs.isActive) return;
    this.#isCanceled = true;
    this.#terminate();
  }

  #terminate(): void {
    if (this.#killTimer) return;
    this.#programs.kill(constants.signals.SIGTERM);
    this.#killTimer = this.#after(this.#settings.killTimeout, () => {
      const what = `timed out waiting for SIGTERM to terminate ${this.name}`;
      this.#context.service.log('err', `${encodeFluid(this.job.id)}: ${what}`);
      this.#isStuck = true;
      this.#finish(this.#programs.activeRanks);
    });
  }

  #completed(): void {
    const isDrained = this.#settings.perRank && !this.#isCanceled && this.status !== 0;
    this.#finish(isDrained ? this.#programs.failedRanks : IdSet.empty);
  }

  /** @param drained ranks to drain first: nobody may have them before */
  #finish(drained: IdSet): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#failedRanks = this.#isStuck ? drained : this.#programs.failedRanks;
    this.#timer?.cancel();
    this.#killTimer?.cancel();
    if (drained.first === undefined) this.#onEnd(this);
    else void this.#drain(drained).then(() => this.#onEnd(this));
  }

  async #drain(ranks: IdSet): Promise<void> {
    const how = this.#isCanceled ? 'canceled then timed out' : this.#isTimedOut ? 'timed out' : 'failed';
    const id = encodeFluid(this.job.id);
    const reason = `${this.name} ${how} for job ${id}`;
    try {
      await this.#context.service.rpc('resource.drain', { targets: ranks.encode(), reason, mode: 'update' });
    } catch (error) {
      const { message } = asFluxError(error);
      this.#context.service.log('err', `Failed to drain ranks with failed ${this.name} for ${id}: ${message}`);
    }
  }

  /** Nobody waits for it any more. */
  abandon(): void {
    this.#isOver = true;
    this.#timer?.cancel();
    this.#killTimer?.cancel();
    this.#programs.kill(constants.signals.SIGKILL);
  }

  /** What wait(2) said, the largest of all ranks. */
  get status(): number {
    return this.#programs.status;
  }

  /** It did not do its work: its effects have to be undone. */
  get hasFailed(): boolean {
    return this.#isCanceled || this.#isTimedOut || this.status !== 0;
  }

  /** What is to be said of it; nothing of one that did its work, or that ended when it was told to. */
  get complaint(): string | undefined {
    if (!this.#isStuck && (this.status === 0 || this.#isCanceled)) return undefined;
    const ranks = this.#failedRanks;
    return `${this.name} ${this.#fate} on ${this.#hosts.list(ranks)} (rank ${ranks})`;
  }

  get #fate(): string {
    if (this.#isStuck && this.#isCanceled) return 'canceled then timed out';
    if (this.#isTimedOut) return 'timed out';
    const signal = signalOf(this.status);
    const code = this.status >> 8;
    // Shells exit with 128 and the signal that ended their program.
    if (signal || code > 128) return `killed by signal ${signal || code - 128}`;
    return `exited with code=${code}`;
  }

  describe(): JsonObject {
    const active = this.#programs.activeRanks;
    const rest = this.#deadline === undefined ? -1 : this.#deadline - this.#context.service.clock.monotonic();
    return {
      name: this.name,
      state: this.#isCanceled ? 'canceled' : this.#isTimedOut ? 'timeout' : 'running',
      total: this.#programs.ranks.count,
      active: active.count,
      active_ranks: active.encode(),
      remaining_time: Math.round(rest),
    };
  }
}
