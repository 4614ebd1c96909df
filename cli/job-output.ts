/** What jobs have written, as their eventlog `guest.output` has it (RFC 24). */

import { decodeIo } from '../core/formats/io.ts';
import type { JsonObject } from '../core/json.ts';
import type { EventlogEntry } from './eventlog.ts';

export interface JobOutput {
  readonly stream: 'stdout' | 'stderr';
  readonly data: Buffer;
}

/** Names of a shell's log levels; the others are not written. */
const levelNames: Readonly<Record<number, string>> = {
  0: 'FATAL',
  1: 'FATAL',
  2: 'FATAL',
  3: 'ERROR',
  4: ' WARN',
  6: 'DEBUG',
  7: 'TRACE',
};

/** What there is to write of an event: what tasks wrote, with their ranks in front if `label` is set, logs of shells. */
export function outputOf({ name, context }: EventlogEntry, label = false): JobOutput | undefined {
  switch (name) {
    case 'data':
      return dataOf(context, label);
    case 'log':
      return { stream: 'stderr', data: Buffer.from(`${logText(context)}\n`) };
    case 'redirect': {
      const { rank, stream, path } = context;
      return { stream: 'stderr', data: Buffer.from(`${rank}: ${stream} redirected to ${path}\n`) };
    }
    default:
      return undefined;
  }
}

function dataOf(context: JsonObject, label: boolean): JobOutput | undefined {
  const { stream, data: once } = decodeIo(context);
  if (once.length === 0) return undefined;
  const data = Buffer.concat(Array<Buffer>(Number(context.repeat ?? 1)).fill(once));
  return {
    stream: stream === 'stderr' ? 'stderr' : 'stdout',
    data: label ? labelLines(data, String(context.rank)) : data,
  };
}

/** Puts a label in front of each line, and an end behind the last. */
function labelLines(data: Buffer, label: string): Buffer {
  return Buffer.from(
    linesOf(data, (line) => `${label}: ${line}\n`),
    'latin1',
  );
}

/** The same with the ends of lines as they are. */
export function prefixLines(data: Buffer, prefix: string): Buffer {
  const text = data
    .toString('latin1')
    .replace(/[^\n]*\n|[^\n]+$/g, (line) => Buffer.from(prefix).toString('latin1') + line);
  return Buffer.from(text, 'latin1');
}

/** As latin1, in which bytes that are no UTF-8 survive. */
function linesOf(data: Buffer, write: (line: string) => string): string {
  const lines = data.toString('latin1').split(/\r\n|[\r\n]/);
  if (lines.at(-1) === '') lines.pop();
  return lines.map(write).join('');
}

function logText({ rank, level, component, message }: JsonObject): string {
  const words = [`flux-shell[${rank}]`, levelNames[Number(level)], component].filter(Boolean);
  return `${words.join(': ')}: ${message}`;
}
