/** What the shells of a job write into its event log `guest.output` (RFC 24), as lines for a terminal. */

import { FluxError } from '../core/errno.ts';
import { decodeIo } from '../core/formats/io.ts';
import { formatFixed } from '../core/formats/printf.ts';
import type { JsonObject } from '../core/json.ts';
import { stringifyJson } from '../core/json.ts';
import { unpack } from '../core/message/unpack.ts';
import type { JobEvent } from './eventlog.ts';

/** Where output goes. */
export type Write = (stream: 'stdout' | 'stderr', data: Uint8Array | string) => void;

export interface OutputOptions {
  /** Put the task's rank before its output. */
  readonly labelIo?: boolean;
  /** Say where messages of the shells come from. */
  readonly verbose?: boolean;
  /** Leave out messages of the shells, and where output went that is not here. */
  readonly quiet?: boolean;
}

/** An event, as far as output needs it. */
type Event = Pick<JobEvent, 'name' | 'timestamp' | 'context'>;

/** Labels of messages by severity (RFC 5424); the shell's first three all end it. */
const labels = ['FATAL', 'FATAL', 'FATAL', 'ERROR', ' WARN', undefined, 'DEBUG', 'TRACE'];

/** A line about an event: how long after the job was submitted it was, whose it is, its name and its context. */
export function eventLine(log: string, { name, timestamp, context }: Event, start: number): string {
  const rest = Object.keys(context).length ? ` ${stringifyJson(context)}` : '';
  return `${since(start, timestamp)}: ${log}.${name}${rest}\n`;
}

/** Seconds from `start` on: `1.234s`. */
export function since(start: number, timestamp: number): string {
  return `${formatFixed(timestamp - start, 3)}s`;
}

/**
 * The line for a message of a shell.
 *
 * @throws FluxError EPROTO
 */
export function logLine({ timestamp, context }: Event, start: number, verbose = false): string {
  const fields = { rank: 'i?', level: 'i', message: 's', component: 's?', file: 's?', line: 'i?' } as const;
  const { rank = -1, level, message, component, file, line = -1 } = unpack(context, fields);
  const where = verbose && file !== undefined ? `${file}${line > 0 ? `:${line}` : ''}` : undefined;
  const parts = [`flux-shell${rank < 0 ? '' : `[${rank}]`}`, labels[level], component, where, message];
  return `${[since(start, timestamp), ...parts.filter((part) => part !== undefined)].join(': ')}\n`;
}

/**
 * The line that tells where output went.
 *
 * @throws FluxError EPROTO
 */
export function redirectLine(context: JsonObject): string {
  const { stream, rank, path } = unpack(context, { stream: 's', rank: 's', path: 's?' });
  return `${rank}: ${stream} redirected${path === undefined ? '' : ` to ${path}`}\n`;
}

/**
 * What a message of the executor (`log` in guest.exec.eventlog) comes to.
 *
 * @throws FluxError EPROTO
 */
export function execLogText({ timestamp, context }: Event, start: number, quiet = false): string {
  const { rank, component, stream, data } = unpack(context, { rank: 's', component: 's', stream: 's', data: 's' });
  return quiet ? data : `${since(start, timestamp)}: ${component}[${rank}]: ${stream}: ${data}`;
}

/**
 * Output of a task, as often as it was repeated.
 *
 * @throws FluxError EPROTO
 */
export function outputOf(context: JsonObject, labelIo = false): { stream: 'stdout' | 'stderr'; data: Buffer } {
  const { stream, data } = decodeIo(context);
  const { rank, repeat = 1 } = unpack(context, { rank: 's', repeat: 'i?' });
  if (repeat < 0) throw new FluxError('EPROTO', `output is repeated ${repeat} times`);
  const once = labelIo && data.length ? Buffer.concat([Buffer.from(`${rank}: `), data]) : data;
  const copies = repeat === 1 ? once : Buffer.concat(new Array<Buffer>(repeat).fill(once));
  return { stream: stream === 'stdout' ? 'stdout' : 'stderr', data: copies };
}

/** Takes the events of `guest.output` one after another, and writes what is to be seen of them. */
export class OutputPrinter {
  readonly #write: Write;
  readonly #start: () => number;
  readonly #options: OutputOptions;
  /** Events that came while only the last of them are wanted; undefined when all are. */
  #tail: Event[] | undefined;
  readonly #tailLength: number;
  #hasHeader = false;
  /** Whose output is not shown here, since a terminal shows it. */
  hiddenRank: string | undefined;

  /**
   * @param start when the job was submitted, which is known by the first event
   * @param tail how many of the events before `endTail()` are shown; all when undefined
   */
  constructor(write: Write, start: () => number, options: OutputOptions, tail?: number) {
    this.#write = write;
    this.#start = start;
    this.#options = options;
    this.#tail = tail === undefined ? undefined : [];
    this.#tailLength = tail ?? 0;
  }

  /** @throws FluxError EPROTO: no header before it, or malformed */
  take(event: Event): void {
    const { name, context } = event;
    if (name === 'header') this.#hasHeader = true;
    else if (name === 'redirect') {
      this.#checkHeader();
      if (!this.#options.quiet) this.#write('stderr', redirectLine(context));
    } else if (name !== 'data' && name !== 'log') return;
    else if (!this.#tail) this.#show(event);
    else if (name === 'log' || !decodeIo(context).eof) {
      this.#tail.push(event);
      if (this.#tail.length > this.#tailLength) this.#tail.shift();
    }
  }

  /** From here on all is shown. */
  endTail(): void {
    const events = this.#tail ?? [];
    this.#tail = undefined;
    for (const event of events) this.#show(event);
  }

  #show(event: Event): void {
    const { quiet, labelIo, verbose } = this.#options;
    if (event.name === 'log') {
      if (!quiet) this.#write('stderr', logLine(event, this.#start(), verbose));
      return;
    }
    this.#checkHeader();
    const { stream, data } = outputOf(event.context, labelIo);
    if (data.length && event.context.rank !== this.hiddenRank) this.#write(stream, data);
  }

  #checkHeader(): void {
    if (!this.#hasHeader) throw new FluxError('EPROTO', 'guest.output has output before its header');
  }
}
