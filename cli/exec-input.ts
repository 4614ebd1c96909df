/**
 * Sends what this command reads from its stdin to the stdin of many remote processes (RFC 42, add-credit).
 *
 * No rank gets more than it has granted credit for, and all get the same, so reading goes at the pace of the slowest that
 * still runs. What waits here is one chunk; what is on its way is bounded by WINDOW_BYTES over all ranks.
 */

import type { RemoteProcess } from '../core/handle/remote-process.ts';

/** Bytes on their way to all ranks together; each has at least SHARE_MIN of them. */
const WINDOW_BYTES = 16 * 1024 * 1024;
const SHARE_MIN = 64 * 1024;

export class InputForwarder {
  readonly #source: NodeJS.ReadStream;
  readonly #processes: readonly RemoteProcess[];
  readonly #flowControl: boolean;
  readonly #share: number;
  #chunk: Buffer | undefined;
  #state: 'unread' | 'reading' | 'ended' | 'closed' = 'unread';
  #scheduled = false;

  constructor(source: NodeJS.ReadStream, processes: readonly RemoteProcess[], flowControl: boolean) {
    this.#source = source;
    this.#processes = processes;
    this.#flowControl = flowControl;
    this.#share = Math.max(SHARE_MIN, Math.floor(WINDOW_BYTES / processes.length));
  }

  /** A process has changed its state or granted credit: goes on, once for all that came at the same time. */
  advance(): void {
    if (this.#scheduled || this.#state === 'closed') return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#turn();
    });
  }

  #turn(): void {
    const living = this.#processes.filter(({ state }) => state === 'starting' || state === 'running');
    if (living.length === 0) this.stop();
    // Nothing is read before every process has said whether it runs, for all get the same.
    else if (this.#state !== 'closed' && living.every(({ state }) => state === 'running')) this.#send(living);
  }

  #send(processes: readonly RemoteProcess[]): void {
    if (this.#state === 'unread') this.#start();
    if (this.#chunk) {
      const length = Math.min(this.#chunk.length, this.#room(processes));
      if (length <= 0) return;
      const data = this.#chunk.subarray(0, length);
      for (const process of processes) process.write(data);
      this.#chunk = length < this.#chunk.length ? this.#chunk.subarray(length) : undefined;
    }
    if (this.#chunk) return;
    if (this.#state === 'reading') this.#source.resume();
    else {
      this.#state = 'closed';
      for (const process of processes) process.endInput();
    }
  }

  #room(processes: readonly RemoteProcess[]): number {
    if (!this.#flowControl) return Infinity;
    return processes.reduce((room, { credit, inFlight }) => Math.min(room, credit, this.#share - inFlight), Infinity);
  }

  #start(): void {
    this.#state = 'reading';
    this.#source.on('data', (chunk: Buffer) => {
      this.#source.pause();
      this.#chunk = chunk;
      this.advance();
    });
    const end = () => {
      if (this.#state === 'reading') this.#state = 'ended';
      this.advance();
    };
    this.#source.on('end', end);
    // A stdin that can't be read, such as a folder, is one without input.
    this.#source.on('error', end);
  }

  /** Reads no more, so that an open stdin does not keep this command alive. */
  stop(): void {
    if (this.#state !== 'unread') this.#source.destroy();
    this.#state = 'closed';
  }
}
