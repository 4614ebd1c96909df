/** Follows jobs to their ends: what they write, what becomes of them. */

import { encodeFluid } from '../core/formats/fluid.ts';
import { formatFixed } from '../core/formats/printf.ts';
import type { Handle } from '../core/handle/handle.ts';
import type { JsonObject } from '../core/json.ts';
import { type EventlogEntry, watchEventlog } from './eventlog.ts';
import { outputOf, prefixLines } from './job-output.ts';
import { type BarState, type JobPhase, ProgressBar, withoutMovements } from './job-progress.ts';
import { canonicalJson } from './json.ts';
import { exitCodeOf } from './remote-process.ts';

export interface WatchOptions {
  /** Put the job and the task in front of each line. */
  readonly label: boolean;
  /** 1: tell how jobs end; 2: tell of each event. */
  readonly verbose: number;
  readonly progress: boolean;
  /** Show jobs a second with the progress. */
  readonly rate: boolean;
  /** Seconds since the epoch from which time is counted; undefined: since the first job was submitted. */
  readonly start: number | undefined;
}

interface WatchedJob {
  readonly id: bigint;
  readonly name: string;
  phase: JobPhase;
}

/** Bits of the states RUN and CLEANUP, and INACTIVE (RFC 21). */
const RUNNING = 48;
const INACTIVE = 64;
const RESULT_COMPLETED = 1;

function phaseOf({ state, result }: JsonObject): JobPhase {
  if (Number(state) === INACTIVE) return result === RESULT_COMPLETED ? 'complete' : 'failed';
  return Number(state) & RUNNING ? 'running' : 'pending';
}

/**
 * Follows jobs, and resolves when there is nothing more to come of any.
 *
 * @param jobs with their `state`, `result` and `t_submit`
 * @returns the highest of their exit codes
 */
export function watchJobs(handle: Handle, jobs: readonly JsonObject[], options: WatchOptions): Promise<number> {
  return new JobWatcher(handle, jobs, options).run();
}

class JobWatcher {
  readonly #handle: Handle;
  readonly #options: WatchOptions;
  readonly #jobs: readonly WatchedJob[];
  #start: number;
  #done = 0;
  #exitCode = 0;

  constructor(handle: Handle, jobs: readonly JsonObject[], options: WatchOptions) {
    this.#handle = handle;
    this.#options = options;
    this.#jobs = jobs.map((job) => {
      const id = BigInt(job.id as number | bigint);
      return { id, name: encodeFluid(id), phase: phaseOf(job) };
    });
    this.#start = options.start ?? Math.min(...jobs.map(({ t_submit }) => Number(t_submit)));
  }

  async run(): Promise<number> {
    const bar = this.#options.progress ? new ProgressBar(() => this.#state()) : undefined;
    bar?.start();
    try {
      await Promise.all(this.#jobs.map((job) => this.#watch(job)));
    } finally {
      bar?.stop();
    }
    return this.#exitCode;
  }

  #state(): BarState {
    const counts = { pending: 0, running: 0, complete: 0, failed: 0 };
    for (const { phase } of this.#jobs) counts[phase]++;
    const elapsed = Date.now() / 1000 - this.#start;
    const rate = this.#options.rate ? this.#done / elapsed : undefined;
    return { counts, total: this.#jobs.length, done: this.#done, elapsed, rate };
  }

  /** Follows one job, until all is told of it and all is written that it wrote. */
  async #watch(job: WatchedJob): Promise<void> {
    let output: Promise<void> | undefined;
    for await (const entry of watchEventlog(this.#handle, job.id, 'eventlog')) {
      const { timestamp, name, context } = entry;
      this.#start = Math.min(this.#start, timestamp);
      this.#tellEvent(job, entry, '');
      if (name === 'start') output = this.#watchShell(job);
      else if (name === 'alloc') job.phase = 'running';
      else if (name === 'exception' && context.severity === 0) this.#fail(job, context, output !== undefined);
      else if (name === 'finish') this.#finish(job, timestamp, Number(context.status));
      else if (name === 'clean') break;
    }
    this.#done++;
    await output;
  }

  #fail(job: WatchedJob, { type, note }: JsonObject, hasStarted: boolean): void {
    if (!hasStarted) {
      job.phase = 'failed';
      this.#exitCode = Math.max(this.#exitCode, 1);
    }
    console.error(`job.exception: type=${type} severity=0${note ? ` ${note}` : ''}`);
  }

  #finish(job: WatchedJob, timestamp: number, status: number): void {
    job.phase = status === 0 ? 'complete' : 'failed';
    this.#exitCode = Math.max(this.#exitCode, exitCodeOf(status));
    if (this.#options.verbose > 0) this.#tell(job, timestamp, `${job.phase}: status=${status}`);
  }

  /** Follows the output once the shells have made its eventlog. */
  async #watchShell(job: WatchedJob): Promise<void> {
    let output: Promise<void> | undefined;
    for await (const entry of watchEventlog(this.#handle, job.id, 'guest.exec.eventlog')) {
      this.#tellEvent(job, entry, 'exec.');
      if (entry.name !== 'shell.init') continue;
      output = this.#watchOutput(job);
      break;
    }
    await output;
  }

  async #watchOutput(job: WatchedJob): Promise<void> {
    const { label, progress } = this.#options;
    for await (const entry of watchEventlog(this.#handle, job.id, 'guest.output')) {
      const output = outputOf(entry, label);
      if (!output) continue;
      const data = progress ? withoutMovements(output.data) : output.data;
      process[output.stream].write(label ? prefixLines(data, `${job.name}: `) : data);
    }
  }

  #tellEvent(job: WatchedJob, { timestamp, name, context }: EventlogEntry, prefix: string): void {
    if (this.#options.verbose < 2) return;
    const text = Object.keys(context).length ? canonicalJson(context) : '';
    this.#tell(job, timestamp, `${prefix}${name} ${text}`);
  }

  #tell({ name }: WatchedJob, timestamp: number, text: string): void {
    console.error(`${name}: ${formatFixed(timestamp - this.#start, 3)}s: ${text}`);
  }
}
