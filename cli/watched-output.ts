/** What jobs write (RFC 24), as it comes, where several are followed at a time. */

import type { Handle } from '../core/handle/handle.ts';
import type { JsonObject } from '../core/json.ts';
import { type JobEvent, watchEventlog } from './eventlog.ts';
import { outputOf, redirectLine } from './job-output.ts';

/** A piece of output: of the job, or of its shell, which speaks on stderr. */
export interface OutputPiece {
  readonly stream: 'stdout' | 'stderr';
  readonly data: Buffer;
  /** The tasks that wrote it; nothing for what the shell says. */
  readonly rank?: string;
}

const levelNames = ['FATAL', 'FATAL', 'FATAL', 'ERROR', ' WARN', '', 'DEBUG', 'TRACE'];

/** The output of a job whose shells have started, as it comes, until its end. */
export async function* watchOutput(handle: Handle, id: bigint): AsyncGenerator<OutputPiece, void, undefined> {
  for await (const event of watchEventlog(handle, id, 'guest.output')) {
    const piece = pieceOf(event);
    if (piece) yield piece;
  }
}

/** What there is to write of an event of `guest.output`; undefined when that is nothing. */
export function pieceOf({ name, context }: Pick<JobEvent, 'name' | 'context'>): OutputPiece | undefined {
  switch (name) {
    case 'data': {
      const { stream, data } = outputOf(context);
      return data.length ? { stream, data, rank: String(context.rank) } : undefined;
    }
    case 'log':
      return fromShell(logLine(context));
    case 'redirect':
      return fromShell(redirectLine(context));
    default:
      return undefined;
  }
}

function fromShell(line: string): OutputPiece {
  return { stream: 'stderr', data: Buffer.from(line) };
}

function logLine({ rank, level, component, message }: JsonObject): string {
  const parts = [`flux-shell[${rank}]`, levelNames[Number(level)] || [], component ?? []].flat();
  return `${parts.join(': ')}: ${String(message).replace(/\n$/, '')}\n`;
}

/** Puts a label before each line of a piece of output, and ends the last one. */
export function labelLines(data: Buffer, label: string): Buffer {
  const before = Buffer.from(label);
  const parts: Buffer[] = [];
  for (let start = 0; start < data.length; ) {
    const end = data.indexOf(0x0a, start);
    parts.push(before, data.subarray(start, end < 0 ? data.length : end), newline);
    start = end < 0 ? data.length : end + 1;
  }
  return Buffer.concat(parts);
}

const newline = Buffer.from('\n');

/** What is said of an exception of a job. */
export function exceptionText({ type, severity, note }: JsonObject): string {
  return `job.exception: type=${type} severity=${severity}${note ? ` ${note}` : ''}`;
}
