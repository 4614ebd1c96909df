/**
 * Points in time by pattern, as the lines of a crontab(5) give them: a set of numbers for each field of local time. A time
 * matches when all its fields do, the day of the month and that of the week too.
 *
 * Months count from 0 and years from 1900, as in struct tm: that is how Flux writes them. Numbers are decimal.
 */

import { FluxError } from '../errno.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import { monthNames, weekdayNames } from './calendar.ts';
import { IdSet } from './idset.ts';

/** The fields with the numbers that each may hold, both ends included; a second 60 is a leap second. */
export const timeFields = {
  second: { min: 0, max: 60 },
  minute: { min: 0, max: 59 },
  hour: { min: 0, max: 23 },
  mday: { min: 1, max: 31 },
  month: { min: 0, max: 11 },
  year: { min: 0, max: 1100 },
  weekday: { min: 0, max: 6 },
} as const;

export type TimeField = keyof typeof timeFields;
export const timeFieldNames = Object.keys(timeFields) as readonly TimeField[];

export type TimePattern = Readonly<Record<TimeField, IdSet>>;

/** The largest number in any field; Flux takes, say, minute 99, which never comes, but nothing needs a larger one. */
const NUMBER_MAX = timeFields.year.max;
/** Shorter names may be of two months. */
const NAME_MIN = 3;
/** How far ahead times are looked for, as in Flux; what is not found within two years is not found at all. */
const HORIZON = 2 * 365 * 86_400;

const names: Partial<Record<TimeField, readonly string[]>> = { month: monthNames, weekday: weekdayNames };

/** The pattern that every time matches. */
export const everySecond = Object.fromEntries(timeFieldNames.map((field) => [field, whole(field)])) as TimePattern;

function whole(field: TimeField): IdSet {
  const { min, max } = timeFields[field];
  return IdSet.range(min, max);
}

/**
 * Reads one field: numbers, names of months and weekdays, ranges and `*`, each with `/STRIDE` behind it or not, and commas
 * between them: `0-20/5,30`.
 *
 * @throws FluxError EINVAL: what is wrong in it
 */
export function parseTimeField(field: TimeField, text: string): IdSet {
  const bad = (why: string) => new FluxError('EINVAL', `${field} '${text}': ${why}`);
  const read = (word: string): number => {
    const number = /^\d+$/.test(word) ? Number(word) : indexOfName(field, word);
    if (number === undefined) throw bad(word === '' ? 'a number is missing' : `'${word}' is no ${field}`);
    if (number > NUMBER_MAX) throw bad(`${word} is too large`);
    return number;
  };
  const ranges = text.split(',').flatMap((part) => {
    const [, range = '', stride] = /^([^/]*)(?:\/(.*))?$/s.exec(part) ?? [];
    const { min, max } = timeFields[field];
    const words = range === '*' ? [String(min), String(max)] : range.split('-');
    if (words.length > 2) throw bad(`'${range}' is no range`);
    const first = read(words[0]!);
    const last = words[1] === undefined ? first : read(words[1]);
    if (last < first) throw bad(`the range '${range}' is backwards`);
    if (stride === undefined) return [[first, last] as const];
    if (!/^\d+$/.test(stride) || Number(stride) === 0) throw bad(`'${stride}' is no stride`);
    return everyOf(first, last, Number(stride));
  });
  return IdSet.ofRanges(ranges);
}

function indexOfName(field: TimeField, word: string): number | undefined {
  if (word.length < NAME_MIN) return undefined;
  const index = names[field]?.findIndex((name) => name.startsWith(word.toLowerCase())) ?? -1;
  return index < 0 ? undefined : index;
}

function everyOf(first: number, last: number, stride: number): (readonly [number, number])[] {
  const ranges: (readonly [number, number])[] = [];
  for (let number = first; number <= last; number += stride) ranges.push([number, number]);
  return ranges;
}

/** @throws FluxError EINVAL: a number that the field never has */
function checkTimeField(field: TimeField, set: IdSet): void {
  const outside = set.difference(whole(field)).first;
  if (outside !== undefined) throw notOne(field, outside);
}

/**
 * The pattern whose fields are given as texts or single numbers; those that are not given match any.
 *
 * @throws FluxError EINVAL: what is wrong in them
 */
