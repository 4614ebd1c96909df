// Keys: the forms of one key are the same key.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { normalizeKey } from '../../../core/formats/kvs-key.ts';

test('keys are made normal as flux-core makes them', () => {
  const rows: readonly (readonly [key: string, normal: string])[] = [
    ['a', 'a'],
    ['a.b.c', 'a.b.c'],
    ['.a', 'a'],
    ['a.', 'a'],
    ['.a.', 'a'],
    ['a..b', 'a.b'],
    ['...a....b...', 'a.b'],
    ['.', '.'],
    ['..', '.'],
    ['.....', '.'],
    ['', ''],
    [' ', ' '],
    ['.é.日本', 'é.日本'],
  ];
  for (const [key, normal] of rows) assert.equal(normalizeKey(key), normal, key);
});

test('a normal key stays what it is and has no empty name', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('.', '.', 'a', 'é') }), (key) => {
      const normal = normalizeKey(key);
      assert.equal(normalizeKey(normal), normal);
      assert.equal(normal.replaceAll('.', ''), key.replaceAll('.', ''));
      if (normal !== '.' && normal !== '') assert.ok(normal.split('.').every((name) => name !== ''));
    }),
  );
});
