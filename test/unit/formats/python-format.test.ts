// Python's format strings against what Python itself makes of values and specifications, and Flux's additions.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type FieldValue,
  formatValue,
  NamedInteger,
  parseFormat,
  parseFormatSpec,
  reprOf,
  textOf,
} from '../../../core/formats/python-format.ts';
import { Real } from '../../../core/json.ts';

const format = (value: FieldValue, spec: string): string => formatValue(value, parseFormatSpec(spec));
const real = (value: number): Real => new Real(value);

test('values are written as Python writes them', () => {
  const rows: [FieldValue, string, string][] = [
    ['abc', '', 'abc'],
    ['abc', '>5', '  abc'],
    ['abc', '<5', 'abc  '],
    ['abc', '^6', ' abc  '],
    ['abc', '*^6', '*abc**'],
    ['abc', '.2', 'ab'],
    ['abc', '5.2s', 'ab   '],
    ['abc', '08', 'abc00000'],
    ['täst', '>6', '  täst'],
    [42, '', '42'],
    [42, '5', '   42'],
    [42, '<5', '42   '],
    [42, '05', '00042'],
    [-42, '05', '-0042'],
    [-42, '=6', '-   42'],
    [42, '+', '+42'],
    [42, ' d', ' 42'],
    [255, 'x', 'ff'],
    [255, '#X', '0XFF'],
    [5, '#b', '0b101'],
    [8, 'o', '10'],
    [65, 'c', 'A'],
    [1234567, ',', '1,234,567'],
    [1234567, '_d', '1_234_567'],
    [3, '.2f', '3.00'],
    [2n ** 60n, ',', '1,152,921,504,606,846,976'],
    [true, '', 'True'],
    [true, 'd', '1'],
    [true, '>3', '  1'],
    [undefined, '', ''],
    [undefined, '>3d', '   '],
    [undefined, 'h', '-'],
    [new NamedInteger(7n, () => 'seven'), '', 'seven'],
    [new NamedInteger(7n, () => 'seven'), '>3', '  7'],
    [new NamedInteger(7n, () => 'seven'), '>6h', ' seven'],
    [new NamedInteger(7n, () => 'seven'), '.2h', 'se'],
    [0.00001, '', '1e-05'],
    [0.0001, '', '0.0001'],
    ['😀b', '>4', '  😀b'],
    ['😀bc', '.2+', '😀+'],
    [real(2), '', '2.0'],
    [0.5, '', '0.5'],
    [0.125, '.2f', '0.12'],
    [2.675, '8.1f', '     2.7'],
    [0.25, '%', '25.000000%'],
    [0.25, '.0%', '25%'],
    [123456.789, '.3e', '1.235e+05'],
    [123456.789, 'G', '123457'],
    [1e-7, '', '1e-07'],
    [real(1e16), '', '1e+16'],
    [real(1e22), 'g', '1e+22'],
    [1234.5, ',.2f', '1,234.50'],
  ];
  for (const [value, spec, expected] of rows) assert.equal(format(value, spec), expected, `${value}:${spec}`);
});

test('h writes a hyphen for what is empty, + marks what was cut', () => {
  const rows: [FieldValue, string, string][] = [
    ['', '>3h', '  -'],
    ['0s', 'h', '-'],
    ['0:00:00', '<4h', '-   '],
    [real(0), 'h', '-'],
    [7, '>3h', '  7'],
    ['abcdef', '.4+', 'abc+'],
    ['abc', '.4+', 'abc'],
    ['', '.4h+', '-'],
  ];
  for (const [value, spec, expected] of rows) assert.equal(format(value, spec), expected, `${value}:${spec}`);
});

test('formats are split at their fields', () => {
  assert.deepEqual(parseFormat('a{b!F:>8h} {{c}} {d}'), [
    { text: 'a', field: 'b', conversion: 'F', spec: '>8h' },
    { text: ' {c} ', field: 'd', conversion: '', spec: '' },
  ]);
  assert.deepEqual(parseFormat('{t!d:%H:%M::>20}'), [{ text: '', field: 't', conversion: 'd', spec: '%H:%M::>20' }]);
  assert.deepEqual(parseFormat('text'), [{ text: 'text', field: undefined, conversion: '', spec: '' }]);
  for (const wrong of ['{a', 'a}', '{a{b}}', '{a!FF}'])
    assert.throws(() => parseFormat(wrong), { code: 'EINVAL' }, wrong);
});

test('what does not go together is refused', () => {
  for (const spec of ['zz', '1.', '>>>', '5q']) assert.throws(() => parseFormatSpec(spec), { code: 'EINVAL' }, spec);
  assert.throws(() => format('abc', 'd'), /not for text/);
  assert.throws(() => format(0.5, 'd'), /not for numbers such as 0.5/);
  assert.throws(() => format(5, 's'), /not for integers/);
  assert.equal(textOf(Number.POSITIVE_INFINITY), 'inf');
});

test('texts are quoted as Python quotes them', () => {
  const rows: [FieldValue, string][] = [
    ['a', "'a'"],
    ["it's", '"it\'s"'],
    ['"it\'s"', "'\"it\\'s\"'"],
    ['a\n\\', "'a\\n\\\\'"],
    [true, 'True'],
    [real(1), '1.0'],
    [undefined, ''],
  ];
  for (const [value, expected] of rows) assert.equal(reprOf(value), expected);
});
