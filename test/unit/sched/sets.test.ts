// The sets that the scheduler is made of, against plain ones.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BitSet } from '../../../workers/sched/bit-set.ts';
import { OrderedSet } from '../../../workers/sched/ordered-set.ts';
import { SeededRandom } from '../../sim/random.ts';

test('a bit set finds the next number either way', () => {
  const random = new SeededRandom(1);
  for (const bound of [1, 31, 32, 33, 1024, 1025, 40_000]) {
    const set = new BitSet(bound);
    const plain = new Set<number>();
    for (let step = 0; step < 300; step++) {
      const value = random.integer(0, bound - 1);
      if (random.chance(0.6)) {
        set.add(value);
        plain.add(value);
      } else {
        set.delete(value);
        plain.delete(value);
      }
      const from = random.integer(0, bound - 1);
      const sorted = [...plain].sort((a, b) => a - b);
      assert.equal(set.size, plain.size);
      assert.equal(set.has(from), plain.has(from));
      assert.equal(set.next(from), sorted.find((each) => each >= from) ?? -1, `${bound}: next ${from}`);
      assert.equal(set.previous(from), sorted.findLast((each) => each <= from) ?? -1, `${bound}: previous ${from}`);
    }
    assert.equal(set.next(bound), -1);
    assert.equal(set.previous(-1), -1);
  }
});

test('an ordered set is sorted, counts, and finds what is light enough', () => {
  const random = new SeededRandom(2);
  const weigh = (item: number) => (item * 7919) % 101;
  const set = new OrderedSet<number>((a, b) => a - b, weigh);
  let plain: number[] = [];
  for (let step = 0; step < 2000; step++) {
    const item = random.integer(0, 400);
    if (plain.includes(item)) {
      assert.equal(set.delete(item), true);
      plain = plain.filter((each) => each !== item);
    } else {
      assert.equal(set.delete(item), false);
      set.add(item);
      plain.push(item);
    }
    plain.sort((a, b) => a - b);
    const most = random.integer(0, 100);
    assert.equal(set.size, plain.length);
    assert.equal(set.first, plain[0]);
    assert.equal(set.countBefore(item), plain.filter((each) => each < item).length);
    assert.equal(
      set.firstAfter(item, most),
      plain.find((each) => each > item && weigh(each) <= most),
    );
    if (step % 100 === 0) assert.deepEqual([...set], plain);
  }
});

test('an ordered set of many stays low', () => {
  const set = new OrderedSet<number>((a, b) => a - b);
  let compared = 0;
  const counting = new OrderedSet<number>((a, b) => {
    compared++;
    return a - b;
  });
  for (let item = 0; item < 50_000; item++) {
    set.add(item);
    counting.add(item);
  }
  compared = 0;
  for (let item = 0; item < 50_000; item += 100) counting.countBefore(item);
  assert.ok(compared / 500 < 80, `${compared / 500} comparisons to find one of 50,000`);
});
