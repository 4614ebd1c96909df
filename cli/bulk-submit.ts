/** Submits jobs one after another without waiting for answers, and follows them if that is asked for. */

import fs from 'node:fs';
import { about, asFluxError, FluxError } from '../core/errno.ts';
import { encodeFluid } from '../core/formats/fluid.ts';
import type { Handle } from '../core/handle/handle.ts';
import { formatLine, type JobLine } from './bulk-format.ts';
import { type BulkOptions, copies } from './bulk-options.ts';
import { withHandle } from './command.ts';
import { JobWatcher, type Sinks } from './job-watch.ts';
import { print } from './print.ts';
import { type JobCounts, jobsBar, submissionsBar } from './progress-bar.ts';
import { submitJob, submitSettings } from './submission.ts';
import { inputRanks, taskJobspec } from './task-jobspec.ts';

const standardSinks: Sinks = {
  stdout: (data) => void process.stdout.write(data),
  stderr: (data) => void process.stderr.write(data),
};

/** A job that is ready to go. */
interface Submission {
  readonly jobspec: string;
  readonly options: BulkOptions;
  readonly sinks: Sinks;
  /** What stands before errors: which copy it is. */
  readonly label: string;
}

/**
 * Submits the jobs of some lines, each as often as it has copies; with --dry-run prints the first jobspec.
 *
 * @param lines made one after another: an error in a later one comes when the earlier ones are submitted
 * @param total how many jobs there will be, for the bar
 * @returns the exit code: 1 when a job was refused, or that of the jobs that were waited for
 */
export async function submitAll(lines: readonly JobLine[], common: BulkOptions, total: number): Promise<number> {
  const submissions = prepareAll(lines);
  const first = submissions.next().value;
  if (!first) return 0;
  if (common.dryRun) {
    print(first.jobspec);
    return 0;
  }
  submitSettings(first.options);
  return withHandle(async (handle) => {
    const queue = new SubmissionQueue(handle, common, total);
    queue.add(first);
    for (const submission of submissions) queue.add(submission);
    return queue.end();
  });
}

function* prepareAll(lines: readonly JobLine[]): Generator<Submission, undefined, undefined> {
  for (const line of lines) yield* prepare(line);
}

/** The jobs that a line stands for. */
function* prepare(line: JobLine): Generator<Submission, void, undefined> {
  const ids = copies(line.options);
  if (!ids) {
    yield prepareOne(line.words, line.options, undefined);
    return;
  }
  for (const id of ids) {
    const { words, options } = formatLine(line, { inputs: [], methods: new Map(), named: { cc: id } });
    yield prepareOne(words, options, id);
  }
}

function prepareOne(words: readonly string[], options: BulkOptions, copy: number | undefined): Submission {
  const jobspec = taskJobspec(words, options);
  if (options.input !== undefined && options.input !== '' && inputRanks(options.input))
    throw new FluxError('EINVAL', `--input=${options.input}: tasks can be chosen for input only with flux run`);
  if (copy !== undefined && !options.bcc) jobspec.setEnvironment('FLUX_JOB_CC', String(copy));
  const label = copy === undefined ? '' : `cc=${copy}: `;
  return { jobspec: jobspec.encode(), options, sinks: sinksOf(options), label };
}

class SubmissionQueue {
  readonly #handle: Handle;
  readonly #common: BulkOptions;
  readonly #bar: JobCounts | undefined;
  readonly #watcher: JobWatcher | undefined;
  readonly #pending: Promise<void>[] = [];
  #exitCode = 0;

  constructor(handle: Handle, common: BulkOptions, total: number) {
    this.#handle = handle;
    this.#common = common;
    const { progress, jps = false, watch = false, waitFor, labelIo = false, verbose } = common;
    const follows = watch || waitFor !== undefined;
    if (progress && !process.stdout.isTTY) console.error('flux: stdout is not a terminal: --progress is ignored');
    else if (progress) this.#bar = follows ? jobsBar(jps) : submissionsBar(total, jps);
    if (follows) this.#watcher = new JobWatcher(handle, { showOutput: watch, labelIo, verbose }, this.#bar);
  }

  add(submission: Submission): void {
    const { jobspec, options } = submission;
    const id = submitJob(this.#handle, jobspec, submitSettings(options));
    this.#pending.push(this.#finish(id, submission));
  }

  async #finish(submitted: Promise<bigint>, { options, sinks, label }: Submission): Promise<void> {
    let id: bigint;
    try {
      id = await submitted;
    } catch (error) {
      sinks.stderr(`${label}${refusal(error)}\n`);
      this.#exitCode = 1;
      this.#bar?.finish();
      return;
    }
    if (!this.#common.quiet) sinks.stdout(`${encodeFluid(id)}\n`);
    if (this.#watcher) await this.#watcher.follow(id, sinks, options.waitFor);
    else this.#bar?.finish();
  }

  /** Waits for all that is under way. */
  async end(): Promise<number> {
    await Promise.all(this.#pending);
    return Math.max(this.#exitCode, this.#watcher?.exitCode ?? 0);
  }
}

/**
 * How the instance's refusal of one job of many is told. It is no fault of the command, so its name does not stand before
 * it; the number does, as in flux-core, because scripts that submit many jobs tell refusals by it.
 */
function refusal(error: unknown): string {
  const { errno, message } = asFluxError(error);
  return `[Errno ${errno}] ${message}`;
}

// ---- log files

const logFiles = new Map<string, Sinks['stdout']>();

function sinksOf({ log, logStderr }: BulkOptions): Sinks {
  const stdout = log ? openLog(log) : standardSinks.stdout;
  const stderr = logStderr ? openLog(logStderr) : log ? stdout : standardSinks.stderr;
  return { stdout, stderr };
}

/** Opens a file once, however many jobs write to it. */
function openLog(file: string): Sinks['stdout'] {
  let sink = logFiles.get(file);
  if (!sink) {
    const descriptor = openForWriting(file);
    sink = (data) => void fs.writeSync(descriptor, typeof data === 'string' ? Buffer.from(data) : data);
    logFiles.set(file, sink);
  }
  return sink;
}

function openForWriting(file: string): number {
  try {
    return fs.openSync(file, 'w');
  } catch (error) {
    throw about(file, error);
  }
}
