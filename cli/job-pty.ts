/** The asking side of a job's pseudo terminal: what is typed here goes there, and what is written there is shown here. */

import { spawnSync } from 'node:child_process';
import { asFluxError, type FluxError } from '../core/errno.ts';
import { decodePtyData, encodePtyData } from '../core/formats/pty-data.ts';
import type { Handle } from '../core/handle/handle.ts';
import { untilEnd } from '../core/handle/rpc.ts';
import type { JsonObject } from '../core/json.ts';
import { Flag, type Message } from '../core/message/message.ts';
import type { ShellService } from './job-hostpids.ts';

/** Ctrl-\ leaves the terminal to itself. */
const DETACH_KEY = 0x1c;
/** So often a client says that it is still there. */
const KEEPALIVE_MS = 1000;

/** How the session with a terminal ended. */
export interface PtyEnd {
  /** Whether there was one at all. */
  readonly wasAttached: boolean;
  /** What wait(2) said of the program, or 256 when the terminal was lost. */
  readonly status: number;
}

export class PtyClient {
  readonly #handle: Handle;
  readonly #topic: string;
  readonly #rank: number;
  readonly #stdin = process.stdin;
  #attached = false;
  #over = false;
  #status = 0;
  #message: string | undefined;
  #keepalive: NodeJS.Timeout | undefined;
  /** Resolves when the session is over, or could not begin; not after `abandon()`. */
  readonly ended: Promise<PtyEnd>;
  #end!: (end: PtyEnd) => void;

  /** @param name of the terminal at the service of the shells, as `shell.init` tells it */
  constructor(handle: Handle, { service, rank }: ShellService, name: string) {
    this.#handle = handle;
    this.#topic = `${service}.${name}`;
    this.#rank = rank;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    const request = { type: 'attach', mode: 'rw', winsize: windowSize() };
    const responses = handle.request(this.#topic, request, { nodeid: rank, flags: Flag.streaming });
    void untilEnd(responses, (response) => this.#take(response)).then((error) => this.#finish(error));
  }

  get isAttached(): boolean {
    return this.#attached;
  }

  /** Waits no longer for a terminal that will not come. */
  abandon(): void {
    this.#over = true;
    this.#stop();
    this.#restoreTerminal();
  }

  #take(response: Message): void {
    const answer = (response.json ?? {}) as JsonObject;
    if (answer.type === 'attach') this.#start();
    else if (answer.type === 'data') process.stdout.write(decodePtyData(answer));
    else if (answer.type === 'resize') this.#resize();
    else if (answer.type === 'exit') {
      this.#status = Number(answer.status ?? 0);
      this.#message = String(answer.message ?? 'unknown reason');
      this.#stop();
    }
  }

  #start(): void {
    if (this.#over) return;
    this.#attached = true;
    if (this.#stdin.isTTY) enterRawMode(this.#stdin);
    this.#stdin.on('data', this.#typed).resume();
    process.on('SIGWINCH', this.#resize);
    this.#keepalive = setInterval(() => this.#write(Buffer.alloc(0)), KEEPALIVE_MS);
  }

  #stop(): void {
    clearInterval(this.#keepalive);
    process.off('SIGWINCH', this.#resize);
    if (this.#attached) this.#stdin.off('data', this.#typed).pause();
  }

  #restoreTerminal(): void {
    if (!this.#attached || !this.#stdin.isRaw) return;
    this.#stdin.setRawMode(false);
    // A program that was left may have hidden the cursor.
    process.stdout.write('\x1b[?25h');
  }

  readonly #typed = (data: Buffer): void => {
    if (data[0] === DETACH_KEY) this.#handle.notify(this.#topic, { type: 'detach' }, { nodeid: this.#rank });
    else this.#write(data);
  };

  readonly #resize = (): void => {
    const request = { type: 'resize', winsize: windowSize() };
    this.#handle.rpc(this.#topic, request, { nodeid: this.#rank }).catch(() => {});
  };

  #write(data: Buffer): void {
    this.#handle.rpc(this.#topic, encodePtyData(data), { nodeid: this.#rank }).catch((error: unknown) => {
      const isGone = asFluxError(error).code === 'ENOSYS';
      this.#die(isGone ? 'remote pty disappeared' : 'error writing to remote pty');
    });
  }

  #finish(error: FluxError): void {
    if (error.code === 'ENODATA') this.#close();
    else this.#die(error.code === 'ENOSYS' ? 'No such session' : error.message);
  }

  #die(message: string): void {
    this.#status = 1 << 8;
    this.#message = message;
    this.#close();
  }

  #close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#stop();
    if (this.#attached) process.stdout.write(`\x1b[999H[detached: ${this.#message ?? 'unknown reason'}]\x1b[K\n\r`);
    this.#restoreTerminal();
    this.#end({ wasAttached: this.#attached, status: this.#status });
  }
}

/** Node's raw mode leaves it to the terminal to go to the start of a line, which programs on the far side do themselves. */
function enterRawMode(stdin: NodeJS.ReadStream): void {
  stdin.setRawMode(true);
  spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] });
}

/** The size of this terminal; the least there is when there is none. */
function windowSize(): { rows: number; cols: number } {
  const { rows = 1, columns = 1 } = process.stdout.isTTY ? process.stdout : process.stderr;
  return { rows: Math.max(1, rows), cols: Math.max(1, columns) };
}
