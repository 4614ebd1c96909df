/**
 * Flux Standard Duration: seconds as text, `1.5h` or `infinity` (RFC 23).
 *
 * Flux reads durations in two places that differ at the edges: its C library (configuration, modules, C commands) takes
 * the number as strtod(3) does, its Python commands as Python's float(). It also writes them in two ways.
 */

import { FluxError } from '../errno.ts';
import { formatFixed, formatGeneral } from './printf.ts';

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const unitSeconds: ReadonlyMap<string, number> = new Map([
  ['ms', 0.001],
  ['s', 1],
  ['m', MINUTE],
  ['h', HOUR],
  ['d', DAY],
]);

/** What Python's timedelta holds at most. */
const TIMEDELTA_MAX = 999_999_999 * DAY;

/** What strtod(3) takes as a number at the start of a text: its sign, then infinity, hexadecimal or decimal. */
const strtodNumber = new RegExp(
  [
    '^[ \\t-\\r]*([+-]?)(inf(?:inity)?',
    '0x(?=\\.?[0-9a-f])[0-9a-f]*(?:\\.[0-9a-f]*)?(?:p[+-]?[0-9]+)?',
    '(?=\\.?[0-9])[0-9]*\\.?[0-9]*(?:e[+-]?[0-9]+)?)',
  ].join('|'),
  'i',
);

/** What Python's float() takes for a finite number. */
const floatNumber = new RegExp(
  '^\\s*([+-]?)((?=\\.?[0-9])D?(?:\\.D?)?(?:e[+-]?D)?)\\s*$'.replaceAll('D', '(?:[0-9]+(?:_[0-9]+)*)'),
  'i',
);

/**
 * Reads a duration as flux's C library does and returns seconds, or Infinity.
 *
 * The number may be hexadecimal, and may be missing (`s` and empty text are 0 seconds).
 * Throws FluxError EINVAL that quotes the text (RFC 23).
 */
export function parseDuration(text: string): number {
  const [start = '', sign, digits = '0'] = strtodNumber.exec(text) ?? [];
  const number = strtod(digits.toLowerCase());
  const unit = text.slice(start.length);
  const factor = unit === '' ? 1 : unitSeconds.get(unit);
  if (factor === undefined || (sign === '-' && number !== 0) || (unit && number === Infinity)) {
    throw new FluxError('EINVAL', `invalid Flux standard duration '${text}'`);
  }
  return number * factor;
}

function strtod(number: string): number {
  if (number.startsWith('inf')) return Infinity;
  const hexadecimal = /^0x([0-9a-f]*)\.?([0-9a-f]*)p?(.*)$/.exec(number);
  if (!hexadecimal) return Number(number);
  const [, whole = '', fraction = '', exponent = ''] = hexadecimal;
  // 0 when an extreme exponent makes it 0 times infinity.
  return Number(`0x${whole}${fraction}`) * 2 ** (Number(exponent) - 4 * fraction.length) || 0;
}

/**
 * Reads a duration as flux's Python commands read their arguments and returns seconds, or Infinity.
 *
 * Blanks around the number and underscores between digits are passed over; with a unit other than seconds the result
 * is rounded to microseconds. Throws FluxError EINVAL for anything else (RFC 23).
 */
export function parseDurationArgument(text: string): number {
  if (/^(inf(inity)?|INF(INITY)?)$/.test(text)) return Infinity;
  const [, before = text, unit = 's'] = /^(.*?)(ms|s|m|h|d)$/.exec(text) ?? [];
  const [, sign, digits = ''] = floatNumber.exec(before) ?? [];
  const number = digits ? Number(digits.replaceAll('_', '')) : NaN;
  const seconds = unit === 's' ? number : Math.round(number * unitSeconds.get(unit)! * 1e6) / 1e6;
  const end = unit === 's' ? Infinity : TIMEDELTA_MAX;
  if (!(seconds < end) || (sign === '-' && number !== 0)) {
    throw new FluxError('EINVAL', 'invalid Flux standard duration');
  }
  return seconds;
}

/**
 * Writes seconds as flux's C library does, in the unit that fits, with `precision` significant digits: `1.5h`.
 *
 * Infinity is `infinity`; throws FluxError EINVAL for what is no duration.
 */
export function formatDuration(seconds: number, precision = 6): string {
  if (seconds === Infinity) return 'infinity';
  if (!(seconds >= 0)) throw new FluxError('EINVAL', `${seconds} is not a duration`);
  if (seconds < 0.1 && seconds > 0) {
    const milliseconds = formatGeneral(seconds * 1000, precision);
    // Rounded to a tenth of a second, which is 0.1s to a reader, not 1e+02ms.
    if (!milliseconds.includes('e+')) return `${milliseconds}ms`;
  }
  if (seconds < MINUTE) return `${formatGeneral(seconds, precision)}s`;
  return formatLong(seconds, precision);
}

/** Writes seconds as flux's Python commands do: four digits, milliseconds below ten seconds, `0s` below one of them. */
export function formatDurationBriefly(seconds: number): string {
  if (Math.abs(seconds) === Infinity) return 'inf';
  if (seconds < 0.001) return '0s';
  if (seconds < 10) return `${formatFixed(seconds, 3)}s`;
  if (seconds < MINUTE) return `${formatGeneral(seconds, 4)}s`;
  return formatLong(seconds, 4);
}

function formatLong(seconds: number, precision: number): string {
  if (seconds < HOUR) return `${formatGeneral(seconds / MINUTE, precision)}m`;
  if (seconds < DAY) return `${formatGeneral(seconds / HOUR, precision)}h`;
  return `${formatGeneral(seconds / DAY, precision)}d`;
}

/** Seconds as C makes an int of them on x86: the fraction cut, -2147483648 for what does not fit. */
export function wholeSeconds(seconds: number): number {
  const whole = Math.trunc(seconds);
  return whole === (whole | 0) ? whole : -(2 ** 31);
}
