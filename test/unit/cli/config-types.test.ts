// Configuration values by type and by path: what is shown of a value, what a text becomes, and what is refused.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatValue, type GetType, parseValue, type SetType } from '../../../cli/config-types.ts';
import { valueAt, withValueAt } from '../../../core/broker/config-path.ts';
import { type JsonValue, Real } from '../../../core/json.ts';

test('a value shows as the type wanted, or not at all', () => {
  const rows: readonly (readonly [value: JsonValue, type: GetType, shown: string | undefined])[] = [
    ['meep', 'string', 'meep'],
    ['meep', 'any', 'meep'],
    ['meep', 'integer', undefined],
    ['meep', 'fsd', undefined],
    [42, 'integer', '42'],
    [42, 'string', undefined],
    [42, 'real', undefined],
    [42, 'fsd-integer', undefined],
    [9007199254740993n, 'integer', '9007199254740993'],
    [new Real(2), 'integer', undefined],
    [new Real(2), 'real', '2.0'],
    [3.5, 'real', '3.5'],
    [false, 'boolean', 'false'],
    [0, 'boolean', undefined],
    [['a', 1], 'array', '["a",1]'],
    [['a', 1], 'object', undefined],
    [{ a: true }, 'object', '{"a":true}'],
    [{ a: true }, 'array', undefined],
    ['90m', 'fsd', '90m'],
    ['90m', 'fsd-integer', '5400'],
    ['1.5s', 'fsd-integer', '1'],
    ['1.5s', 'fsd-real', '1.500000'],
    ['inf', 'fsd-real', 'inf'],
    ['5q', 'fsd-real', undefined],
  ];
  for (const [value, type, shown] of rows) assert.equal(formatValue(value, type), shown, `${value} as ${type}`);
});

test('a text becomes a value of its type, or is refused', () => {
  const rows: readonly (readonly [text: string, type: SetType, value: JsonValue | undefined])[] = [
    ['x', 'string', 'x'],
    ['"x"', 'string', 'x'],
    ['"x', 'string', undefined],
    ['', 'string', ''],
    ['42', 'integer', 42],
    ['-0x10', 'integer', -16],
    ['9223372036854775807', 'integer', 9223372036854775807n],
    ['9223372036854775808', 'integer', undefined],
    ['1.0', 'integer', undefined],
    ['', 'integer', undefined],
    ['2', 'real', new Real(2)],
    ['-1e-3', 'real', -0.001],
    ['', 'real', undefined],
    ['one', 'real', undefined],
    ['false', 'boolean', false],
    ['F', 'boolean', false],
    ['0', 'boolean', false],
    ['', 'boolean', false],
    ['true', 'boolean', true],
    ['1', 'boolean', true],
    ['{"a":1}', 'object', { a: 1 }],
    ['[]', 'object', undefined],
    ['[1]', 'array', [1]],
    ['[1', 'array', undefined],
    ['5m', 'fsd', '5m'],
    ['5q', 'fsd', undefined],
  ];
  for (const [text, type, value] of rows) {
    if (value === undefined) assert.throws(() => parseValue(text, type), { code: 'EINVAL' }, `'${text}' as ${type}`);
    else assert.deepEqual(parseValue(text, type), value, `'${text}' as ${type}`);
  }
});

test('paths lead to values', () => {
  const config = { a: { b: { c: 1 } }, d: 2 };
  assert.equal(valueAt(config, 'a.b.c'), 1);
  assert.equal(valueAt(config, 'd.e'), undefined);
  assert.equal(valueAt(config, 'constructor'), undefined);
  assert.deepEqual(withValueAt(config, 'a.x.y', 3), { a: { b: { c: 1 }, x: { y: 3 } }, d: 2 });
  assert.deepEqual(withValueAt(config, 'a.b', undefined), { a: {}, d: 2 });
  assert.deepEqual(withValueAt(config, 'x.y', undefined), config);
  for (const path of ['', '.a', 'a.', 'a..b']) assert.throws(() => valueAt(config, path), { code: 'EINVAL' }, path);
  assert.throws(() => withValueAt(config, 'd.e', 1), { code: 'EINVAL' });
});
