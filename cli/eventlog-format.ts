/** Entries of event logs (RFC 18) as people read them. */

import type { EventlogEntry } from '../core/formats/eventlog.ts';
import { formatFixed } from '../core/formats/printf.ts';
import { type JsonValue, stringifyJson } from '../core/json.ts';
import type { Painter } from './terminal.ts';
import { MinuteTimestamps } from './timestamps.ts';

/** A formatter of entries, one line each: the time, the name, and the context as `key=value`. */
export function entryFormatter(formatTime: TimeFormat, paint: Painter): (entry: EventlogEntry) => string {
  return ({ timestamp, name, context = {} }) => {
    const words = Object.entries(context).map(([key, value]) => formatMember(key, value ?? null, paint));
    return [formatTime(timestamp), paint(name === 'exception' ? 'boldRed' : 'yellow', name), ...words].join(' ');
  };
}

function formatMember(key: string, value: JsonValue, paint: Painter): string {
  const isNumber = !Number.isNaN(Number(value)) && typeof value !== 'string';
  return `${paint('blue', key)}=${paint(isNumber ? 'gray' : 'cyan', stringifyJson(value))}`;
}

/** Writes a time, seconds since the epoch. */
export type TimeFormat = (seconds: number) => string;

/** Seconds since the epoch. */
export function secondsFormat(paint: Painter): TimeFormat {
  return (seconds) => paint('green', formatFixed(seconds, 6));
}

/** The minute where it changes, and the seconds since then. */
export function humanFormat(paint: Painter): TimeFormat {
  const minutes = new MinuteTimestamps(false);
  return (seconds) => {
    const { text, isBreak } = minutes.next(seconds);
    return paint(isBreak ? 'boldGreen' : 'green', `[${text}]`);
  };
}
