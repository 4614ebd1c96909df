// Times by pattern: the fields of crontabs, their lines, and which time comes next.

import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import {
  everySecond,
  nextMatch,
  parseCrontabLine,
  parseTimeField,
  readTimePattern,
  type TimeField,
  type TimePattern,
  timeFieldNames,
  timeFields,
} from '../../../core/formats/crontab.ts';
import { IdSet } from '../../../core/formats/idset.ts';
import { throwsCode } from '../../errors.ts';

const usualZone = process.env.TZ;
const setZone = (zone: string | undefined) => {
  if (zone === undefined) delete process.env.TZ;
  else process.env.TZ = zone;
};
setZone('UTC');
after(() => setZone(usualZone));

const seconds = (iso: string) => Date.parse(iso) / 1000;
const isoOf = (time: number | undefined) => (time === undefined ? undefined : new Date(time * 1000).toISOString());

describe('fields', () => {
  for (const [field, text, expected] of [
    ['minute', '5', '5'],
    ['minute', '08', '8'],
    ['minute', '010', '10'],
    ['minute', '*', '0-59'],
    ['minute', '*/15', '0,15,30,45'],
    ['minute', '5-20/5,1', '1,5,10,15,20'],
    ['minute', '7/15', '7'],
    ['minute', '3,3,2-4', '2-4'],
    ['minute', '99', '99'],
    ['second', '*/60', '0,60'],
    ['mday', '*/10', '1,11,21,31'],
    ['month', 'jan', '0'],
    ['month', 'January-June', '0-5'],
    ['month', '*/2', '0,2,4,6,8,10'],
    ['month', 'DECEMBER,mar', '2,11'],
    ['weekday', 'mon-fri', '1-5'],
    ['weekday', '*/2', '0,2,4,6'],
    ['weekday', 'sun,Thurs', '0,4'],
    ['year', '*', '0-1100'],
  ] as [TimeField, string, string][])
    test(`${field} ${text}`, () => assert.equal(parseTimeField(field, text).encode(), expected));

  for (const [field, text, why] of [
    ['minute', '', /a number is missing/],
    ['minute', ',', /a number is missing/],
    ['minute', '1,', /a number is missing/],
    ['minute', '-5', /a number is missing/],
    ['minute', '5-', /a number is missing/],
    ['minute', '-/', /a number is missing/],
    ['minute', '*5', /'\*5' is no minute/],
    ['minute', '1.5', /'1\.5' is no minute/],
    ['minute', '0x10', /'0x10' is no minute/],
    ['minute', 'jan', /'jan' is no minute/],
    ['minute', '5-1', /'5-1' is backwards/],
    ['minute', '1-2-3', /'1-2-3' is no range/],
    ['minute', '*/0', /'0' is no stride/],
    ['minute', '*/', /'' is no stride/],
    ['minute', '*/-1', /'-1' is no stride/],
    ['minute', '*/5/5', /'5\/5' is no stride/],
    ['minute', '0-4294967295/2', /4294967295 is too large/],
    ['month', 'Mars', /'Mars' is no month/],
    ['month', 'ma', /'ma' is no month/],
    ['weekday', 'fri-mon', /'fri-mon' is backwards/],
    ['weekday', 'mondays', /'mondays' is no weekday/],
  ] as [TimeField, string, RegExp][])
    test(`refused: ${field} ${text}`, () => throwsCode(() => parseTimeField(field, text), 'EINVAL', why));

  test('a number by itself is one of the field', () => {
    assert.deepEqual(readTimePattern({}), everySecond);
    assert.equal(readTimePattern({ minute: 5 }).minute.encode(), '5');
    for (const field of timeFieldNames) {
      const { min, max } = timeFields[field];
      for (const value of [min - 1, max + 1, 1.5, null, true, [1]])
        throwsCode(() => readTimePattern({ [field]: value }), 'EINVAL', new RegExp(field));
    }
  });
});

