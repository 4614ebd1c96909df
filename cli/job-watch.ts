/** Follows jobs that a command has submitted: to an event, or to their end, with or without their output. */

import { encodeFluid } from '../core/formats/fluid.ts';
import { formatFixed } from '../core/formats/printf.ts';
import { exitCodeOf } from '../core/formats/wait-status.ts';
import type { Handle } from '../core/handle/handle.ts';
import { stringifyJson } from '../core/json.ts';
import { type JobEvent, watchEventlog } from './eventlog.ts';
import { type JobCounts, withoutMovements } from './progress-bar.ts';
import { exceptionText, labelLines, watchOutput } from './watched-output.ts';

/** Where the output of a job goes. */
export interface Sinks {
  readonly stdout: (data: string | Buffer) => void;
  readonly stderr: (data: string | Buffer) => void;
}

export interface WatchOptions {
  readonly showOutput: boolean;
  readonly labelIo: boolean;
  /** 1: say how each job ended; 2: show events, too. */
  readonly verbose: number;
  /** Seconds since the epoch from which time is counted; the first event's time when absent. */
  readonly start?: number | undefined;
}

interface Job {
  readonly id: bigint;
  readonly name: string;
  readonly sinks: Sinks;
  readonly waitFor: string | undefined;
  readonly events: Set<string>;
  state: 'pending' | 'running' | 'complete' | 'failed';
  /** Settles when all of its output has been shown. */
  output: Promise<unknown>;
}

export class JobWatcher {
  /** The largest of the jobs that have ended so far. */
  exitCode = 0;
  readonly #handle: Handle;
  readonly #options: WatchOptions;
  readonly #progress: JobCounts | undefined;
  #start: number | undefined;

  constructor(handle: Handle, options: WatchOptions, progress: JobCounts | undefined) {
    this.#handle = handle;
    this.#options = options;
    this.#progress = progress;
    this.#start = options.start;
  }

  /** Follows a job, and resolves when there is nothing more to do for it. */
  async follow(id: bigint, sinks: Sinks, waitFor: string | undefined): Promise<void> {
    const job: Job = {
      id,
      name: encodeFluid(id),
      sinks,
      waitFor,
      events: new Set(),
      state: 'pending',
      output: Promise.resolve(),
    };
    this.#start ??= Date.now() / 1000;
    this.#progress?.change(undefined, 'pending');
    for await (const entry of watchEventlog(this.#handle, id, 'eventlog')) {
      this.#take(job, entry);
      if (waitFor === entry.name) break;
      // With exec.NAME the job is done with as soon as its shells have come so far.
      if (entry.name === 'start' && waitFor?.startsWith('exec.') && (await this.#followShells(job))) break;
    }
    this.#progress?.finish();
    await job.output;
  }

  #take(job: Job, entry: JobEvent): void {
    const { timestamp, name, context } = entry;
    job.events.add(name);
    if (timestamp < this.#start!) this.#start = timestamp;
    this.#logEvent(job, entry, '');
    if (name === 'alloc') this.#enter(job, 'running');
    else if (name === 'start' && this.#options.showOutput && !job.waitFor?.startsWith('exec.'))
      job.output = this.#followShells(job);
    else if (name === 'exception' && context.severity === 0) this.#takeException(job, entry);
    else if (name === 'finish') {
      const status = Number(context.status);
      this.exitCode = Math.max(this.exitCode, exitCodeOf(status));
      this.#enter(job, status > 0 ? 'failed' : 'complete');
      if (this.#options.verbose) this.#log(job, timestamp, `${job.state}: status=${status}`);
    }
  }

  #takeException(job: Job, { context }: JobEvent): void {
    if (!job.events.has('start')) {
      this.exitCode = Math.max(this.exitCode, 1);
      this.#enter(job, 'failed');
    }
    if (!job.events.has('shell.init')) job.sinks.stderr(`${exceptionText(context)}\n`);
  }

  /** Follows the shells until the output is there, or to the event that is waited for; tells whether that came. */
  async #followShells(job: Job): Promise<boolean> {
    const isShellEvent = job.waitFor?.startsWith('exec.');
    let output = Promise.resolve();
    let found = false;
    for await (const entry of watchEventlog(this.#handle, job.id, 'guest.exec.eventlog')) {
      this.#logEvent(job, entry, 'exec.');
      if (entry.name === 'shell.init' && this.#options.showOutput) {
        output = this.#showOutput(job);
        if (!isShellEvent) break;
      }
      found = job.waitFor === `exec.${entry.name}`;
      if (found) break;
    }
    await output;
    return found;
  }

  async #showOutput(job: Job): Promise<void> {
    for await (const { stream, data, rank } of watchOutput(this.#handle, job.id)) {
      const label = rank === undefined ? `${job.name}: ` : `${job.name}: ${rank}: `;
      const shown = this.#progress ? withoutMovements(data) : data;
      job.sinks[stream](this.#options.labelIo ? labelLines(shown, label) : shown);
    }
  }

  #enter(job: Job, state: Job['state']): void {
    this.#progress?.change(job.state, state);
    job.state = state;
  }

  #logEvent(job: Job, { timestamp, name, context }: JobEvent, prefix: string): void {
    const text = Object.keys(context).length ? stringifyJson(context) : '';
    if (this.#options.verbose > 1) this.#log(job, timestamp, `${prefix}${name} ${text}`);
  }

  #log(job: Job, timestamp: number, text: string): void {
    job.sinks.stderr(`${job.name}: ${formatFixed(timestamp - this.#start!, 3)}s: ${text}\n`);
  }
}
