/**
 * Event logs (RFC 18): what happened, one JSON object a line, only ever appended to.
 */

import { FluxError } from '../errno.ts';
import { type JsonObject, type JsonValue, parseJson, Real, real, stringifyJson } from '../json.ts';

export interface EventlogEntry {
  /** Seconds since the epoch. */
  readonly timestamp: number;
  readonly name: string;
  readonly context?: JsonObject;
}

/**
 * One line of a log, with its newline; what is to be appended.
 *
 * @throws FluxError EINVAL: no name, a timestamp that is negative or no number
 */
export function encodeEventlogEntry(entry: EventlogEntry): string {
  const { timestamp, name } = entry;
  if (!Number.isFinite(timestamp) || timestamp < 0)
    throw new FluxError('EINVAL', `the timestamp of an event is not ${timestamp}`);
  if (name === '') throw new FluxError('EINVAL', 'an event needs a name');
  return `${stringifyJson(eventToJson(entry))}\n`;
}

/** An entry as journals and logs have it. */
export function eventToJson({ timestamp, name, context }: EventlogEntry): JsonObject {
  return context ? { timestamp: real(timestamp), name, context } : { timestamp: real(timestamp), name };
}

/** A whole log; nothing is the empty text. */
export function encodeEventlog(entries: readonly EventlogEntry[]): string {
  return entries.map(encodeEventlogEntry).join('');
}

/**
 * Reads one line with its newline.
 *
 * @throws FluxError EINVAL: no newline at its end or one before it, or no entry
 */
export function decodeEventlogEntry(line: string): EventlogEntry {
  if (line.indexOf('\n') !== line.length - 1 || line === '')
    throw new FluxError('EINVAL', 'an entry of an event log is one line with a newline at its end');
  return decodeLine(line.slice(0, -1), 1);
}

/**
 * Reads a whole log. What follows the last newline is an entry still to be completed, and is left out.
 *
 * @throws FluxError EINVAL, with the number of the line that is no entry
 */
export function decodeEventlog(text: string): EventlogEntry[] {
  if (text === '') return [];
  const end = text.lastIndexOf('\n');
  if (end < 0) throw new FluxError('EINVAL', 'an event log has no newline');
  return text
    .slice(0, end)
    .split('\n')
    .map((line, index) => decodeLine(line, index + 1));
}

function decodeLine(line: string, number: number): EventlogEntry {
  const fail = (fault: string): never => {
    throw new FluxError('EINVAL', `line ${number} of the event log: ${fault}`);
  };
  const value = parseLine(line) ?? fail('it is not a JSON object');
  const { timestamp, name, context } = value;
  const seconds = timestamp instanceof Real ? timestamp.value : timestamp;
  if (typeof seconds !== 'number' && typeof seconds !== 'bigint') return fail("'timestamp' is not a number");
  if (typeof name !== 'string') return fail("'name' is not a string");
  if (context === undefined) return { timestamp: Number(seconds), name };
  return { timestamp: Number(seconds), name, context: asObject(context) ?? fail("'context' is not an object") };
}

function parseLine(line: string): JsonObject | undefined {
  try {
    return asObject(parseJson(line));
  } catch {
    return undefined;
  }
}

function asObject(value: JsonValue): JsonObject | undefined {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Real);
  return isObject ? (value as JsonObject) : undefined;
}