describe('lines', () => {
  for (const line of ['', '   ', '# a comment', '  # 1 2 3 4 5 6'])
    test(`nothing: '${line}'`, () => assert.equal(parseCrontabLine(line), undefined));

  test('five fields and a command', () => {
    assert.deepEqual(parseCrontabLine('  */5 08 * dec mon-fri\techo "a # b"  c '), {
      fields: { minute: '*/5', hour: '08', mday: '*', month: 'dec', weekday: 'mon-fri' },
      command: 'echo "a # b"  c',
    });
  });

  for (const [line, why] of [
    ['zzz', /a line has minute, hour/],
    ['1 2 3 4 5', /a line has minute, hour/],
    ['0 5 * echo too few', /month 'echo'/],
    ['60 * * * * true', /60 is no minute: 0 to 59 are/],
    ['0 24 * * * true', /24 is no hour/],
    ['0 0 0 * * true', /0 is no mday: 1 to 31 are/],
    ['0 0 1 12 * true', /12 is no month: 0 to 11 are/],
    ['0 0 * * 7 true', /7 is no weekday: 0 to 6 are/],
  ] as [string, RegExp][])
    test(`refused: ${line}`, () => throwsCode(() => parseCrontabLine(line), 'EINVAL', why));
});

describe('the next time', () => {
  for (const [fields, from, expected] of [
    [{}, '2016-05-27T03:45:22Z', '2016-05-27T03:45:23.000Z'],
    [{}, '2016-05-27T03:45:22.7Z', '2016-05-27T03:45:23.000Z'],
    [{ second: 0, minute: 0, hour: 0 }, '2016-05-27T03:45:22Z', '2016-05-28T00:00:00.000Z'],
    [{ second: 0, minute: 0, hour: 0 }, '2016-12-31T03:45:22Z', '2017-01-01T00:00:00.000Z'],
    [{ second: 5, minute: '5,15,25' }, '2016-10-10T03:05:05Z', '2016-10-10T03:15:05.000Z'],
    [{ second: 5, minute: '5,15,25' }, '2016-10-10T03:25:05Z', '2016-10-10T04:05:05.000Z'],
    [{ second: 0, minute: 0, hour: 8, weekday: 'mon' }, '2016-06-06T08:00:00Z', '2016-06-13T08:00:00.000Z'],
    [{ second: 0, minute: 0, hour: 20, weekday: '1-5' }, '2025-06-01T00:00:00Z', '2025-06-02T20:00:00.000Z'],
    [{ second: 0, minute: 0, hour: 0, mday: 29, month: 1 }, '2026-03-01T00:00:00Z', '2028-02-29T00:00:00.000Z'],
    // Both days have to match.
    [{ second: 0, minute: 0, hour: 0, mday: 13, weekday: 'fri' }, '2026-01-01T00:00:00Z', '2026-02-13T00:00:00.000Z'],
    [
      { second: 0, minute: 0, hour: 0, mday: 1, month: 0, year: 128 },
      '2026-12-01T00:00:00Z',
      '2028-01-01T00:00:00.000Z',
    ],
    // What never comes, beside what does.
    [{ second: '60,7', minute: '10,99', hour: '5,30' }, '2026-01-01T05:11:00Z', '2026-01-02T05:10:07.000Z'],
    [{ second: 0, minute: 0, hour: 0, mday: 1, month: '0,20' }, '2026-02-01T00:00:00Z', '2027-01-01T00:00:00.000Z'],
    [{ mday: 31, month: 1 }, '2026-01-01T00:00:00Z', undefined],
    [{ minute: '99' }, '2026-01-01T00:00:00Z', undefined],
    [{ second: '60' }, '2026-01-01T00:00:00Z', undefined],
    [{ year: 101 }, '2026-01-01T00:00:00Z', undefined],
    [{ year: 137 }, '2026-01-01T00:00:00Z', undefined],
    [{ second: 0, minute: 0, hour: 0, mday: 29, month: 1 }, '2024-03-01T00:00:00Z', undefined],
  ] as [Record<string, string | number>, string, string | undefined][])
    test(`${JSON.stringify(fields)} after ${from}`, () =>
      assert.equal(isoOf(nextMatch(readTimePattern(fields), seconds(from))), expected));

  const subset = (field: TimeField): fc.Arbitrary<IdSet> => {
    const { min, max } = timeFields[field];
    const any = fc.constant(everySecond[field]);
    const some = fc.uniqueArray(fc.integer({ min, max }), { minLength: 1, maxLength: 5 }).map((ids) => IdSet.from(ids));
    return field === 'year' ? any : fc.oneof(any, some);
  };
  const patterns = fc.record(
    Object.fromEntries(timeFieldNames.map((field) => [field, subset(field)])) as Record<TimeField, fc.Arbitrary<IdSet>>,
  );
  const times = fc.integer({ min: seconds('2020-01-01T00:00:00Z'), max: seconds('2040-01-01T00:00:00Z') });

  const isMatch = (pattern: TimePattern, time: number): boolean => {
    const date = new Date(time * 1000);
    const { second, minute, hour, mday, month, weekday } = pattern;
    return (
      second.has(date.getSeconds()) &&
      minute.has(date.getMinutes()) &&
      hour.has(date.getHours()) &&
      mday.has(date.getDate()) &&
      month.has(date.getMonth()) &&
      weekday.has(date.getDay())
    );
  };

  /** The first match by trying each day's times in order, in UTC. */
  const bySearch = (pattern: TimePattern, from: number): number | undefined => {
    const day = Math.floor(from / 86_400) * 86_400;
    for (let midnight = day; midnight <= from + 2 * 365 * 86_400; midnight += 86_400) {
      const date = new Date(midnight * 1000);
      const { mday, month, weekday } = pattern;
      if (!mday.has(date.getUTCDate()) || !month.has(date.getUTCMonth()) || !weekday.has(date.getUTCDay())) continue;
      for (const hour of pattern.hour)
        for (const minute of pattern.minute)
          for (const second of pattern.second) {
            const time = midnight + hour * 3600 + minute * 60 + second;
            if (second < 60 && time > from) return time - from - 1 <= 2 * 365 * 86_400 ? time : undefined;
          }
    }
    return undefined;
  };

  test('it is the first that matches, of any pattern', () => {
    fc.assert(
      fc.property(patterns, times, (pattern, from) => {
        assert.equal(nextMatch(pattern, from), bySearch(pattern, from));
      }),
      { numRuns: 2000 },
    );
  });

  for (const [zone, around] of [
    ['America/New_York', '2027-03-14T07:00:00Z'],
    ['America/New_York', '2027-11-07T06:00:00Z'],
    ['Australia/Lord_Howe', '2027-04-03T15:00:00Z'],
    ['America/Sao_Paulo', '2018-11-04T03:00:00Z'],
    ['Asia/Kathmandu', '2027-01-01T00:00:00Z'],
  ] as const)
    test(`it is the first where clocks are set: ${zone} around ${around}`, () => {
      setZone(zone);
      try {
        const offsets = fc.integer({ min: -7200, max: 7200 });
        const { mday, month, weekday } = everySecond;
        const often = patterns.map((pattern) => ({ ...pattern, second: pattern.second.add(0), mday, month, weekday }));
        fc.assert(
          fc.property(often, offsets, (pattern, offset) => {
            const from = seconds(around) + offset;
            const next = nextMatch(pattern, from)!;
            assert.ok(isMatch(pattern, next) && next > from);
            for (let time = from + 1; time < Math.min(next, from + 10_000); time++)
              if (isMatch(pattern, time)) assert.fail(`${isoOf(time)} was skipped`);
          }),
          { numRuns: 60 },
        );
      } finally {
        setZone('UTC');
      }
    });

  test('a time that the clocks skip does not come, one that they repeat comes twice', () => {
    setZone('America/New_York');
    try {
      const night = (hour: number) => readTimePattern({ second: 0, minute: 30, hour });
      const spring = nextMatch(night(2), seconds('2027-03-13T12:00:00Z'));
      assert.equal(isoOf(spring), '2027-03-15T06:30:00.000Z');
      const first = nextMatch(night(1), seconds('2027-11-06T12:00:00Z'))!;
      assert.equal(isoOf(first), '2027-11-07T05:30:00.000Z');
      assert.equal(isoOf(nextMatch(night(1), first)), '2027-11-07T06:30:00.000Z');
    } finally {
      setZone('UTC');
    }
  });
});
