// Dates as strftime(3) writes them in the C locale, and signals as strsignal(3) calls them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSignal, signalText } from '../../../core/formats/signal.ts';
import { strftime } from '../../../core/formats/strftime.ts';

test('directives', () => {
  const date = new Date(2026, 0, 5, 15, 4, 9, 7);
  const rows: [string, string][] = [
    ['%F %T', '2026-01-05 15:04:09'],
    ['%a %A %b %B %h', 'Mon Monday Jan January Jan'],
    ['%e|%d|%j|%y|%C', ' 5|05|005|26|20'],
    ['%H|%k|%I|%l|%p', '15|15|03| 3|PM'],
    ['%M:%S.%f', '04:09.007000'],
    ['%D %R %r', '01/05/26 15:04 03:04:09 PM'],
    ['%c', 'Mon Jan  5 15:04:09 2026'],
    ['%u %w %x %X', '1 1 01/05/26 15:04:09'],
    ['%s', String(Math.floor(date.getTime() / 1000))],
    ['100%% %Q%', '100% %Q%'],
  ];
  for (const [format, expected] of rows) assert.equal(strftime(format, date), expected, format);
  assert.match(strftime('%z', date), /^[-+]\d{4}$/);
  assert.equal(strftime('%I %p %j', new Date(2024, 11, 31, 0, 30)), '12 AM 366');
});

test('signals', () => {
  const rows: [string, number, string][] = [
    ['TERM', 15, 'Terminated'],
    ['SIGTERM', 15, 'Terminated'],
    ['sigkill', 9, 'Killed'],
    ['11', 11, 'Segmentation fault'],
    ['34', 34, 'Real-time signal 0'],
    ['33', 33, 'Unknown signal 33'],
  ];
  for (const [text, signum, name] of rows) {
    assert.equal(parseSignal(text), signum);
    assert.equal(signalText(signum), name);
  }
  for (const wrong of ['', 'SIG', 'NOSUCH', '0', '65', '-1', '1.5'])
    assert.throws(() => parseSignal(wrong), { code: 'EINVAL' }, wrong);
});

test('weeks begin on Sunday, on Monday, or as ISO 8601 counts them', () => {
  const rows: [number, number, number, string][] = [
    [2021, 0, 1, '00 00 53 2020 20'],
    [2020, 11, 31, '52 52 53 2020 20'],
    [2024, 11, 30, '52 53 01 2025 25'],
    [2023, 0, 1, '01 00 52 2022 22'],
    [2026, 10, 22, '47 46 47 2026 26'],
  ];
  for (const [year, month, day, expected] of rows)
    assert.equal(strftime('%U %W %V %G %g', new Date(year, month, day, 12)), expected);
});
