/** Sends what this command reads from its stdin to the tasks of a job, by the service of its shells. */

import { asFluxError, FluxError } from '../core/errno.ts';
import { encodeIo } from '../core/formats/io.ts';
import type { Handle } from '../core/handle/handle.ts';
import type { ShellService } from './job-hostpids.ts';

/** As much is sent at once. */
const CHUNK_BYTES = 128 * 1024;
/** As many chunks may be on their way. */
const UNANSWERED_MAX = 16;

/** When input is sent: what there is at once, each line, or when a chunk is full. */
export type Buffering = 'none' | 'line' | 'full';

/** How many of these bytes are to be sent before more have come. */
export function readyBytes(bytes: Buffer, buffering: Buffering): number {
  if (buffering === 'none' || bytes.length >= CHUNK_BYTES) return Math.min(bytes.length, CHUNK_BYTES);
  return buffering === 'line' ? bytes.lastIndexOf('\n') + 1 : 0;
}

export class JobInput {
  readonly #handle: Handle;
  readonly #shell: ShellService;
  readonly #buffering: Buffering;
  readonly #fail: (error: FluxError) => void;
  readonly #source = process.stdin;
  #ranks = 'all';
  #rest: Buffer = Buffer.alloc(0);
  #unanswered = 0;
  #sentData = false;
  #stopped = false;

  /** @param fail told when the job takes no input although some was sent */
  constructor(handle: Handle, shell: ShellService, buffering: Buffering, fail: (error: FluxError) => void) {
    this.#handle = handle;
    this.#shell = shell;
    this.#buffering = buffering;
    this.#fail = fail;
  }

  /** Begins to read; what is read goes to these tasks, an idset or `all`. */
  start(ranks: string): void {
    this.#ranks = ranks;
    this.#source.on('data', this.#take).on('end', this.#end).on('error', this.#end);
  }

  /** Ends the input of tasks. */
  close(ranks: string): void {
    this.#send(ranks, null);
  }

  /** Reads no more, so that an open stdin does not keep this command alive. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#source.off('data', this.#take).off('end', this.#end).destroy();
  }

  readonly #take = (chunk: Buffer): void => {
    this.#rest = this.#rest.length ? Buffer.concat([this.#rest, chunk]) : chunk;
    for (;;) {
      const length = readyBytes(this.#rest, this.#buffering);
      if (length === 0) return;
      this.#sendData(this.#rest.subarray(0, length));
      this.#rest = this.#rest.subarray(length);
    }
  };

  // A stdin that can't be read, such as a folder, is one without input.
  readonly #end = (): void => {
    if (this.#stopped) return;
    if (this.#rest.length) this.#sendData(this.#rest);
    this.#rest = Buffer.alloc(0);
    this.close(this.#ranks);
  };

  #sendData(data: Buffer): void {
    this.#sentData = true;
    this.#send(this.#ranks, data);
  }

  #send(ranks: string, data: Buffer | null): void {
    const { service, rank } = this.#shell;
    const io = { ...encodeIo('stdin', 0, data), rank: ranks };
    this.#unanswered++;
    if (this.#unanswered === UNANSWERED_MAX) this.#source.pause();
    this.#handle.rpc(`${service}.stdin`, io, { nodeid: rank }).then(this.#answered, this.#refused);
  }

  readonly #answered = (): void => {
    if (this.#unanswered-- === UNANSWERED_MAX && !this.#stopped) this.#source.resume();
  };

  /** A job whose input is a file, or that is over, has no such service; that matters to who sent something. */
  readonly #refused = (error: unknown): void => {
    this.#answered();
    if (this.#stopped) return;
    const fault = asFluxError(error);
    // Too much of it ends the job, which says so itself.
    if (fault.code === 'EPIPE') this.stop();
    else if (fault.code !== 'ENOSYS') this.#fail(fault);
    else if (this.#sentData) this.#fail(new FluxError('ENOSYS', 'stdin not accepted by job'));
  };
}
