// How many of a resource a jobspec wants (RFC 14, RFC 45).

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ResourceCount } from '../../../core/formats/resource-count.ts';
import type { JsonValue } from '../../../core/json.ts';
import { throwsCode } from '../../errors.ts';

/** The numbers up to 20 that would do. */
function valuesOf(count: ResourceCount): number[] {
  const values: number[] = [];
  for (let value = count.largestUpTo(20); value > 0; value = count.largestUpTo(value - 1)) values.unshift(value);
  return values;
}

describe('counts', () => {
  const rows: readonly (readonly [count: JsonValue | undefined, values: readonly number[], text: string])[] = [
    [undefined, [1], '1'],
    [4, [4], '4'],
    [4n, [4], '4'],
    [{ min: 2, max: 5 }, [2, 3, 4, 5], '2-5'],
    [{ min: 18 }, [18, 19, 20], '18+'],
    [{ min: 1, max: 20, operator: '+', operand: 6 }, [1, 7, 13, 19], '1,7,13,19'],
    [{ min: 2, max: 64, operator: '*', operand: 2 }, [2, 4, 8, 16], '2,4,8,16,32,64'],
    [{ min: 2, max: 300, operator: '^', operand: 2 }, [2, 4, 16], '2,4,16,256'],
    [{ min: 3, max: 5, operator: '*', operand: 2 }, [3], '3'],
    ['4', [4], '4'],
    ['[2-5]', [2, 3, 4, 5], '2-5'],
    ['19+', [19, 20], '19+'],
    ['2-9:3', [2, 5, 8], '2,5,8'],
    ['2-9:2:*', [2, 4, 8], '2,4,8'],
    ['1,7-9', [1, 7, 8, 9], '1,7-9'],
  ];
  for (const [count, values, text] of rows)
    test(`${JSON.stringify(typeof count === 'bigint' ? `${count}n` : count)}`, () => {
      const parsed = ResourceCount.parse(count);
      assert.deepEqual(valuesOf(parsed), values);
      assert.equal(String(parsed), text);
      assert.equal(parsed.min, values[0]);
    });
});

test('a factor multiplies them all', () => {
  const count = ResourceCount.parse({ min: 1, max: 4, operator: '*', operand: 2 }).scaled(3);
  assert.deepEqual([count.min, count.max, valuesOf(count)], [3, 12, [3, 6, 12]]);
  assert.equal(ResourceCount.parse('2+').scaled(2).max, Infinity);
});

describe('what is no count', () => {
  const rows: readonly (readonly [count: JsonValue, text: RegExp])[] = [
    [0, /0 is below 1/],
    [1.5, /not an integer/],
    [null, /null is no count/],
    [[1], /is no count/],
    [{}, /not an integer/],
    [{ min: 3, max: 2 }, /max 2 is below min 3/],
    [{ min: 1, max: 8, operator: '-', operand: 1 }, /operator "-" is not supported/],
    [{ min: 1, max: 8, operator: '+', operand: 0 }, /at least 1/],
    [{ min: 1, max: 8, operator: '*', operand: 1 }, /at least 2/],
    [{ min: 1, max: 8, operator: '^', operand: 2 }, /min of at least 2/],
    [{ min: 1, operator: '*', operand: 2 }, /without max/],
    [{ min: 1, max: 1e9, operator: '+', operand: 2 }, /more than 65536 numbers/],
    ['', /no count/],
    ['0-3', /0 is below 1/],
    ['0,3', /0 is below 1/],
    ['x', /range 'x'/],
  ];
  for (const [count, text] of rows)
    test(JSON.stringify(count), () => throwsCode(() => ResourceCount.parse(count), 'EINVAL', text));
});
