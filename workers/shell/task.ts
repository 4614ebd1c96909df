/** One task of a shell: how it is started, its streams, and what became of it. */

import { constants } from 'node:os';
import { FluxError } from '../../core/errno.ts';
import { exitCodeOf, signalOf } from '../../core/formats/wait-status.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Process } from '../../native/process.ts';
import type { ShellTask, TaskSpec } from './plugin.ts';

/** Takes what comes from a descriptor; null at its end. */
export type DataHandler = (bytes: Buffer | null) => void;

const STDOUT = 1;
const STDERR = 2;

/** What a task has used, as wait4(2) says: seconds, and kilobytes of its largest process. */
export interface TaskUsage {
  readonly utime: number;
  readonly stime: number;
  readonly maxrss: number;
}

export interface TaskOptions {
  readonly rank: number;
  readonly index: number;
  readonly argv: readonly string[];
  readonly processGroup: boolean;
  /** Variables of the job; see `ShellTask.getEnv`. */
  jobEnv(name: string): string | undefined;
}

export class Task implements ShellTask {
  readonly rank: number;
  readonly index: number;
  readonly spec: TaskSpec;
  readonly #jobEnv: TaskOptions['jobEnv'];
  readonly #env = new Map<string, string | undefined>();
  readonly #handlers = new Map<number, DataHandler>();
  #outputs: readonly [DataHandler, DataHandler] = [() => {}, () => {}];
  #input: DataHandler | undefined;
  #onRoom: (() => void) | undefined;
  // Bytes for standard input that its pipe has no room for.
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #inputEnded = false;
  #process: Process | undefined;
  // Signals that came while it was being started; undefined when it is not.
  #early: number[] | undefined;
  #status: number | undefined;
  #usage: TaskUsage | undefined;
  #isClosed = false;

  constructor(options: TaskOptions) {
    this.rank = options.rank;
    this.index = options.index;
    this.#jobEnv = options.jobEnv;
    this.spec = {
      argv: [...options.argv],
      processGroup: options.processGroup,
      stdio: ['input', 'output', 'output'],
    };
    this.setEnv('FLUX_TASK_LOCAL_ID', String(options.index));
    this.setEnv('FLUX_TASK_RANK', String(options.rank));
  }

  get process(): Process | undefined {
    return this.#process;
  }
  get status(): number | undefined {
    return this.#status;
  }
  get usage(): TaskUsage | undefined {
    return this.#usage;
  }
  /** Whether it is there, or soon will be: it can be signaled. */
  get isRunning(): boolean {
    return this.#early !== undefined || (this.#process !== undefined && this.#status === undefined);
  }
  /** Whether it has ended and so has all its output. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  // ---- before it is started

  getEnv(name: string): string | undefined {
    return this.#env.has(name) ? this.#env.get(name) : this.#jobEnv(name);
  }

  setEnv(name: string, value: string | undefined): void {
    this.#env.set(name, value);
  }

  addChannel(onData: DataHandler): number {
    const { stdio } = this.spec;
    stdio.push('channel');
    this.#handlers.set(stdio.length - 1, onData);
    return stdio.length - 1;
  }

  takeOutput(descriptor: number, onData: DataHandler): void {
    this.#handlers.set(descriptor, onData);
  }

  takeInput(onData: DataHandler, onRoom?: () => void): void {
    this.#input = onData;
    this.#onRoom = onRoom;
  }

  /** Sets who takes standard output and error, unless a plugin has taken them. */
  setOutputs(stdout: DataHandler, stderr: DataHandler): void {
    this.#outputs = [stdout, stderr];
  }

  output(descriptor: 1 | 2, bytes: Buffer | null): void {
    this.#outputs[descriptor - STDOUT]!(bytes);
  }

  /** The variables that differ from those of the job. */
  get ownEnv(): ReadonlyMap<string, string | undefined> {
    return this.#env;
  }

