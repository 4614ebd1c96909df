/**
 * The asking side of the subprocess server protocol (RFC 42): a program that a rank runs for us, its streams and its end.
 */

import { asFluxError, FluxError } from '../errno.ts';
import { decodeIo, encodeIo } from '../formats/io.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import { stringifyJson } from '../json.ts';
import { Flag, type Message, type Payload } from '../message/message.ts';
import { type Caller, type Responses, untilEnd } from './rpc.ts';

/** Bits of `flags` in requests to run and to attach. */
export const ExecFlag = { stdout: 1, stderr: 2, channel: 4, writeCredit: 8, waitable: 16 } as const;

/** Bits of `local_flags`: what concerns the server of one's own rank alone (RFC 42). */
export const LocalExecFlag = { passThrough: 1, sameGroup: 2 } as const;

/** What a program is run with (RFC 42, Command Object). */
export interface CommandObject {
  readonly cmdline: readonly string[];
  readonly cwd?: string;
  readonly env: Readonly<Record<string, string>>;
  readonly opts: Readonly<Record<string, string>>;
  readonly label?: string;
}

/** The payload of a request to run a program. */
export function execRequest(command: CommandObject, flags: number, localFlags = 0): JsonObject {
  const cmd = { ...command, channels: [], msgchan: [] } as unknown as JsonObject;
  return { cmd, flags, local_flags: localFlags };
}

/** It as bytes: encoded once, it serves any number of ranks. */
export function encodeExec(command: CommandObject, flags: number): Buffer {
  return Buffer.from(`${stringifyJson(execRequest(command, flags))}\0`);
}

/** Which program of a rank is meant: by its process id, or by its label. */
export interface ProcessName {
  readonly pid: number;
  readonly label?: string;
}

export interface ProcessEvents {
  output(process: RemoteProcess, stream: string, data: Buffer): void;
  /** It runs, has ended or could not be started: `state` has changed. */
  changed(process: RemoteProcess): void;
  /** More may be written to its stdin. */
  credit(process: RemoteProcess): void;
}

/** `starting` until the rank has said so; `failed` when it could not, or when the rank was lost. */
export type ProcessState = 'starting' | 'running' | 'exited' | 'failed';

export class RemoteProcess {
  readonly rank: number;
  /** -1 until it runs. */
  pid = -1;
  state: ProcessState = 'starting';
  /** What wait(2) said of it, once it has exited. */
  status = 0;
  /** Why it failed. */
  error: FluxError | undefined;
  /** Resolves when it is over and all its output has come; never rejects. */
  readonly ended: Promise<void>;
  /** Bytes that may be written to stdin. */
  credit = 0;
  /** Bytes written to stdin that the rank has not passed on yet. */
  inFlight = 0;
  readonly #caller: Caller;
  readonly #service: string;
  readonly #responses: Responses;
  readonly #events: ProcessEvents;
  #hasCredit = false;

  private constructor(caller: Caller, service: string, rank: number, responses: Responses, events: ProcessEvents) {
    this.#caller = caller;
    this.#service = service;
    this.rank = rank;
    this.#responses = responses;
    this.#events = events;
    this.ended = this.#follow();
  }

  /** Runs a program on a rank; `payload` comes from `execRequest` or `encodeExec`. */
  static start(caller: Caller, service: string, rank: number, payload: Payload, events: ProcessEvents): RemoteProcess {
    const responses = caller.request(`${service}.exec`, payload, { nodeid: rank, flags: Flag.streaming });
    return new RemoteProcess(caller, service, rank, responses, events);
  }

  /** Listens to a program that runs in the background. */
  static attach(
    caller: Caller,
    service: string,
    rank: number,
    name: ProcessName,
    events: ProcessEvents,
  ): RemoteProcess {
    const request = { ...name, flags: ExecFlag.stdout | ExecFlag.stderr };
    const responses = caller.request(`${service}.attach`, request, { nodeid: rank, flags: Flag.streaming });
    return new RemoteProcess(caller, service, rank, responses, events);
  }

  async #follow(): Promise<void> {
    // A response that is none ends it, too.
    const end = await untilEnd(this.#responses, (response) => this.#take(response)).catch((error: unknown) =>
      asFluxError(error),
    );
    if (end.code === 'ENODATA' && this.state === 'exited') return;
    this.error = end.code === 'ENODATA' ? new FluxError('EPROTO', 'it ended without an exit status') : end;
    this.#become('failed');
  }

  #take(response: Message): void {
    const { type, pid, status, io, channels } = response.unpack({
      type: 's',
      pid: 'i?',
      status: 'i?',
      io: 'o?',
      channels: 'o?',
    });
    if (type === 'started' || type === 'attached') {
      this.pid = pid ?? -1;
      this.#become('running');
    } else if (type === 'finished') {
      this.status = status ?? 0;
      this.#become('exited');
    } else if (type === 'output' && io) this.#output(io);
    else if (type === 'add-credit' && channels) this.#addCredit(channels.stdin);
  }

  #become(state: ProcessState): void {
    this.state = state;
    this.#events.changed(this);
  }

  #output(io: JsonObject): void {
    const { stream, data } = decodeIo(io);
    if (data.length) this.#events.output(this, stream, data);
  }

  #addCredit(bytes: JsonValue | undefined): void {
    if (typeof bytes !== 'number') return;
    this.credit += bytes;
    // The first is the size of the rank's buffer, the others what has left it.
    if (this.#hasCredit) this.inFlight -= bytes;
    this.#hasCredit = true;
    this.#events.credit(this);
  }

  /** Sends bytes to its stdin. */
  write(data: Buffer): void {
    this.credit -= data.length;
    this.inFlight += data.length;
    this.#send(encodeIo('stdin', this.rank, data));
  }

  /** Ends its stdin. */
  endInput(): void {
    this.#send(encodeIo('stdin', this.rank, null));
  }

  #send(io: JsonObject): void {
    const { matchtag } = this.#responses;
    this.#caller.notify(`${this.#service}.write`, { matchtag, io }, { nodeid: this.rank });
  }

  /** Sends it a signal; rejects with the rank's FluxError. */
  async kill(signum: number): Promise<void> {
    await this.#caller.rpc(`${this.#service}.kill`, { pid: this.pid, signum }, { nodeid: this.rank });
  }

  /** Nobody wants to know more of it: what it says is dropped, and `ended` stays pending. */
  abandon(): void {
    this.#responses.abandon();
  }
}
