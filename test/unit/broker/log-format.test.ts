// Log entries as lines and back, timestamps, and what is no entry.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  formatEntry,
  formatTimestamp,
  isSeverity,
  type LogEntry,
  localTimestamp,
  parseEntry,
  severities,
  severityNumber,
} from '../../../core/broker/log-format.ts';
import { throwsCode } from '../../errors.ts';

test('severities count from emerg', () => {
  assert.deepEqual(
    severities.map((severity) => severityNumber(severity)),
    [0, 1, 2, 3, 4, 5, 6, 7],
  );
  assert.equal(severityNumber('err'), 3);
  assert.ok(isSeverity('debug'));
  for (const word of ['error', 'DEBUG', '', 'length', '7']) assert.ok(!isSeverity(word), word);
});

for (const [line, expected] of [
  [
    '<14>1 2026-01-01T00:00:00.000000Z 0 app - - - text',
    { severity: 1, timestamp: '2026-01-01T00:00:00.000000Z', hostname: '0', appname: 'app', text: 'text' },
  ],
  [
    '<56>1 2026-01-01T00:00:00.000000Z 17 broker - - - ',
    { severity: 7, timestamp: '2026-01-01T00:00:00.000000Z', hostname: '17', appname: 'broker', text: '' },
  ],
  [
    '<0>1 - host app 12 ID [a b="c"] several words',
    { severity: 0, timestamp: '-', hostname: 'host', appname: 'app', text: 'several words' },
  ],
  ['<24>1 - h a - - - two\nlines', { severity: 3, timestamp: '-', hostname: 'h', appname: 'a', text: 'two\nlines' }],
  ['<999>1 - h a - - - x', { severity: 7, timestamp: '-', hostname: 'h', appname: 'a', text: 'x' }],
  ['<24>1 - h a - - -x', { severity: 3, timestamp: '-', hostname: 'h', appname: 'a', text: 'x' }],
] as [string, LogEntry][]) {
  test(`read: ${JSON.stringify(line)}`, () => assert.deepEqual(parseEntry(line), expected));
}

for (const line of [
  '',
  'text',
  '<24>1 - h a - -',
  '<24> 1 - h a - - - x',
  '<24>2 - h a - - - x',
  '<2400>1 - h a - - - x',
  '<x>1 - h a - - - x',
  ' <24>1 - h a - - - x',
]) {
  test(`refused: ${JSON.stringify(line)}`, () => throwsCode(() => parseEntry(line), 'EPROTO'));
}

test('what is written is read again', () => {
  const word = fc.string({ minLength: 1, maxLength: 12 }).filter((text) => /^\S+$/.test(text));
  const entry = fc.record(
    {
      severity: fc.nat(7),
      timestamp: fc.nat(4_000_000_000).map(formatTimestamp),
      hostname: word,
      appname: word,
      text: fc.string(),
    },
    { noNullPrototype: true },
  );
  fc.assert(fc.property(entry, (each) => assert.deepEqual(parseEntry(formatEntry(each)), each)));
});

for (const [seconds, text] of [
  [0, '1970-01-01T00:00:00.000000Z'],
  [1.5, '1970-01-01T00:00:01.500000Z'],
  [1_700_000_000.000001, '2023-11-14T22:13:20.000001Z'],
  [0.9999999, '1970-01-01T00:00:00.999999Z'],
] as const) {
  test(`${seconds} seconds are ${text}`, () => assert.equal(formatTimestamp(seconds), text));
}

test('timestamps of all moments are those of Date, to the millisecond', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(4_000_000_000_000), { minLength: 1 }), (moments) => {
      for (const ms of moments)
        assert.equal(formatTimestamp(ms / 1000).replace(/\d{3}Z$/, 'Z'), new Date(ms).toISOString());
    }),
  );
});

for (const [zone, timestamp, text] of [
  ['UTC', '2026-11-21T15:18:34.198341Z', 'Nov 21 15:18:34.198341 UTC 2026'],
  ['UTC', '2026-01-02T03:04:05Z', 'Jan 02 03:04:05.000000 UTC 2026'],
  ['America/New_York', '2026-07-01T02:00:00.5Z', 'Jun 30 22:00:00.5 -0400 2026'],
  ['Asia/Kolkata', '2025-12-31T20:00:00.000001Z', 'Jan 01 01:30:00.000001 +0530 2026'],
] as const) {
  test(`in ${zone} ${timestamp} is ${text}`, () => {
    const { TZ } = process.env;
    process.env.TZ = zone;
    try {
      assert.equal(localTimestamp(timestamp), text);
    } finally {
      if (TZ === undefined) delete process.env.TZ;
      else process.env.TZ = TZ;
    }
  });
}
