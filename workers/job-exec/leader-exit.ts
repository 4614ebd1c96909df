/**
 * The end of a job's leader, the shell of rank 0. The others mostly end with it: what is told of it waits a moment, since there
 * is less to tell then. Those that do not end for a longer while are ended.
 */

import type { ServiceContext, Timer } from '../../core/broker/service.ts';
import { formatDuration } from '../../core/formats/duration.ts';
import { IdSet } from '../../core/formats/idset.ts';
import type { Execution } from './execution.ts';
import type { JobData } from './job-data.ts';
import { hostsOf, type JobFacts } from './job-facts.ts';
import type { ExecSettings } from './settings.ts';

/** Seconds that the other shells have to end with the leader. */
const DELAY = 0.05;

export interface LeaderExitHost {
  readonly context: ServiceContext;
  /** As they are now. */
  readonly settings: ExecSettings;
}

/** The job whose leader it is. */
export interface LedJob {
  readonly facts: JobFacts;
  readonly execution: Execution | undefined;
  readonly isFailing: boolean;
  fail(note: string): void;
}

export class LeaderExit {
  readonly #host: LeaderExitHost;
  readonly #job: LedJob;
  readonly #data: JobData;
  // Until it is told.
  #status: number | undefined;
  #tellTimer: Timer | undefined;
  #othersTimer: Timer | undefined;

  constructor(host: LeaderExitHost, job: LedJob, data: JobData) {
    this.#host = host;
    this.#job = job;
    this.#data = data;
  }

  /** The leader has ended. */
  take(status: number): void {
    this.#data.endBeginning();
    this.#status = status;
    if (!this.#job.execution?.activeRanks()?.count) this.tell();
    else this.#tellTimer = this.#host.context.clock.after(DELAY, () => this.tell());
  }

  /** Tells of it now, unless that is done, or the leader runs. */
  tell(): void {
    const status = this.#status;
    if (status === undefined) return;
    this.#status = undefined;
    const active = this.#job.execution?.activeRanks() ?? IdSet.empty;
    this.#data.post('shell-exit', {
      rank: this.#job.facts.ranks.first!,
      wait_status: status,
      ...(active.count > 0 && { active_ranks: active.encode() }),
    });
    const { context, settings } = this.#host;
    if (settings.shellExitTimeout <= 0 || active.count === 0 || this.#job.isFailing) return;
    this.#othersTimer ??= context.clock.after(settings.shellExitTimeout, () => this.#othersRemain());
  }

  #othersRemain(): void {
    const active = this.#job.execution?.activeRanks();
    if (!active?.count) return;
    const hosts = hostsOf(this.#job.facts, active);
    const ranks = `rank${active.count > 1 ? 's' : ''} ${active}`;
    const after = formatDuration(this.#host.settings.shellExitTimeout);
    this.#job.fail(`job shells still active on ${hosts} (${ranks}) ${after} after leader shell exit`);
  }

  /** The others are being ended anyway. */
  leaveOthers(): void {
    this.#othersTimer?.cancel();
  }

  /** The job is over. */
  stop(): void {
    this.#tellTimer?.cancel();
    this.#othersTimer?.cancel();
  }
}
