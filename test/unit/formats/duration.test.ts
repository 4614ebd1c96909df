// Durations, and numbers in printf's layouts, against the recorded vectors and what C prints for exact halves.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FluxError } from '../../../core/errno.ts';
import {
  formatDuration,
  formatDurationBriefly,
  parseDuration,
  parseDurationArgument,
  wholeSeconds,
} from '../../../core/formats/duration.ts';
import { formatFixed, formatGeneral } from '../../../core/formats/printf.ts';
import { golden } from '../../golden.ts';

interface Failure {
  readonly error: string;
}

interface Vectors {
  readonly parse: readonly {
    readonly in: string;
    readonly seconds?: number | 'inf';
    readonly error?: string;
    readonly message?: string;
  }[];
  readonly format: readonly { readonly seconds: number | 'inf' | 'nan'; readonly fsd: string }[];
  readonly config_get: readonly {
    readonly in: string;
    readonly 'fsd-real': string | Failure;
    readonly 'fsd-integer': string | Failure;
    readonly fsd: string | Failure;
  }[];
}

const vectors = golden<Vectors>('vectors/fsd.json');

const isEinval = (error: unknown) => error instanceof FluxError && error.code === 'EINVAL' && !!error.detail;

test('argument vectors', () => {
  for (const row of vectors.parse) {
    if (row.error)
      assert.throws(() => parseDurationArgument(row.in), { code: 'EINVAL', message: row.message! }, row.in);
    else assert.equal(parseDurationArgument(row.in), row.seconds === 'inf' ? Infinity : row.seconds, row.in);
  }
});

test('format vectors', () => {
  for (const { seconds, fsd } of vectors.format) {
    const number = seconds === 'inf' ? Infinity : seconds === 'nan' ? NaN : seconds;
    assert.equal(formatDurationBriefly(number), fsd);
  }
});

test('configuration vectors', () => {
  for (const row of vectors.config_get) {
    if (typeof row['fsd-real'] === 'object') {
      assert.throws(() => parseDuration(row.in), isEinval, row.in);
      assert.equal(typeof row['fsd-integer'], 'object');
      assert.equal(typeof row.fsd, 'object');
      continue;
    }
    const seconds = parseDuration(row.in);
    assert.equal(formatFixed(seconds, 6), row['fsd-real'], row.in);
    assert.equal(`${wholeSeconds(seconds)}`, row['fsd-integer'], row.in);
    assert.equal(row.in.trim(), row.fsd);
  }
});

test('the C library reads what strtod does', () => {
  const rows: [string, number | undefined][] = [
    ['0x1d', 29],
    ['0x1.8p1m', 180],
    ['0x.8', 0.5],
    ['0x0p99999', 0],
    ['0x', undefined],
    ['-0', 0],
    ['-0s', 0],
    ['-inf', undefined],
    ['-0.1', undefined],
    ['+-1', undefined],
    ['-+1', undefined],
    ['1e3ms', 1],
    ['1e400s', undefined],
    ['1es', undefined],
    ['.s', undefined],
    ['iNfInItY', Infinity],
    ['infinityx', undefined],
    ['constructor', undefined],
  ];
  for (const [text, seconds] of rows) {
    if (seconds === undefined) assert.throws(() => parseDuration(text), isEinval, text);
    else assert.equal(parseDuration(text) + 0, seconds, text);
  }
});

test('a command reads what float() does', () => {
  const rows: [string, number | undefined][] = [
    ['-0', 0],
    ['-0.0s', 0],
    ['1_0.5_0m', 630],
    ['1__0', undefined],
    ['_1', undefined],
    ['1e1_0', 1e10],
    ['.', undefined],
    ['-1e-9', undefined],
    ['0.0000001m', 0.000006],
    ['1e99d', undefined],
    ['1e308', 1e308],
  ];
  for (const [text, seconds] of rows) {
    if (seconds === undefined) assert.throws(() => parseDurationArgument(text), isEinval, text);
    else assert.equal(parseDurationArgument(text) + 0, seconds, text);
  }
});

test('the C library writes the unit that fits', () => {
  const rows: [number, string][] = [
    [0, '0s'],
    [0.0000123, '0.0123ms'],
    [0.0621, '62.1ms'],
    [0.1, '0.1s'],
    [59.9999999, '60s'],
    [60, '1m'],
    [5430, '1.50833h'],
    [86400 * 365.25, '365.25d'],
    [1e12, '1.15741e+07d'],
    [Infinity, 'infinity'],
  ];
  for (const [seconds, text] of rows) assert.equal(formatDuration(seconds), text);
  assert.equal(formatDuration(5430, 3), '1.51h');
  assert.deepEqual(
    [0.0993, 0.0997, 1e-9].map((seconds) => formatDuration(seconds, 2)),
    ['99ms', '0.1s', '1e-06ms'],
  );
  for (const seconds of [-1, NaN, -Infinity]) assert.throws(() => formatDuration(seconds), isEinval);
});

test('printf layouts, exact halves to even', () => {
  const fixed: [number, number, string][] = [
    [0.5, 0, '0'],
    [1.5, 0, '2'],
    [2.5, 0, '2'],
    [-2.5, 0, '-2'],
    [0.0625, 3, '0.062'],
    [0.1875, 3, '0.188'],
    [0.15, 1, '0.1'],
    [1e21, 1, '1000000000000000000000.0'],
    [-Infinity, 1, '-inf'],
    [NaN, 1, 'nan'],
  ];
  for (const [value, digits, text] of fixed) assert.equal(formatFixed(value, digits), text);
  const general: [number, number, string][] = [
    [0, 6, '0'],
    [100000, 6, '100000'],
    [1000000, 6, '1e+06'],
    [999999.5, 6, '1e+06'],
    [1.0625, 4, '1.062'],
    [-1.1875, 4, '-1.188'],
    [0.0001, 6, '0.0001'],
    [0.00001, 6, '1e-05'],
    [123456789, 17, '123456789'],
    [0.1, 17, '0.10000000000000001'],
    [1e300, 17, '1.0000000000000001e+300'],
    [5e-324, 17, '4.9406564584124654e-324'],
    [2.5, 1, '2'],
    [Infinity, 4, 'inf'],
  ];
  for (const [value, precision, text] of general) assert.equal(formatGeneral(value, precision), text);
});

test('what is written reads back within its precision', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 8e13, noNaN: true }), (seconds) => {
      const near = (read: number, digits: number) => Math.abs(read - seconds) <= seconds * 10 ** (1 - digits) + 1e-3;
      assert.ok(near(parseDuration(formatDuration(seconds)), 6));
      assert.ok(near(parseDuration(formatDuration(seconds, 17)), 16));
      assert.ok(near(parseDurationArgument(formatDurationBriefly(seconds)), 4));
    }),
  );
});

test('any text is a duration or EINVAL', () => {
  const scraps = fc.string({ unit: fc.constantFrom(...'0159.eExXpP+-_ msdhinfa') });
  fc.assert(
    fc.property(fc.oneof(scraps, fc.string({ unit: 'binary' })), (text) => {
      for (const parse of [parseDuration, parseDurationArgument]) {
        try {
          assert.ok(parse(text) >= 0);
        } catch (error) {
          assert.ok(isEinval(error), String(error));
        }
      }
    }),
    { numRuns: 1000 },
  );
});
