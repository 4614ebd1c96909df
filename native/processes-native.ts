/**
 * Child processes by the addon: native/src/process.c watches them, this file gives each its object.
 *
 * A start that does not keep this thread waiting takes a thread of libuv's pool until the program is executed. There are
 * few of these, files need them too, and each start has both ends of its pipes open: so few are under way at a time, and
 * the others wait here, in order.
 */

import { errno } from '../core/errno.ts';
import { type Addon, systemError } from './addon.ts';
import { limitNames } from './limits.ts';
import {
  checkShared,
  leadsGroup,
  type Process,
  type ProcessEvents,
  type ProcessSpec,
  SpawnError,
  type Stdio,
  sendSignal,
  spawnSteps,
  type WindowSize,
} from './process.ts';

const stdioCodes = { closed: -1, null: -2, input: -3, output: -4, channel: -5, terminal: -6 } as const;
/** Minus the number of the descriptor that another is the same as. */
const sharedBase = -16;
const eventCodes = { data: 0, drain: 1, exit: 2, close: 3, start: 4 } as const;
const flags = { group: 1, session: 2, stopInExec: 4, outlivesUs: 8 } as const;

/** Processes of this thread that have not closed yet, by the addon's id. */
const processes = new Map<number, NativeProcess>();
const result = new Int32Array(2);
const usage = new Float64Array(3);
let started = false;

/** What waits for the report of a start. */
interface Start {
  readonly addon: Addon;
  readonly spec: ProcessSpec;
  readonly events: ProcessEvents;
  resolve(process: Process): void;
  reject(error: unknown): void;
}

/** Of libuv's four threads, one stays free for files. */
const STARTS_AT_ONCE = 3;
/** Starts that are under way, by the addon's id of the process to be. */
const starts = new Map<number, Start>();
const waiting = new Set<Start>();

/** As `spawnProcess`, by the addon. */
export function spawnNative(addon: Addon, spec: ProcessSpec, events: ProcessEvents): Process {
  const id = launch(addon, spec, 0);
  if (id < 0) throw failure(spec, result[0]!, result[1]!);
  return enter(addon, id, result[0]!, spec, events);
}

/** As `spawnProcessSoon`, by the addon. */
export function spawnNativeSoon(addon: Addon, spec: ProcessSpec, events: ProcessEvents): Promise<Process> {
  return new Promise((resolve, reject) => {
    const start: Start = { addon, spec, events, resolve, reject };
    if (starts.size < STARTS_AT_ONCE) begin(start);
    else waiting.add(start);
  });
}

function begin(start: Start): void {
  const { addon, spec, reject } = start;
  try {
    const id = launch(addon, spec, 1);
    if (id < 0) reject(failure(spec, result[0]!, result[1]!));
    else starts.set(id, start);
  } catch (error) {
    reject(error);
  }
}

/** What became of a start; `value` is the pid or, with a step, an errno. */
function settle(id: number, step: number, value: number): void {
  const { addon, spec, events, resolve, reject } = starts.get(id)!;
  starts.delete(id);
  if (step) reject(failure(spec, value, step));
  else resolve(enter(addon, id, value, spec, events));
  for (const start of waiting) {
    if (starts.size === STARTS_AT_ONCE) break;
    waiting.delete(start);
    begin(start);
  }
}

/** The id of a process, negative when `result` tells an error. */
function launch(addon: Addon, spec: ProcessSpec, soon: 0 | 1): number {
  if (!started) start(addon);
  return addon.spawn(
    spec.file ?? spec.argv[0] ?? '',
    spec.argv.join('\0'),
    spec.argv.length,
    spec.env.join('\0'),
    spec.env.length,
    spec.cwd,
    settings(spec),
    Int32Array.from(spec.stdio, (stdio) => stdioCode(stdio, spec)),
    Int32Array.from(spec.cpus ?? []),
    Float64Array.from((spec.limits ?? []).flatMap(({ limit, soft }) => [limitNames.indexOf(limit), soft])),
    result,
    soon,
  );
}

function failure(spec: ProcessSpec, errno: number, step: number): SpawnError {
  return new SpawnError(errno, spawnSteps[step - 1]!, spec);
}

