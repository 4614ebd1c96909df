// What several commands share: sizes, indented JSON, times, and bounds in time and number.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { indentJson } from '../../../cli/json.ts';
import { within } from '../../../cli/limits.ts';
import { formatLocal, formatOffset, MinuteTimestamps } from '../../../cli/timestamps.ts';
import { formatSize, parseSize } from '../../../core/formats/size.ts';
import { atMost } from '../../../core/handle/at-most.ts';
import { parseJson } from '../../../core/json.ts';

test('sizes', () => {
  const rows: readonly (readonly [text: string, bytes: number | undefined])[] = [
    ['0', 0],
    ['10', 10],
    ['0x10', 16],
    ['1k', 1024],
    ['1K', 1024],
    ['1.5K', 1536],
    ['.5M', 524288],
    ['2G', 2 ** 31],
    ['1e3', 1000],
    ['', undefined],
    ['-1', undefined],
    ['1kb', undefined],
    ['k', undefined],
    ['1m', undefined],
    ['1 k', undefined],
    ['9e99', undefined],
    ['infinity', undefined],
  ];
  for (const [text, bytes] of rows) {
    if (bytes === undefined) assert.throws(() => parseSize(text), { code: 'EINVAL' }, text);
    else assert.equal(parseSize(text), bytes, text);
  }
  assert.deepEqual([0, 1023, 1024, 1536, 2 ** 20, 1234567].map(formatSize), [
    '0',
    '1023',
    '1K',
    '1.5K',
    '1M',
    '1.1773748M',
  ]);
});

test('indented JSON says the same, number by number', () => {
  const rows = [
    '{}',
    '[]',
    '{"a":{}}',
    '{"a":1.0,"b":[1,2,{"c":"x,{\\":y"}],"d":null}',
    '[9007199254740993,-1.5,true]',
    '"x"',
    '""',
  ];
  for (const text of rows) {
    const indented = indentJson(parseJson(text));
    assert.equal(indented.replace(/\n */g, '').replace(/": /g, '":'), text);
    if (!/\d{16}|\.0/.test(text)) assert.equal(indented, JSON.stringify(JSON.parse(text), null, 2));
  }
});

test('times of a list', () => {
  const base = Date.UTC(2026, 10, 21, 11, 31, 24) / 1000;
  const texts = (delta: boolean, ...seconds: number[]) => {
    const minutes = new MinuteTimestamps(delta);
    return seconds.map((each) => minutes.next(base + each).text);
  };
  const plain = texts(false, 0, 1.5, 3, 60, 61);
  const deltas = texts(true, 0, 1.5, 3, 60, 59.75);
  assert.match(plain[0]!, /^Nov2\d \d\d:\d\d$/);
  assert.deepEqual(plain.slice(1, 3), ['  +1.500000', '  +3.000000']);
  assert.match(plain[3]!, /^Nov/);
  assert.equal(plain[4], '  +1.000000');
  assert.deepEqual(deltas.slice(1, 3), ['  +1.500000', '  +1.500000']);
  assert.equal(deltas[4], '  -0.250000');
  assert.match(formatLocal(base + 0.9999, 3), /^2026-11-2\dT\d\d:\d\d:24\.999$/);
  assert.match(formatOffset(base), /^(Z|[+-]\d\d:\d\d)$/);
});

test('a bound in time', async () => {
  assert.equal(await within(10, Promise.resolve(1)), 1);
  assert.equal(await within(0, Promise.resolve(1)), 1);
  await assert.rejects(within(0.001, new Promise(() => {})), { code: 'ETIMEDOUT' });
  await assert.rejects(within(10, Promise.reject(new Error('no'))), /no/);
});

test('a bound in number', async () => {
  const run = atMost(3);
  let running = 0;
  let most = 0;
  const tasks = Array.from({ length: 20 }, (_, i) =>
    run(async () => {
      most = Math.max(most, ++running);
      await new Promise(setImmediate);
      running--;
      if (i % 5 === 0) throw new Error(`task ${i}`);
      return i;
    }),
  );
  const outcomes = await Promise.allSettled(tasks);
  assert.equal(most, 3);
  assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 16);
});