export function readTimePattern(fields: JsonObject): TimePattern {
  const pattern: Record<TimeField, IdSet> = { ...everySecond };
  for (const field of timeFieldNames) {
    const value = fields[field];
    if (typeof value === 'string') pattern[field] = parseTimeField(field, value);
    else if (value !== undefined) pattern[field] = oneNumber(field, value);
  }
  return pattern;
}

function oneNumber(field: TimeField, value: JsonValue): IdSet {
  if (typeof value !== 'number' || !Number.isInteger(value))
    throw new FluxError('EINVAL', `${field} is neither a text nor an integer`);
  const { min, max } = timeFields[field];
  if (value < min || value > max) throw notOne(field, value);
  return IdSet.from([value]);
}

function notOne(field: TimeField, number: number): FluxError {
  const { min, max } = timeFields[field];
  return new FluxError('EINVAL', `${number} is no ${field}: ${min} to ${max} are`);
}

/** The fields of a crontab line, in their order; a line has no second, which is 0, and no year. */
const lineFields = ['minute', 'hour', 'mday', 'month', 'weekday'] as const;

export interface CrontabLine {
  readonly fields: Readonly<Record<(typeof lineFields)[number], string>>;
  readonly command: string;
}

/**
 * Reads a line of a crontab; undefined when it is empty or a comment.
 *
 * @throws FluxError EINVAL: what is wrong in it
 */
export function parseCrontabLine(line: string): CrontabLine | undefined {
  const words = line.trim();
  if (words === '' || words.startsWith('#')) return undefined;
  const match = /^(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(.+)$/s.exec(words);
  if (!match) throw new FluxError('EINVAL', 'a line has minute, hour, mday, month, weekday and a command');
  const fields = Object.fromEntries(
    lineFields.map((field, index) => {
      const text = match[index + 1]!;
      checkTimeField(field, parseTimeField(field, text));
      return [field, text];
    }),
  ) as CrontabLine['fields'];
  return { fields, command: match[6]! };
}

// ---- when

/**
 * The first whole second after a time that matches, both in seconds since the epoch; undefined when there is none within two
 * years. A local time that a change of the clocks skips does not come, and one that it repeats comes twice.
 */
export function nextMatch(pattern: TimePattern, after: number): number | undefined {
  if (!mayMatch(pattern)) return undefined;
  const start = Math.floor(after) + 1;
  let time = start;
  while (time - start <= HORIZON) {
    const next = skip(pattern, time);
    if (next === time) return time;
    time = next;
  }
  return undefined;
}

/** Whether each field has a number that comes: seconds and minutes that do not would be tried one after another. */
function mayMatch(pattern: TimePattern): boolean {
  return timeFieldNames.every((field) => {
    const { min, max } = timeFields[field];
    const first = pattern[field].next(min - 1);
    // System clocks have no leap seconds.
    return first !== undefined && first <= (field === 'second' ? 59 : max);
  });
}

/** The time itself when it matches, or a later one before which none does; Infinity when no year is left. */
function skip(pattern: TimePattern, time: number): number {
  const date = new Date(time * 1000);
  const [year, month, day] = [date.getFullYear(), date.getMonth(), date.getDate()];
  const [minute, second] = [date.getMinutes(), date.getSeconds()];
  if (!pattern.year.has(year - 1900)) {
    const next = pattern.year.next(year - 1900);
    return next === undefined ? Infinity : localTime(next + 1900, 0, 1);
  }
  if (!pattern.month.has(month)) return localTime(year, nextBelow(pattern.month, month, 12), 1);
  if (!pattern.mday.has(day) || !pattern.weekday.has(date.getDay())) return localTime(year, month, day + 1);
  // Within a day steps are of real time: where clocks are set back, local time does not tell which hour is meant.
  if (!pattern.hour.has(date.getHours())) return time + (60 - minute) * 60 - second;
  if (!pattern.minute.has(minute)) return time + (nextBelow(pattern.minute, minute, 60) - minute) * 60 - second;
  if (!pattern.second.has(second)) return time + nextBelow(pattern.second, second, 60) - second;
  return time;
}

/** The next number of a set, or `end`, where the next minute, hour or year begins. */
function nextBelow(set: IdSet, number: number, end: number): number {
  return Math.min(set.next(number) ?? end, end);
}

/** Seconds since the epoch at the begin of a day in local time; a month 12 is January of the next year. */
function localTime(year: number, month: number, day: number): number {
  // As a year, Date takes 0 to 99 for 1900 to 1999, but none of those is ahead.
  return new Date(year, month, day).getTime() / 1000;
}