function enter(addon: Addon, id: number, pid: number, spec: ProcessSpec, events: ProcessEvents): NativeProcess {
  const created = new NativeProcess(addon, id, pid, leadsGroup(spec), events);
  processes.set(id, created);
  return created;
}

function settings(spec: ProcessSpec): Int32Array {
  const { umask, windowSize } = spec;
  const set =
    (spec.processGroup ? flags.group : 0) |
    (spec.session ? flags.session : 0) |
    (spec.stopInExec ? flags.stopInExec : 0) |
    (spec.outlivesUs ? flags.outlivesUs : 0);
  return Int32Array.of(set, umask ?? -1, windowSize?.rows ?? 0, windowSize?.columns ?? 0);
}

function stdioCode(stdio: Stdio, spec: ProcessSpec): number {
  if (typeof stdio === 'number') return descriptor(stdio, spec);
  if (typeof stdio === 'string') return stdioCodes[stdio];
  checkShared(stdio.sameAs, spec);
  return sharedBase - stdio.sameAs;
}

/** A descriptor of ours, for which negative codes are not available. */
function descriptor(number: number, spec: ProcessSpec): number {
  if (!Number.isInteger(number) || number < 0) throw new SpawnError(errno.EBADF, 'stdio', spec);
  return number;
}

function start(addon: Addon): void {
  const status = addon.startProcesses(onEvent, usage);
  if (status < 0) throw systemError(status, 'cannot watch child processes');
  started = true;
}

function onEvent(id: number, event: number, stream: number, value: unknown): void {
  if (event === eventCodes.start) settle(id, stream, value as number);
  else processes.get(id)?.handle(event, stream, value);
}

class NativeProcess implements Process {
  readonly pid: number;
  readonly #addon: Addon;
  readonly #id: number;
  readonly #isLeader: boolean;
  readonly #events: ProcessEvents;
  #exited = false;

  constructor(addon: Addon, id: number, pid: number, isLeader: boolean, events: ProcessEvents) {
    this.pid = pid;
    this.#addon = addon;
    this.#id = id;
    this.#isLeader = isLeader;
    this.#events = events;
  }

  write(stream: number, bytes: Uint8Array, offset = 0): number {
    const written = this.#addon.write(this.#id, stream, bytes, offset);
    if (written >= 0) return written;
    const error = systemError(written, `cannot write to descriptor ${stream} of process ${this.pid}`);
    if (error.code === 'EPIPE') return -1;
    throw error;
  }

  end(stream: number): void {
    this.#addon.endStream(this.#id, stream);
  }

  close(stream: number): void {
    if (this.#addon.closeStream(this.#id, stream)) queueMicrotask(() => this.handle(eventCodes.close, -1, undefined));
  }

  pause(stream: number): void {
    this.#addon.setReading(this.#id, stream, 0);
  }

  resume(stream: number): void {
    const status = this.#addon.setReading(this.#id, stream, 1);
    if (status < 0) throw systemError(status, `cannot read descriptor ${stream} of process ${this.pid}`);
  }

  resize(stream: number, { rows, columns }: WindowSize): void {
    const status = this.#addon.resizeTerminal(this.#id, stream, rows, columns);
    if (status < 0) throw systemError(status, `cannot resize descriptor ${stream} of process ${this.pid}`);
  }

  kill(signal: number): void {
    sendSignal(this.pid, signal, this.#isLeader, this.#exited);
  }

  handle(event: number, stream: number, value: unknown): void {
    switch (event) {
      case eventCodes.data:
        this.#events.data(stream, (value as Buffer | undefined) ?? null);
        break;
      case eventCodes.drain:
        this.#events.drain?.(stream);
        break;
      case eventCodes.exit:
        this.#exited = true;
        this.#events.exit(value as number, { utime: usage[0]!, stime: usage[1]!, maxrss: usage[2]! });
        break;
      case eventCodes.close:
        processes.delete(this.#id);
        this.#events.close?.();
        break;
      default:
        throw new Error(`event ${event} of the native addon is none of 0 to 3`);
    }
  }
}
