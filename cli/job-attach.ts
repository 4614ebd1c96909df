/** `flux job attach`: follows a job to its end, with its output here and what is typed here as its input. */

import { constants } from 'node:os';
import { asFluxError, FluxError } from '../core/errno.ts';
import { IdSet } from '../core/formats/idset.ts';
import { JobState } from '../core/formats/job-state.ts';
import { TaskMap } from '../core/formats/taskmap.ts';
import { jobExit } from '../core/formats/wait-status.ts';
import type { Handle } from '../core/handle/handle.ts';
import type { JsonObject } from '../core/json.ts';
import { eventsOf, INITIAL_SENTINEL, type JobEvent, openEventlog } from './eventlog.ts';
import { AttachSignals, log } from './job-attach-signals.ts';
import { fetchProctable, type ShellService, shellServiceOf } from './job-hostpids.ts';
import { formatJobId } from './job-id.ts';
import { type Buffering, JobInput } from './job-input.ts';
import { eventLine, execLogText, OutputPrinter, type Write } from './job-output.ts';
import { PtyClient, type PtyEnd } from './job-pty.ts';
import { killJob } from './job-raise.ts';
import { StatusLine } from './job-status-line.ts';

export interface AttachOptions {
  /** Show the events of the job on stderr. */
  readonly showEvents?: boolean;
  /** Show the events of its execution on stderr. */
  readonly showExec?: boolean;
  /** Show what the job waits for at once, whether there is a terminal or not. */
  readonly showStatus?: boolean;
  /** Put the task's rank before its output. */
  readonly labelIo?: boolean;
  /** Send each piece of input as it comes. */
  readonly unbuffered?: boolean;
  /** Refuse jobs that are over, and let tasks that wait for a debugger go on. */
  readonly debug?: boolean;
  /** Stop following the job's events at this one; `clean`, the last, when absent. */
  readonly waitEvent?: string;
  /** Show only so many of the last events of what output there is already; '' is 10. */
  readonly tail?: string;
  /** Whether a line about what the job waits for may be shown when this is a terminal; true when absent. */
  readonly ttyOk?: boolean;
  readonly verbose?: number;
  /** Leave out what is no output. */
  readonly quiet?: boolean;
  /** Neither read input nor take signals. */
  readonly readOnly?: boolean;
  /** The tasks that get input, an idset; all when absent. */
  readonly stdinRanks?: string;
  /** What the user calls the job. */
  readonly name?: string;
}

/**
 * Follows a job until it is over, or the user leaves it.
 *
 * @returns its exit code: 128 and a signal that ended its tasks or shells, 1 when an exception ended it or it was left
 * @throws FluxError there is no such job, it is somebody else's, it takes no input, options contradict each other
 */
export async function attachJob(handle: Handle, id: bigint, options: AttachOptions): Promise<number> {
  const tail = parseTail(options.tail);
  if (options.stdinRanks !== undefined && options.readOnly)
    throw new FluxError('EINVAL', '--stdin-ranks does not go together with --read-only');
  const stdinRanks = parseRanks(options.stdinRanks);
  const name = options.name ?? formatJobId(id);
  if (options.debug) await checkDebuggable(handle, id, name);
  return new Attachment(handle, id, name, options, tail, stdinRanks).run();
}

const TAIL_DEFAULT = 10;

/**
 * How many events of the output there is are shown.
 *
 * @throws FluxError EINVAL
 */
export function parseTail(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (text === '') return TAIL_DEFAULT;
  if (!/^\d+$/.test(text)) throw new FluxError('EINVAL', `--tail: '${text}' is not a count`);
  return Number(text);
}

function parseRanks(text: string | undefined): IdSet | undefined {
  if (text === undefined || text === 'all') return undefined;
  try {
    return IdSet.parse(text);
  } catch (error) {
    throw new FluxError('EINVAL', `--stdin-ranks: ${(error as Error).message}`);
  }
}

/** A debugger finds nothing in a job that is over. */
async function checkDebuggable(handle: Handle, id: bigint, name: string): Promise<void> {
  const attrs = ['state', 'exception_occurred', 'exception_severity', 'exception_type', 'exception_note'];
  const { job } = await handle.rpc<{ job: JsonObject }>('job-list.list-id', { id, attrs }).catch((error: FluxError) => {
    throw error.code === 'ENOENT' ? new FluxError('ENOENT', `there is no job ${name}`) : error;
  });
  if (!(Number(job.state) & (JobState.cleanup | JobState.inactive))) return;
  const { exception_occurred, exception_severity, exception_type = 'unknown', exception_note = '' } = job;
  if (exception_occurred && exception_severity === 0)
    log(`job.exception ${name} type=${exception_type} severity=0 ${exception_note}`);
  throw new FluxError('EINVAL', `job ${name} has finished running and cannot be debugged`);
}

