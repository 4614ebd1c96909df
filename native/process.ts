/** What a child process is to the rest of the project, whichever implementation runs it. */

import { errno, FluxError, strerror } from '../core/errno.ts';
import { systemError } from './addon.ts';
import type { LimitName } from './limits.ts';

/**
 * What a descriptor of the child is connected to, as the child sees it:
 * - `input`: a pipe that it reads and we write;
 * - `output`: a pipe that it writes and we read;
 * - `channel`: a socket pair, both ways;
 * - `terminal`: a new pseudo terminal, which becomes its controlling terminal, both ways; at most one of these;
 * - `null`: /dev/null;
 * - `closed`: nothing;
 * - a number: our descriptor of that number;
 * - `sameAs`: what another descriptor of the child is connected to, and that one is the stream's name.
 */
export type Stdio =
  | 'input'
  | 'output'
  | 'channel'
  | 'terminal'
  | 'null'
  | 'closed'
  | number
  | { readonly sameAs: number };

/** The size of a terminal, in characters. */
export interface WindowSize {
  readonly rows: number;
  readonly columns: number;
}

export interface SoftLimit {
  readonly limit: LimitName;
  /** In the units of setrlimit(2); `Infinity` for none. It is lowered to the hard limit. */
  readonly soft: number;
}

export interface ProcessSpec {
  /** At least one; none may contain a NUL. */
  readonly argv: readonly string[];
  /** The program, when it is not `argv[0]`. Without a slash it is searched for in the PATH of `env`. */
  readonly file?: string;
  /** The whole environment, each `NAME=value`. */
  readonly env: readonly string[];
  /** Working directory; ours when there is none. */
  readonly cwd?: string;
  /** Makes the child the leader of a new process group. */
  readonly processGroup?: boolean;
  /** Makes the child the leader of a new session and process group, as a `terminal` does anyway. */
  readonly session?: boolean;
  /** Of the `terminal` at the start; 0 by 0 when there is none. */
  readonly windowSize?: WindowSize;
  /** The processors it may run on, by the system's numbers, when not ours; at least one must be there and allowed. */
  readonly cpus?: readonly number[];
  readonly limits?: readonly SoftLimit[];
  /** The file mode creation mask, when not ours. */
  readonly umask?: number;
  /** Sends the child SIGSTOP before the program's first instruction, for a debugger to attach to. */
  readonly stopInExec?: boolean;
  /** Lets it go on when this process is killed. Without the addon all do. */
  readonly outlivesUs?: boolean;
  /** By the child's descriptor, from 0 on. All others are closed in the child. */
  readonly stdio: readonly Stdio[];
}

/** What a process and its descendants that were waited for have used: seconds, and the most resident memory in KiB. */
export interface ProcessUsage {
  readonly utime: number;
  readonly stime: number;
  readonly maxrss: number;
}

/** A stream is named by the child's descriptor, its index in `ProcessSpec.stdio`. */
export interface ProcessEvents {
  /** Bytes that the child wrote, the receiver's to keep; `null` at end of file. Not called after `close(stream)`. */
  data(stream: number, bytes: Buffer | null): void;
  /** After a `write` that took less than it was given: try again, there is room or nobody reads any more. */
  drain?(stream: number): void;
  /** The raw wait status as waitpid(2) gives it: exit code in bits 8–15, signal in bits 0–6, 0x80 for a core dump. `usage` is missing without the addon. */
  exit(status: number, usage?: ProcessUsage): void;
  /** Last of all: the process has ended and so has everything it wrote. */
  close?(): void;
}

export interface Process {
  readonly pid: number;
  /**
   * Writes from `offset` on as much as fits now, copying it. Returns the bytes taken, 0 or more; when that is less than
   * was given, `drain` follows once. Returns -1 when nobody reads any more: the child has closed its end or ended, or
   * `end` or `close` was called.
   */
  write(stream: number, bytes: Uint8Array, offset?: number): number;
  /** No more will be written: the child reads end of file. */
  end(stream: number): void;
  /** Lets go of a stream in both directions. */
  close(stream: number): void;
  /** Stops `data` until `resume`; the child blocks when its pipe is full. A paused end of file holds back `close`. */
  pause(stream: number): void;
  resume(stream: number): void;
  /**
   * Gives a `terminal` another size: its foreground processes get SIGWINCH. Nothing happens once it is closed. Throws
   * FluxError ENOTTY for other streams.
   */
  resize(stream: number, size: WindowSize): void;
  /**
   * Sends a signal to the child's process group when it leads one, otherwise to the child. Throws FluxError: ESRCH
   * after `exit`, when the pid may be another's.
   */
  kill(signal: number): void;
}

/** What starting a program consists of, in the order in which it happens; see `spawn_step` in native/src/addon.h. */
export const spawnSteps = ['stdio', 'fork', 'group', 'cwd', 'cpus', 'limits', 'exec'] as const;

export type SpawnStep = (typeof spawnSteps)[number];

/** A program that could not be started: the errno of the system call, and which step it was. */
export class SpawnError extends FluxError {
  readonly step: SpawnStep;

  constructor(number: number, step: SpawnStep, spec: ProcessSpec) {
    super(number, explain(step, spec, strerror(number)));
    this.step = step;
  }
}

function explain(step: SpawnStep, spec: ProcessSpec, reason: string): string {
  const program = spec.file ?? spec.argv[0];
  if (step === 'exec') return `cannot run '${program}': ${reason}`;
  if (step === 'cwd') return `cannot run '${program}' in '${spec.cwd}': ${reason}`;
  const doing = {
    stdio: 'connecting its descriptors',
    fork: 'creating a process',
    group: 'making a process group',
    cpus: `binding it to processors ${spec.cpus?.join()}`,
    limits: 'setting its limits',
  };
  return `cannot run '${program}': ${doing[step]} failed: ${reason}`;
}

/** Throws SpawnError EBADF when a descriptor that another is to be the same as is not there or shared itself. */
export function checkShared(sameAs: number, spec: ProcessSpec): void {
  const other = spec.stdio[sameAs];
  if (other === undefined || typeof other === 'object') throw new SpawnError(errno.EBADF, 'stdio', spec);
}

/** Whether the child leads a process group of its own. */
export function leadsGroup(spec: ProcessSpec): boolean {
  return spec.processGroup === true || spec.session === true || spec.stdio.includes('terminal');
}

/** What `Process.kill` does, in both implementations. */
export function sendSignal(pid: number, signal: number, isLeader: boolean, exited: boolean): void {
  if (exited) throw new FluxError('ESRCH', `process ${pid} has ended`);
  try {
    process.kill(isLeader ? -pid : pid, signal);
  } catch (error) {
    throw systemError((error as NodeJS.ErrnoException).errno ?? -1, `cannot signal process ${pid}`);
  }
}
