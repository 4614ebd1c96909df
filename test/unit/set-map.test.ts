// Sets by key, against sets by key that are one each.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SetMap } from '../../core/set-map.ts';

test('after any course of additions and removals a key has the values that were not taken out', () => {
  const values = [{ n: 0 }, { n: 1 }, { n: 2 }];
  const step = fc.record({
    how: fc.constantFrom('add', 'delete', 'take'),
    key: fc.constantFrom('a', 'b'),
    value: fc.constantFrom(...values),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const map = new SetMap<string, { n: number }>();
      const model = { a: new Set<{ n: number }>(), b: new Set<{ n: number }>() };
      for (const { how, key, value } of steps) {
        const set = model[key as 'a' | 'b'];
        if (how === 'take') {
          assert.deepEqual(map.take(key), [...set]);
          set.clear();
        } else {
          map[how as 'add' | 'delete'](key, value);
          set[how as 'add' | 'delete'](value);
        }
        assert.deepEqual([map.of('a'), map.of('b'), map.of('c')], [[...model.a], [...model.b], []]);
      }
      assert.deepEqual(new Set(map.values()), new Set([...model.a, ...model.b]));
    }),
  );
});