class Attachment {
  readonly #handle: Handle;
  readonly #id: bigint;
  readonly #name: string;
  readonly #options: AttachOptions;
  readonly #waitEvent: string;
  readonly #tail: number | undefined;
  readonly #stdinRanks: IdSet | undefined;
  readonly #printer: OutputPrinter;
  readonly #statusLine: StatusLine | undefined;
  /** The event logs that are being followed; the job is left when there are none. */
  readonly #followed = new Set<{ cancel(): void }>();
  readonly #signals: AttachSignals;
  #settle: { readonly resolve: () => void; readonly reject: (error: FluxError) => void } | undefined;
  #exitCode = 1;
  #start = 0;
  #isFinished = false;
  #isFatal = false;
  #hasOutput = false;
  #shell: ShellService | undefined;
  #input: JobInput | undefined;
  #pty: PtyClient | undefined;

  constructor(
    handle: Handle,
    id: bigint,
    name: string,
    options: AttachOptions,
    tail: number | undefined,
    stdinRanks: IdSet | undefined,
  ) {
    this.#handle = handle;
    this.#id = id;
    this.#name = name;
    this.#options = options;
    this.#waitEvent = options.waitEvent ?? 'clean';
    this.#tail = tail;
    this.#signals = new AttachSignals(handle, id, () => this.#detach());
    this.#stdinRanks = stdinRanks;
    const { labelIo = false, quiet = false, verbose = 0 } = options;
    const outputOptions = { labelIo, quiet, verbose: verbose > 0 };
    this.#printer = new OutputPrinter(this.#write, () => this.#start, outputOptions, tail);
    if (wantsStatusLine(options)) this.#statusLine = new StatusLine(handle, id, name, Boolean(options.showStatus));
  }

