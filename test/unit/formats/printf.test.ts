// Numbers as C's printf writes them: rows that printf wrote, and the exact decimal of any double as the measure.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatFixed, formatGeneral } from '../../../core/formats/printf.ts';

type Row = readonly [value: number, whole: string, cents: string, g3: string, g6: string, g8: string];

const rows: readonly Row[] = [
  [0, '0', '0.00', '0', '0', '0'],
  [-0, '-0', '-0.00', '-0', '-0', '-0'],
  [0.5, '0', '0.50', '0.5', '0.5', '0.5'],
  [1.5, '2', '1.50', '1.5', '1.5', '1.5'],
  [2.5, '2', '2.50', '2.5', '2.5', '2.5'],
  [-2.5, '-2', '-2.50', '-2.5', '-2.5', '-2.5'],
  [0.125, '0', '0.12', '0.125', '0.125', '0.125'],
  [0.375, '0', '0.38', '0.375', '0.375', '0.375'],
  [2.675, '3', '2.67', '2.67', '2.675', '2.675'],
  [99.995, '100', '100.00', '100', '99.995', '99.995'],
  [999999.5, '1000000', '999999.50', '1e+06', '1e+06', '999999.5'],
  [100000, '100000', '100000.00', '1e+05', '100000', '100000'],
  [1234567, '1234567', '1234567.00', '1.23e+06', '1.23457e+06', '1234567'],
  [12345678.5, '12345678', '12345678.50', '1.23e+07', '1.23457e+07', '12345678'],
  [1e21, '1000000000000000000000', '1000000000000000000000.00', '1e+21', '1e+21', '1e+21'],
  [2 ** 70, '1180591620717411303424', '1180591620717411303424.00', '1.18e+21', '1.18059e+21', '1.1805916e+21'],
  [0.0001, '0', '0.00', '0.0001', '0.0001', '0.0001'],
  [0.00001234, '0', '0.00', '1.23e-05', '1.234e-05', '1.234e-05'],
  [-0.00015, '-0', '-0.00', '-0.00015', '-0.00015', '-0.00015'],
  [5e-324, '0', '0.00', '4.94e-324', '4.94066e-324', '4.9406565e-324'],
  [Infinity, 'inf', 'inf', 'inf', 'inf', 'inf'],
  [-Infinity, '-inf', '-inf', '-inf', '-inf', '-inf'],
  [Number.NaN, 'nan', 'nan', 'nan', 'nan', 'nan'],
];

test('numbers are written as printf writes them', () => {
  for (const [value, ...texts] of rows) {
    const written = [
      formatFixed(value, 0),
      formatFixed(value, 2),
      formatGeneral(value, 3),
      formatGeneral(value, 6),
      formatGeneral(value, 8),
    ];
    assert.deepEqual(written, texts, String(value));
  }
});

/** `numerator / 2 ** shift` with so many decimals, a half to the even side, in whole numbers alone. */
function exactly(numerator: bigint, shift: number, digits: number): string {
  const scaled = (numerator < 0n ? -numerator : numerator) * 10n ** BigInt(digits);
  const unit = 1n << BigInt(shift);
  const [quotient, twice] = [scaled / unit, (scaled % unit) * 2n];
  const isUp = twice > unit || (twice === unit && quotient % 2n === 1n);
  const text = String(quotient + (isUp ? 1n : 0n)).padStart(digits + 1, '0');
  const point = text.length - digits;
  return `${numerator < 0n ? '-' : ''}${text.slice(0, point)}${digits ? `.${text.slice(point)}` : ''}`;
}

test('decimals are those of the exact value, and a half goes to the even side', () => {
  fc.assert(
    // Few places behind the binary point make halves frequent.
    fc.property(fc.integer(), fc.nat(12), fc.nat(12), (numerator, shift, digits) => {
      assert.equal(formatFixed(numerator / 2 ** shift, digits), exactly(BigInt(numerator), shift, digits));
    }),
    { numRuns: 2000 },
  );
});

test('seventeen significant digits are read back as the same number', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      assert.ok(Object.is(Number(formatGeneral(value, 17)), value), String(value));
    }),
  );
});
