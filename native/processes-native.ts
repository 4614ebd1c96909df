/** Child processes by the addon: native/src/process.c watches them, this file gives each its object. */

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
const eventCodes = { data: 0, drain: 1, exit: 2, close: 3 } as const;
const flags = { group: 1, session: 2, stopInExec: 4, outlivesUs: 8 } as const;

/** Processes of this thread that have not closed yet, by the addon's id. */
const processes = new Map<number, NativeProcess>();
const result = new Int32Array(2);
const usage = new Float64Array(3);
let started = false;

/** As `spawnProcess`, by the addon. */
export function spawnNative(addon: Addon, spec: ProcessSpec, events: ProcessEvents): Process {
  if (!started) start(addon);
  const id = addon.spawn(
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
  );
  if (id < 0) throw new SpawnError(result[0]!, spawnSteps[result[1]! - 1]!, spec);
  const created = new NativeProcess(addon, id, result[0]!, leadsGroup(spec), events);
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
  processes.get(id)?.handle(event, stream, value);
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
