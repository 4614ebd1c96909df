/**
 * A pseudo terminal of a task, and the clients that are attached to it.
 *
 * A session is there before its task is started and may be there after the task has ended: it is over when the task has
 * ended, all that it wrote has been read, and, where that is wanted, a client has been attached. Nothing is read while
 * nobody would get it, so a task that writes then waits.
 */

import { FluxError } from '../../../core/errno.ts';
import { decodePtyData, encodePtyData } from '../../../core/formats/pty-data.ts';
import { parseSignal } from '../../../core/formats/signal.ts';
import { signalOf } from '../../../core/formats/wait-status.ts';
import { LATER, type Reply, type Request } from '../../../core/handle/methods.ts';
import { type JsonObject, real } from '../../../core/json.ts';
import type { Process, WindowSize } from '../../../native/index.ts';

/** The descriptor of the task that is connected to the terminal. */
export const TERMINAL = 0;

/** A terminal's size until a client tells another. */
const DEFAULT_SIZE: WindowSize = { rows: 25, columns: 80 };

/** What ends a task that does not end by itself. */
const stopSignals: ReadonlySet<number> = new Set(['HUP', 'INT', 'TERM', 'KILL'].map(parseSignal));

/** As large as the system's number for it can be. */
const SIZE_MAX = 0xffff;

/** Bytes that wait for the task to read them; what is typed beyond is lost, as it is with any terminal. */
const INPUT_CAPACITY = 1 << 20;

interface Client {
  /** The request to attach, which all that the terminal shows answers. */
  readonly request: Request;
  readonly isReader: boolean;
  readonly isWriter: boolean;
}

/** By `mode` of the request to attach. */
const modes: ReadonlyMap<string, Pick<Client, 'isReader' | 'isWriter'>> = new Map([
  ['ro', { isReader: true, isWriter: false }],
  ['wo', { isReader: false, isWriter: true }],
  ['rw', { isReader: true, isWriter: true }],
]);

export interface SessionOptions {
  readonly id: number;
  readonly name: string;
  /** Since the epoch, in seconds. */
  readonly created: number;
  /** Nothing is read, and the session is not over, before a client has been attached. */
  readonly waitsForClient: boolean;
  /** Takes all that the terminal shows, beside the clients; null at the end. */
  readonly monitor?: ((bytes: Buffer | null) => void) | undefined;
  /** Called once, when the session is over. */
  readonly onEnd: () => void;
}

