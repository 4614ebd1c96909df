/** Child processes by the addon: native/src/process.c watches them, this file gives each its object. */

import { errno } from '../core/errno.ts';
import { type Addon, systemError } from './addon.ts';
import { type Process, type ProcessEvents, type ProcessSpec, SpawnError, sendSignal, spawnSteps } from './process.ts';

const stdioCodes = { closed: -1, null: -2, input: -3, output: -4, channel: -5 } as const;
const eventCodes = { data: 0, drain: 1, exit: 2, close: 3 } as const;
const newGroup = 1;

/** Processes of this thread that have not closed yet, by the addon's id. */
const processes = new Map<number, NativeProcess>();
const result = new Int32Array(2);
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
    spec.processGroup ? newGroup : 0,
    Int32Array.from(spec.stdio, (stdio) => (typeof stdio === 'number' ? descriptor(stdio, spec) : stdioCodes[stdio])),
    result,
  );
  if (id < 0) throw new SpawnError(result[0]!, spawnSteps[result[1]! - 1]!, spec);
  const created = new NativeProcess(addon, id, result[0]!, spec.processGroup === true, events);
  processes.set(id, created);
  return created;
}

/** A descriptor of ours, for which negative codes are not available. */
function descriptor(number: number, spec: ProcessSpec): number {
  if (!Number.isInteger(number) || number < 0) throw new SpawnError(errno.EBADF, 'stdio', spec);
  return number;
}

function start(addon: Addon): void {
  const status = addon.startProcesses(onEvent);
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
        this.#events.exit(value as number);
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