  /**
   * Starts it, and signals it then as it was asked to meanwhile.
   *
   * @param start starts its program, by `spec` as it is then
   * @param onExit called when it has ended
   * @param onClose called when its output has ended, too
   * @throws FluxError why it cannot be started
   */
  async start(start: (events: TaskEvents) => Promise<Process>, onExit: () => void, onClose: () => void): Promise<void> {
    const events: TaskEvents = {
      data: (stream, bytes) => this.#data(stream, bytes),
      drain: (stream) => {
        if (stream !== 0) return;
        if (this.#onRoom) this.#onRoom();
        else this.#flush();
      },
      exit: (status, usage) => {
        this.#status = status;
        this.#usage = usage;
        this.#pending = [];
        onExit();
      },
      close: () => {
        this.#isClosed = true;
        onClose();
      },
    };
    const early: number[] = [];
    this.#early = early;
    try {
      this.#process = await start(events);
    } finally {
      this.#early = undefined;
    }
    if (this.spec.stdio[0] === 'input') this.#flush();
    for (const signum of early) this.kill(signum);
  }

  #data(stream: number, bytes: Buffer | null): void {
    const handler = this.#handlers.get(stream);
    if (handler) handler(bytes);
    else if (stream === STDOUT || stream === STDERR) this.#outputs[stream - STDOUT]!(bytes);
  }

  // ---- while it runs

  /**
   * Sends bytes to its standard input, which it gets when it is started; null ends that.
   *
   * @param capacity bytes that may wait for the task to read
   * @returns false when there is no room for them: standard input is then ended
   */
  write(bytes: Buffer | null, capacity: number): boolean {
    if (this.#input) {
      this.#input(bytes);
      return true;
    }
    if (this.#status !== undefined || this.#inputEnded || this.spec.stdio[0] !== 'input') return true;
    const fits = bytes === null || this.#pendingBytes + bytes.length <= capacity;
    if (bytes !== null && fits) {
      this.#pending.push(bytes);
      this.#pendingBytes += bytes.length;
    } else this.#inputEnded = true;
    this.#flush();
    return fits;
  }

  #flush(): void {
    const process = this.#process;
    if (!process) return;
    while (this.#pending.length) {
      const bytes = this.#pending[0]!;
      const taken = process.write(0, bytes);
      if (taken < 0) {
        this.#pending = [];
        this.#pendingBytes = 0;
        return;
      }
      this.#pendingBytes -= taken;
      if (taken < bytes.length) {
        this.#pending[0] = bytes.subarray(taken);
        return;
      }
      this.#pending.shift();
    }
    if (this.#inputEnded) process.end(0);
  }

  /** Stops or goes on reading its output. */
  setPaused(isPaused: boolean): void {
    if (this.#isClosed || !this.#process) return;
    for (const stream of [STDOUT, STDERR]) {
      if (this.spec.stdio[stream] !== 'output' || this.#handlers.has(stream)) continue;
      if (isPaused) this.#process.pause(stream);
      else this.#process.resume(stream);
    }
  }

  kill(signum: number): void {
    this.#early?.push(signum);
    if (!this.#process || !this.isRunning) return;
    try {
      this.#process.kill(signum);
    } catch (error) {
      // It has just ended.
      if (!(error instanceof FluxError) || error.errno !== constants.errno.ESRCH) throw error;
    }
  }

  describe(): JsonObject {
    const info = {
      localid: this.index,
      rank: this.rank,
      state: this.#status !== undefined ? 'Exited' : this.#process ? 'Running' : 'Init',
      ...(this.#process && { pid: this.#process.pid }),
    };
    const status = this.#status;
    if (status === undefined) return info;
    return { ...info, wait_status: status, signaled: signalOf(status), exitcode: exitCodeOf(status) };
  }
}

/** What a task's process tells; `usage` where the system says what it used. */
export interface TaskEvents {
  data(stream: number, bytes: Buffer | null): void;
  drain(stream: number): void;
  exit(status: number, usage?: TaskUsage): void;
  close(): void;
}