export class TerminalSession {
  readonly #options: SessionOptions;
  readonly #clients = new Map<string, Client>();
  #waitsForClient: boolean;
  #process: Process | undefined;
  #size = DEFAULT_SIZE;
  #input: Buffer[] = [];
  #inputBytes = 0;
  #isClosed = false;
  #status: number | undefined;
  #isAbandoned = false;
  #isOver = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#waitsForClient = options.waitsForClient;
  }

  get id(): number {
    return this.#options.id;
  }

  /** The size that the terminal is to have when the task is started. */
  get size(): WindowSize {
    return this.#size;
  }

  describe(): JsonObject {
    return {
      id: this.id,
      name: this.#options.name,
      clients: this.#clients.size,
      pid: this.#process?.pid ?? -1,
      exited: this.#status !== undefined ? 1 : 0,
      ctime: real(this.#options.created),
    };
  }

  // ---- the task's side

  /** The task has been started. */
  start(process: Process): void {
    this.#process = process;
    this.#setReading();
    this.drain();
  }

  /** The terminal shows something; null when nobody has it open any more. */
  show(bytes: Buffer | null): void {
    this.#options.monitor?.(bytes);
    if (bytes === null) {
      this.#isClosed = true;
      this.#settle();
      return;
    }
    const readers = [...this.#clients.values()].filter(({ isReader }) => isReader);
    if (!readers.length) return;
    const payload = encodePtyData(bytes);
    for (const { request } of readers) request.respond(payload);
  }

  /** The task has ended. One that was stopped, with its job as a rule, waits for nobody to see what it wrote. */
  exit(status: number): void {
    this.#status = status;
    if (stopSignals.has(signalOf(status))) {
      this.#waitsForClient = false;
      this.#isAbandoned = true;
      this.#setReading();
    }
    this.#settle();
  }

  /** The terminal has room for more that was typed. */
  drain(): void {
    while (this.#process && this.#input.length) {
      const bytes = this.#input[0]!;
      const taken = this.#process.write(TERMINAL, bytes);
      if (taken >= 0 && taken < bytes.length) {
        this.#inputBytes -= taken;
        this.#input[0] = bytes.subarray(taken);
        return;
      }
      this.#inputBytes -= bytes.length;
      this.#input.shift();
    }
  }

  // ---- the clients' side

  /**
   * Answers a request to the terminal: `attach`, then `resize`, `data` and `detach`.
   *
   * @throws FluxError EEXIST: attached already; ENOENT: not attached; EINVAL: no size; ENOSYS: no such type; EPROTO
   */
  handle(request: Request): Reply {
    const { type } = request.unpack({ type: 's' });
    const client = this.#clients.get(request.sender);
    if (type === 'attach') {
      if (client) throw new FluxError('EEXIST', 'the client is attached already');
      return this.#attach(request);
    }
    if (!client) throw new FluxError('ENOENT', 'the client is not attached');
    switch (type) {
      case 'resize':
        this.#resize(request);
        return undefined;
      case 'data':
        if (client.isWriter) this.#type(decodePtyData(request.payload));
        return undefined;
      case 'detach':
        this.#clients.delete(request.sender);
        sendExit(client.request, 'Client requested detach', 0);
        this.#setReading();
        return undefined;
      default:
        throw new FluxError('ENOSYS', `a terminal has no requests of type '${type}'`);
    }
  }

  /** A client is gone. */
  disconnect(sender: string): void {
    if (this.#clients.delete(sender)) this.#setReading();
  }

  /** Ends the session whatever it waits for. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const { request } of this.#clients.values()) sendExit(request, 'session exiting', this.#status ?? 0);
    this.#clients.clear();
    this.#input = [];
    this.#options.onEnd();
  }

  #attach(request: Request): Reply {
    const { mode } = request.unpack({ mode: 's' });
    const rights = modes.get(mode);
    if (!rights) throw new FluxError('EPROTO', `invalid mode: ${mode}`);
    if (!request.isStreaming) throw new FluxError('EPROTO', 'the request to attach lacks the streaming flag');
    if (rights.isReader && rights.isWriter) this.#resize(request);
    this.#clients.set(request.sender, { request, ...rights });
    request.respond({ type: 'attach' });
    if (rights.isReader) {
      this.#waitsForClient = false;
      this.#setReading();
      this.#settle();
    }
    return LATER;
  }

  #resize(request: Request): void {
    const { winsize } = request.unpack({ winsize: 'o' });
    const { rows, cols } = winsize;
    if (!isSize(rows) || !isSize(cols)) throw new FluxError('EINVAL', `bad resize: row=${rows}, col=${cols}`);
    this.#size = { rows, columns: cols };
    this.#process?.resize(TERMINAL, this.#size);
  }

  #type(bytes: Buffer): void {
    if (!bytes.length || this.#isClosed || this.#inputBytes + bytes.length > INPUT_CAPACITY) return;
    this.#input.push(bytes);
    this.#inputBytes += bytes.length;
    this.drain();
  }

  #setReading(): void {
    if (!this.#process || this.#isClosed) return;
    const hasReader = [...this.#clients.values()].some(({ isReader }) => isReader);
    const isRead = hasReader || this.#isAbandoned || (this.#options.monitor && !this.#waitsForClient);
    if (isRead) this.#process.resume(TERMINAL);
    else this.#process.pause(TERMINAL);
  }

  #settle(): void {
    if (this.#status !== undefined && this.#isClosed && !this.#waitsForClient) this.end();
  }
}

function isSize(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) > 0 && (value as number) <= SIZE_MAX;
}

function sendExit(request: Request, message: string, status: number): void {
  request.respond({ type: 'exit', message, status });
  request.endStream();
}
