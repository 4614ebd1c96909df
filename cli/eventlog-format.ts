/** Entries of event logs (RFC 18) as people read them. */

import type { EventlogEntry } from '../core/formats/eventlog.ts';
import { formatFixed } from '../core/formats/printf.ts';
import { strftime } from '../core/formats/strftime.ts';
import { type JsonValue, stringifyJson } from '../core/json.ts';
import type { Painter, Style } from './terminal.ts';
import { formatLocal, MinuteTimestamps } from './timestamps.ts';

/** The styles of the values of a context. */
export interface ValueStyles {
  readonly number: Style;
  /** That of true and false; that of numbers when absent. */
  readonly truth?: Style;
  readonly other: Style;
}

/** A formatter of entries, one line each: the time, the name, and the context as `key=value`. */
export function entryFormatter(
  formatTime: TimeFormat,
  paint: Painter,
  styles: ValueStyles = { number: 'gray', other: 'cyan' },
): (entry: EventlogEntry) => string {
  return ({ timestamp, name, context = {} }) => {
    const words = Object.entries(context).map(([key, value]) => formatMember(key, value ?? null, paint, styles));
    return [formatTime(timestamp), paint(name === 'exception' ? 'boldRed' : 'yellow', name), ...words].join(' ');
  };
}

function formatMember(key: string, value: JsonValue, paint: Painter, styles: ValueStyles): string {
  const { number, truth = number, other } = styles;
  const isNumber = !Number.isNaN(Number(value)) && typeof value !== 'string';
  const style = typeof value === 'boolean' ? truth : isNumber ? number : other;
  return `${paint('blue', key)}=${paint(style, stringifyJson(value))}`;
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

/**
 * `2026-11-21T11:31:24.681034+0100`, or with `Z`: local time, and how far that is ahead of UTC.
 *
 * @param colon what stands between the hours and minutes of the latter
 */
export function isoFormat(paint: Painter, colon: '' | ':' = ''): TimeFormat {
  return (seconds) => {
    const microseconds = Math.trunc((seconds - Math.trunc(seconds)) * 1e6);
    const zone = strftime('%z', new Date(seconds * 1000))
      .replace('+0000', 'Z')
      .replace(/\B(?=\d\d$)/, colon);
    return paint('green', `${formatLocal(seconds, 0)}.${String(microseconds).padStart(6, '0')}${zone}`);
  };
}

/** Seconds since the first time that it is given, in a column of this width. */
export function offsetFormat(paint: Painter, width = 15): TimeFormat {
  let first: number | undefined;
  return (seconds) => {
    first ??= seconds;
    return paint('green', formatFixed(seconds - first, 6).padStart(width));
  };
}

/**
 * The minute, and the seconds since then of what comes within one from there; `humanFormat` writes the minute wherever a
 * minute of the clock begins.
 */
export function elapsedFormat(paint: Painter): TimeFormat {
  let start = -Infinity;
  return (seconds) => {
    // Apart from the seconds, whose digits would leave none for a fraction to be rounded by.
    const whole = Math.trunc(seconds);
    const microseconds = whole * 1e6 + Math.round((seconds - whole) * 1e6);
    const passed = (microseconds - start) / 1e6;
    if (passed < 60) return paint('green', `[${`${passed < 0 ? '' : '+'}${formatFixed(passed, 6)}`.padStart(11)}]`);
    start = microseconds;
    return paint('boldGreen', `[${strftime('%b%d %H:%M', new Date(seconds * 1000))}]`);
  };
}