  async run(): Promise<number> {
    const over = new Promise<void>((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    if (!this.#options.readOnly) this.#signals.start();
    this.#follow('eventlog', 0, (event) => this.#takeEvent(event), this.#aboutJob);
    try {
      await over;
    } finally {
      this.#statusLine?.stop();
      this.#input?.stop();
      this.#pty?.abandon();
      this.#signals.stop();
    }
    return this.#isFatal && this.#exitCode === 0 ? 1 : this.#exitCode;
  }

  /** Follows nothing more, which is the end. */
  #detach(): void {
    for (const answers of this.#followed) answers.cancel();
  }

  readonly #fail = (error: unknown): void => {
    this.#settle?.reject(asFluxError(error));
  };

  /** A terminal in raw mode needs to be told to go to the start of a line. */
  readonly #write: Write = (stream, data) => {
    process[stream].write(data);
    if (this.#pty?.isAttached) process[stream].write('\r');
  };

  // ---- event logs

  /**
   * Follows an event log of the job to its end.
   *
   * @param take returns true when that is far enough
   * @param translate what an error of it is told as; undefined is none
   */
  #follow(
    path: string,
    flags: number,
    take: (event: JobEvent | undefined) => boolean,
    translate: (error: FluxError) => FluxError | undefined,
  ): void {
    const answers = openEventlog(this.#handle, this.#id, path, flags);
    this.#followed.add(answers);
    const toEnd = async () => {
      for await (const event of eventsOf(answers)) if (take(event)) return;
    };
    toEnd()
      .catch((error: unknown) => {
        const fault = translate(asFluxError(error));
        if (fault) throw fault;
      })
      .then(() => {
        this.#followed.delete(answers);
        if (this.#followed.size === 0) this.#settle?.resolve();
      })
      .catch(this.#fail);
  }

  readonly #aboutJob = (error: FluxError): FluxError => {
    if (error.code === 'ENOENT') return new FluxError('ENOENT', `Failed to attach to ${this.#name}: No such job`);
    if (error.code === 'EPERM')
      return new FluxError('EPERM', `Failed to attach to ${this.#name}: that is not your job`);
    return error;
  };

  #takeEvent(event: JobEvent | undefined): boolean {
    if (!event) return false;
    const { name, timestamp, context } = event;
    this.#start ||= timestamp;
    if (name === 'exception') this.#takeException(event);
    else if (name === 'submit')
      this.#follow('guest.exec.eventlog', 0, (each) => this.#takeExecEvent(each), asFluxError);
    else if (name === 'finish') this.#finish(Number(context.status ?? 0));
    if (this.#options.showEvents && name !== 'exception') process.stderr.write(eventLine('job', event, this.#start));
    this.#statusLine?.add(event);
    return name === this.#waitEvent;
  }

  #takeException({ timestamp, context }: JobEvent): void {
    const { type, severity, note } = context;
    this.#statusLine?.clear();
    const when = (timestamp - this.#start).toFixed(3);
    process.stderr.write(`${when}s: job.exception ${this.#name} type=${type} severity=${severity} ${note}\n`);
    this.#isFatal = severity === 0;
    if (!this.#isFatal) return;
    // What would be sent from here on would not arrive; and a terminal that is not there yet will not come.
    this.#input?.stop();
    this.#dropPty();
  }

  #finish(status: number): void {
    const { code, message } = jobExit(status);
    this.#exitCode = code;
    if (message) log(message);
    this.#isFinished = true;
    this.#dropPty();
  }

  #dropPty(): void {
    if (!this.#pty || this.#pty.isAttached) return;
    this.#pty.abandon();
    this.#pty = undefined;
    this.#printer.hiddenRank = undefined;
  }

  #takeExecEvent(event: JobEvent | undefined): boolean {
    if (!event) return false;
    const { name, context } = event;
    if (name === 'shell.init') this.#enterShell(context);
    else if (name === 'shell.start') this.#startTasks(context);
    else if (name === 'log') process.stderr.write(execLogText(event, this.#start, this.#options.quiet));
    // A job whose shells failed early has told nothing of them, but perhaps why.
    else if (name === 'complete') this.#startOutput();
    if (this.#options.showExec && name !== 'log') process.stderr.write(eventLine('exec', event, this.#start));
    return false;
  }

  #enterShell(context: JsonObject): void {
    this.#shell = shellServiceOf(context);
    this.#startOutput();
    if (typeof context.pty !== 'string') this.#openInput(this.#shell);
    else if (this.#options.readOnly) throw new FluxError('EINVAL', 'Cannot connect to pty in readonly mode');
    else if (!this.#isFinished) this.#openPty(this.#shell, context.pty, Boolean(context.capture));
  }

  #startTasks(context: JsonObject): void {
    if (this.#options.debug && this.#shell) void this.#letDebuggersIn(this.#shell, Boolean(context.sync));
    if (this.#stdinRanks && this.#input) this.#narrowInput(this.#input, this.#stdinRanks, context);
  }

  #startOutput(): void {
    if (this.#hasOutput) return;
    this.#hasOutput = true;
    const flags = this.#tail === undefined ? 0 : INITIAL_SENTINEL;
    const take = (event: JobEvent | undefined) => {
      if (event) this.#printer.take(event);
      else this.#printer.endTail();
      return false;
    };
    this.#follow('guest.output', flags, take, (error) => {
      if (error.code !== 'ENOENT') return error;
      log('No job output found');
      return undefined;
    });
  }

  // ---- input

  #openInput(shell: ShellService): void {
    if (this.#options.readOnly || this.#isFatal) return;
    const buffering: Buffering = this.#options.unbuffered ? 'none' : process.stdin.isTTY ? 'line' : 'full';
    this.#input = new JobInput(this.#handle, shell, buffering, this.#fail);
    // Which tasks there are is known when they start.
    if (!this.#stdinRanks) this.#input.start('all');
  }

  #narrowInput(input: JobInput, wanted: IdSet, { taskmap }: JsonObject): void {
    const all = IdSet.range(0, TaskMap.fromJson(taskmap).taskCount - 1);
    const open = wanted.intersect(all);
    if (!open.equals(wanted)) log(`warning: adjusting --stdin-ranks from ${wanted} to ${open}`);
    const closed = all.difference(open);
    if (closed.count) input.close(closed.encode());
    if (open.count) input.start(open.encode());
  }

  // ---- terminal

  #openPty(shell: ShellService, name: string, isCaptured: boolean): void {
    const pty = new PtyClient(this.#handle, shell, name);
    this.#pty = pty;
    // What the terminal shows is in the event log once more.
    if (isCaptured) this.#printer.hiddenRank = '0';
    void pty.ended.then((end) => this.#endPty(shell, end));
  }

  #endPty(shell: ShellService, { wasAttached, status }: PtyEnd): void {
    if (wasAttached) {
      this.#exitCode = status === 0 ? 0 : 1;
      this.#settle?.resolve();
      return;
    }
    this.#pty = undefined;
    this.#printer.hiddenRank = undefined;
    this.#openInput(shell);
  }

  // ---- debuggers

  /** What RFC 37 calls `sync`: tasks were stopped before their first instruction, and go on by SIGCONT. */
  async #letDebuggersIn(shell: ShellService, isSync: boolean): Promise<void> {
    try {
      await fetchProctable(this.#handle, shell);
      if (isSync) await killJob(this.#handle, this.#id, constants.signals.SIGCONT);
    } catch (error) {
      this.#fail(error);
    }
  }
}

/** Whether somebody looks on. */
function wantsStatusLine({ showStatus, showEvents, ttyOk = true }: AttachOptions): boolean {
  if (process.env.FLUX_ATTACH_NONINTERACTIVE !== undefined) return false;
  if (showStatus) return true;
  const { stdin, stdout, stderr } = process;
  return ttyOk && !showEvents && Boolean(stdin.isTTY && stdout.isTTY && stderr.isTTY);
}
