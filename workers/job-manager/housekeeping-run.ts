/** Housekeeping after one job: a program on each of its ranks, and the resources that go back rank by rank. */

import type { ServiceContext, Timer } from '../../core/broker/service.ts';
import { FluxError } from '../../core/errno.ts';
import { encodeFluid } from '../../core/formats/fluid.ts';
import { IdSet } from '../../core/formats/idset.ts';
import { resourceSetFromJson, resourceSetToJson } from '../../core/formats/resource-json.ts';
import type { ResourceSet } from '../../core/formats/resource-set.ts';
import { signalText } from '../../core/formats/signal.ts';
import { signalOf } from '../../core/formats/wait-status.ts';
import { type JsonObject, real } from '../../core/json.ts';
import { BulkExec } from '../rexec/bulk-exec.ts';
import type { HostNames } from './host-names.ts';

/** Seconds from the first rank that is done until all that are done go back. */
export const NEVER = -1;

export interface HousekeepingJob {
  readonly id: bigint;
  readonly userid: number;
  readonly R: JsonObject;
}

export interface HousekeepingEvents {
  /** Resources are for the scheduler again; `isFinal`: the job has no more. */
  released(R: JsonObject, isFinal: boolean): void;
  /** All is done. */
  completed(): void;
}

export class HousekeepingRun {
  readonly id: bigint;
  readonly #context: ServiceContext;
  readonly #hosts: HostNames;
  readonly #events: HousekeepingEvents;
  readonly #started: number;
  /** Seconds after which what is done goes back; `NEVER` before all is done. */
  readonly #releaseAfter: number;
  readonly #programs: BulkExec;
  #rest: ResourceSet;
  /** Ranks where it is not done. */
  #pending: IdSet;
  #released = IdSet.empty;
  #timer: Timer | undefined;
  #isTimerOver = false;

  /** @throws FluxError EINVAL: R can't be read */
  constructor(
    context: ServiceContext,
    hosts: HostNames,
    job: HousekeepingJob,
    command: readonly string[],
    releaseAfter: number,
    events: HousekeepingEvents,
  ) {
    this.id = job.id;
    this.#context = context;
    this.#hosts = hosts;
    this.#events = events;
    this.#started = context.clock.now();
    this.#releaseAfter = releaseAfter;
    this.#rest = resourceSetFromJson(job.R);
    this.#pending = this.#rest.ranks;
    if (this.#pending.first === undefined) throw new FluxError('EINVAL', 'the resources have no ranks');
    const environment = {
      FLUX_JOB_ID: String(job.id),
      FLUX_JOB_USERID: String(job.userid),
      FLUX_JOB_RANKS: this.#pending.encode(),
    };
    const name = encodeFluid(job.id);
    this.#programs = new BulkExec(
      context,
      { ranks: this.#pending, cmdline: command, environment },
      {
        started: () => context.log('debug', `housekeeping: ${name} started`),
        output: (rank, stream, line) => this.#log(stream === 'stderr' ? 'err' : 'info', rank, line),
        failed: (rank, { message }) => this.#log('err', rank, message),
        exited: (ranks) => this.#exited(ranks),
        completed: () => {
          context.log('debug', `housekeeping: ${name} complete`);
          this.#timer?.cancel();
          events.completed();
        },
      },
    );
  }

  #log(severity: 'err' | 'info', rank: number, text: string): void {
    this.#context.log(
      severity,
      `housekeeping: ${this.#hosts.of(rank)} (rank ${rank}) ${encodeFluid(this.id)}: ${text}`,
    );
  }

  #exited(ranks: IdSet): void {
    this.#pending = this.#pending.difference(ranks);
    if (this.#pending.first === undefined || this.#releaseAfter === 0 || this.#isTimerOver) this.#release();
    else if (this.#releaseAfter > 0) {
      this.#timer ??= this.#context.clock.after(this.#releaseAfter, () => {
        this.#isTimerOver = true;
        this.#release();
      });
    }
    this.#complain(ranks);
  }

  /** One line for ranks that failed together. */
  #complain(ranks: IdSet): void {
    const faults = new Set<string>();
    const failed = [...ranks].filter((rank) => {
      const status = this.#programs.statusOn(rank) ?? 0;
      if (status === 0) return false;
      const signal = signalOf(status);
      faults.add(signal ? signalText(signal) : 'nonzero exit code');
      return true;
    });
    if (failed.length === 0) return;
    const set = IdSet.from(failed);
    const fault = faults.size > 1 ? 'multiple failure modes' : [...faults][0];
    this.#context.log('err', `housekeeping: ${this.#hosts.list(set)} (rank ${set}) ${encodeFluid(this.id)}: ${fault}`);
  }

  /** Gives back what is done. */
  #release(): void {
    const ranks = this.#rest.ranks.difference(this.#pending);
    if (ranks.first === undefined) return;
    const R = resourceSetToJson(this.#rest.select(ranks));
    this.#rest = this.#rest.exclude(ranks);
    this.#released = this.#released.union(ranks);
    this.#events.released(R, this.#pending.first === undefined);
  }

  kill(signum: number, ranks?: IdSet): void {
    this.#programs.kill(signum, ranks);
  }

  /** Where it is not done, for people. */
  get whereabouts(): string {
    return `${this.#hosts.list(this.#pending)} (rank ${this.#pending})`;
  }

  /** Ranks that the scheduler has again. */
  get released(): IdSet {
    return this.#released;
  }

  /** What the scheduler does not have again. */
  get allocated(): JsonObject {
    return resourceSetToJson(this.#rest);
  }

  describe(): JsonObject {
    return {
      t_start: real(this.#started),
      pending: this.#pending.encode(),
      allocated: this.#rest.ranks.encode(),
    };
  }
}
