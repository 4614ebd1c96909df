/**
 * Runs a site's prolog before a job starts, and its epilog when the job has ended, on rank 0 or on all ranks of the job.
 *
 * A job has one of them at a time. Whatever became of the prolog, the epilog follows: where the job never started because
 * of the prolog, at once.
 */

import type { ServiceContext } from '../../../core/broker/service.ts';
import { stateNumber } from '../../../core/broker/state-machine.ts';
import { asFluxError } from '../../../core/errno.ts';
import { encodeFluid } from '../../../core/formats/fluid.ts';
import { JobState } from '../../../core/formats/job-state.ts';
import { untilEnd } from '../../../core/handle/rpc.ts';
import { Flag } from '../../../core/message/message.ts';
import { HostNames } from '../host-names.ts';
import type { ActiveJob } from '../job.ts';
import type { JobtapContext, JobtapHooks, JobtapPlugin } from '../plugin.ts';
import {
  describeSettings,
  noPerilog,
  type PerilogConfig,
  type PerilogName,
  readPerilogConfig,
} from './perilog-config.ts';
import { PerilogProcess } from './perilog-process.ts';

/** In the events that say that a job has one. */
const descriptions: Readonly<Record<PerilogName, string>> = {
  prolog: 'job-manager.prolog',
  epilog: 'job-manager.epilog',
};

/** A prolog that fails ends the job; an epilog that fails says nothing about the job. */
const severities: Readonly<Record<PerilogName, number>> = { prolog: 0, epilog: 2 };

/** Status of one that did not run to its end: as if it had exited with 1. */
const INTERRUPTED = 1 << 8;

/** Whether one was begun for a job and has not ended. */
function isOpen({ eventlog }: ActiveJob, name: PerilogName): boolean {
  const count = (event: string) =>
    eventlog.filter((entry) => entry.name === event && entry.context?.description === descriptions[name]).length;
  return count(`${name}-start`) > count(`${name}-finish`);
}

class Perilog {
  config: PerilogConfig = noPerilog;
  isShuttingDown = false;
  readonly #context: JobtapContext;
  readonly #hosts: HostNames;
  readonly #processes = new Map<ActiveJob, PerilogProcess>();

  constructor(context: JobtapContext) {
    this.#context = context;
    this.#hosts = new HostNames(context.service);
  }

  /**
   * A job was there before the plugin. What ran for it when the manager ended ran no longer than that, and is run again:
   * the job waits for its end.
   */
  jobIsBack(job: ActiveJob): void {
    if (!(job.state & JobState.running)) return;
    const { prolog, epilog } = this.config;
    if (prolog || epilog) this.#context.subscribe(job);
    if (isOpen(job, 'epilog') && !(epilog && this.#run(job, 'epilog')))
      this.#context.finishEpilog(job, descriptions.epilog, INTERRUPTED);
    if (!isOpen(job, 'prolog') || (prolog && job.state === JobState.run && this.#run(job, 'prolog'))) return;
    if (job.state === JobState.run) this.#context.raise(job, 'prolog', 0, 'prolog was interrupted by a restart');
    this.#prologEnded(job, INTERRUPTED, true);
  }

  jobRuns(job: ActiveJob): void {
    const { prolog, epilog } = this.config;
    if (prolog || epilog) this.#context.subscribe(job);
    if (prolog && this.#run(job, 'prolog')) this.#context.startProlog(job, descriptions.prolog);
  }

  jobFinished(job: ActiveJob): void {
    // A script of a site may take any time, and a broker that does not end in time is killed.
    if (!this.config.epilog || this.isShuttingDown) return;
    if (this.#run(job, 'epilog')) this.#context.startEpilog(job, descriptions.epilog);
  }

  jobFailed(job: ActiveJob): void {
    this.#processes.get(job)?.cancel();
  }

  /** Starts a prolog or epilog; false when it can't be, and the job has an exception. */
  #run(job: ActiveJob, name: PerilogName): boolean {
    const settings = this.config[name]!;
    try {
      const run = { job, name, settings, ignored: this.config.ignored };
      const process = new PerilogProcess(this.#context, this.#hosts, run, (ended) => this.#ended(ended));
      this.#processes.set(job, process);
      return true;
    } catch (error) {
      this.#context.raise(job, name, 0, `failed to start job ${name}: ${asFluxError(error).message}`);
      return false;
    }
  }

  #ended(process: PerilogProcess): void {
    const { job, name, complaint } = process;
    this.#processes.delete(job);
    if (!this.#context.active(job.id)) return;
    // The exception goes first, so that a job whose prolog failed is not started.
    if (complaint !== undefined) this.#context.raise(job, name, severities[name], complaint);
    if (name === 'epilog') {
      this.#context.unsubscribe(job);
      this.#context.finishEpilog(job, descriptions.epilog, process.status);
      return;
    }
    this.#prologEnded(job, process.status, process.hasFailed);
  }

  /** Where the job will not run nothing else leads to its epilog. */
  #prologEnded(job: ActiveJob, status: number, hasFailed: boolean): void {
    const undoes = hasFailed && this.config.epilog !== undefined && !isOpen(job, 'epilog');
    // That it is to come is told before the prolog is over: then nothing would hold the job any more.
    if (undoes) this.#context.post(job, 'epilog-start', { description: descriptions.epilog });
    this.#context.finishProlog(job, descriptions.prolog, status);
    if (undoes && !this.#run(job, 'epilog'))
      this.#context.post(job, 'epilog-finish', { description: descriptions.epilog, status: INTERRUPTED });
  }

  query(): ReturnType<NonNullable<JobtapHooks['query']>> {
    const { prolog, epilog } = this.config;
    return {
      conf: { prolog: describeSettings(prolog), epilog: describeSettings(epilog) },
      procs: Object.fromEntries(
        Array.from(this.#processes.values(), (process) => [encodeFluid(process.job.id), process.describe()]),
      ),
    };
  }

  stop(): void {
    for (const process of this.#processes.values()) process.abandon();
  }
}

/** Calls back when the broker begins to shut down. */
function onShutdown(service: ServiceContext, callback: () => void): () => void {
  const final = stateNumber('cleanup');
  const responses = service.request('state-machine.monitor', { final }, { flags: Flag.streaming });
  void untilEnd(responses, (response) => {
    if (response.unpack({ state: 'i' }).state === final) callback();
  }).then(({ code, message }) => {
    if (code !== 'ENODATA') service.log('err', `error watching broker state: ${message}`);
  });
  return () => responses.abandon();
}

export const perilog: JobtapPlugin = {
  start(context) {
    const runs = new Perilog(context);
    const stopMonitor = onShutdown(context.service, () => {
      runs.isShuttingDown = true;
    });
    return {
      configure(config) {
        runs.config = readPerilogConfig(config);
      },
      new(job) {
        runs.jobIsBack(job);
        return undefined;
      },
      state: {
        run(job) {
          runs.jobRuns(job);
          return undefined;
        },
      },
      event: {
        finish: (job) => runs.jobFinished(job),
        exception(job, { context: members }) {
          if (members?.severity === 0) runs.jobFailed(job);
        },
      },
      query: () => runs.query(),
      stop() {
        stopMonitor();
        runs.stop();
      },
    };
  },
};
