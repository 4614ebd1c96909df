/** Times as people give them to `--begin-time`: `+1h`, `3pm`, `tomorrow 8:30`, `2037-01-01 00:00`, `next friday`. */

import { FluxError } from '../core/errno.ts';
import { monthNames, weekdayNames } from '../core/formats/calendar.ts';
import { parseDurationArgument } from '../core/formats/duration.ts';
import { textOf } from '../core/formats/python-format.ts';
import { real } from '../core/json.ts';

/** The dependency (RFC 26) that keeps a job from starting before a time. */
export function beginTimeUri(text: string): string {
  return `begin-time:${textOf(real(parseTime(text)))}`;
}

const DAY_MS = 86_400_000;
const unitMs: ReadonlyMap<string, number> = new Map([
  ['second', 1000],
  ['sec', 1000],
  ['minute', 60_000],
  ['min', 60_000],
  ['hour', 3_600_000],
  ['hr', 3_600_000],
  ['day', DAY_MS],
  ['week', 7 * DAY_MS],
]);

/** A time while it is read: a day, and perhaps an hour of it. */
interface Reading {
  readonly now: Date;
  date: Date | undefined;
  clock: readonly [hour: number, minute: number, second: number] | undefined;
  /** Milliseconds from now, for `in 5 minutes`. */
  offset: number | undefined;
}

/** Kinds of words, each with what it says of the time; false when it says nothing that can be. */
const readers: readonly (readonly [RegExp, (reading: Reading, ...groups: string[]) => boolean])[] = [
  [
    /^(\d{4})[-/](\d\d?)[-/](\d\d?)(?:t(?=\d))?/,
    (reading, y, m, d) => setDate(reading, Number(y), Number(m), Number(d)),
  ],
  [
    /^(\d\d?)\/(\d\d?)(?:\/(\d{4}|\d\d))?/,
    (reading, m, d, y) => setDate(reading, yearOf(reading, y), Number(m), Number(d)),
  ],
  [
    /^(\d\d?):(\d\d)(?::(\d\d))? ?([ap])\.?m\b\.?/,
    (reading, h, m, s, half) => setClock(reading, hourOf(h!, half!), m, s),
  ],
  [/^(\d\d?):(\d\d)(?::(\d\d)(?:\.\d+)?)?(?!\d)/, (reading, h, m, s) => setClock(reading, Number(h), m, s)],
  [/^(\d\d?) ?([ap])\.?m\b\.?/, (reading, h, half) => setClock(reading, hourOf(h!, half!))],
  [/^noon\b/, (reading) => setClock(reading, 12)],
  [/^(?:midnight|tonight)\b/, (reading) => setClock(reading, reading.date ? 0 : 0)],
  [/^(?:today|now)\b/, (reading) => setDay(reading, 0)],
  [/^tomorrow\b/, (reading) => setDay(reading, 1)],
  [/^yesterday\b/, (reading) => setDay(reading, -1)],
  [/^(?:in )?(\d+(?:\.\d+)?) ?(second|sec|minute|min|hour|hr|day|week)s?\b(?: from now)?/, setOffset],
  [
    /^(?:(next|this) )?(sun|mon|tue|wed|thu|fri|sat)([a-z]*)\b/,
    (reading, _next, name, rest) => setWeekday(reading, name! + rest!),
  ],
  [
    /^(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)([a-z]*)\.? (\d\d?)(?:st|nd|rd|th)?\b,?(?: (\d{4}))?/,
    (reading, name, rest, d, y) => {
      const month = monthNames.findIndex((each) => each.startsWith(name! + rest!)) + 1;
      return month > 0 && setDate(reading, yearOf(reading, y), month, Number(d));
    },
  ],
  [/^(?:at|on|,)(?= )/, () => true],
];

/**
 * Reads a time and returns seconds since the epoch.
 *
 * A day without an hour begins at midnight.
 *
 * @throws FluxError EINVAL: no time
 */
export function parseTime(text: string, now: Date = new Date()): number {
  if (text === 'now') return now.getTime() / 1000;
  if (/^[+-]/.test(text)) {
    const seconds = parseDurationArgument(text.slice(1)) * (text[0] === '-' ? -1 : 1);
    return Math.round(now.getTime() * 1000 + seconds * 1e6) / 1e6;
  }
  const reading: Reading = { now, date: undefined, clock: undefined, offset: undefined };
  let rest = text.toLowerCase().trim();
  while (rest) {
    const read = readers.find(([pattern]) => pattern.test(rest));
    const match = read?.[0].exec(rest);
    if (!read || !match || !read[1](reading, ...match.slice(1)))
      throw new FluxError('EINVAL', `'${text}' is not a time that can be read`);
    rest = rest.slice(match[0].length).trim();
  }
  if (!text.trim()) throw new FluxError('EINVAL', "'' is not a time");
  return timeOf(reading);
}

function timeOf({ now, date, clock, offset }: Reading): number {
  if (offset !== undefined) return Math.trunc((now.getTime() + offset) / 1000);
  const time = new Date(date ?? now);
  time.setHours(...(clock ?? [0, 0, 0]), 0);
  // An hour alone that is over today is the one of tomorrow.
  if (!date && time.getTime() < now.getTime()) time.setDate(time.getDate() + 1);
  return time.getTime() / 1000;
}

function setDate(reading: Reading, year: number, month: number, day: number): boolean {
  const date = new Date(year, month - 1, day);
  reading.date = date;
  return date.getMonth() === month - 1 && date.getDate() === day;
}

function yearOf({ now }: Reading, text: string | undefined): number {
  if (text === undefined) return now.getFullYear();
  return text.length === 2 ? 2000 + Number(text) : Number(text);
}

function setClock(reading: Reading, hour: number, minute = '0', second = '0'): boolean {
  reading.clock = [hour, Number(minute), Number(second)];
  return hour < 24 && Number(minute) < 60 && Number(second) < 60;
}

function hourOf(text: string, half: string): number {
  const hour = Number(text);
  if (hour < 1 || hour > 12) return NaN;
  return (hour % 12) + (half === 'p' ? 12 : 0);
}

function setDay(reading: Reading, days: number): boolean {
  const { now } = reading;
  reading.date = new Date(now.getFullYear(), now.getMonth(), now.getDate() + days);
  return true;
}

function setOffset(reading: Reading, count?: string, unit?: string): boolean {
  reading.offset = (reading.offset ?? 0) + Number(count) * unitMs.get(unit!)!;
  return true;
}

function setWeekday(reading: Reading, name: string): boolean {
  const day = weekdayNames.findIndex((each) => each.startsWith(name));
  if (day < 0) return false;
  const ahead = (day - reading.now.getDay() + 7) % 7 || 7;
  return setDay(reading, ahead);
}
