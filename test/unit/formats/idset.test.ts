// Idsets against the recorded vectors, and their algebra against JavaScript's own Set.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FluxError } from '../../../core/errno.ts';
import { ID_MAX, IdSet } from '../../../core/formats/idset.ts';
import { cpuSeconds } from '../../cpu-time.ts';
import { golden } from '../../golden.ts';

interface Vectors {
  readonly decode: readonly {
    readonly in: string;
    readonly error?: string;
    readonly count: number;
    readonly encoded: string;
    readonly first: number | null;
    readonly last: number | null;
    readonly expand?: readonly number[];
    readonly range_brackets: string;
    readonly flat: string | null;
    readonly range: string;
    readonly flat_brackets: string | null;
  }[];
  readonly encode: readonly { readonly ids: readonly number[]; readonly encoded?: string }[];
  readonly ops: readonly {
    readonly a: string;
    readonly b: string;
    readonly union: string;
    readonly intersect: string;
    readonly difference: string;
    readonly equal: boolean;
  }[];
}

const vectors = golden<Vectors>('vectors/idset.json');

const isEinval = (error: unknown) => error instanceof FluxError && error.code === 'EINVAL' && !!error.detail;

test('decode vectors', async (t) => {
  for (const row of vectors.decode) {
    await t.test(JSON.stringify(row.in), () => {
      if (row.error) {
        assert.throws(() => IdSet.parse(row.in), isEinval);
        return;
      }
      const set = IdSet.parse(row.in);
      assert.equal(set.count, row.count);
      assert.equal(set.first ?? null, row.first);
      assert.equal(set.last ?? null, row.last);
      assert.equal(set.toString(), row.encoded);
      assert.equal(set.encode(), row.range);
      assert.equal(set.encode({ brackets: true }), row.range_brackets);
      if (row.flat !== null) assert.equal(set.encode({ ranges: false }), row.flat);
      if (row.flat_brackets !== null) assert.equal(set.encode({ ranges: false, brackets: true }), row.flat_brackets);
      if (row.expand) assert.deepEqual([...set], row.expand);
    });
  }
});

test('encode vectors', () => {
  for (const { ids, encoded } of vectors.encode) {
    if (encoded === undefined) assert.throws(() => IdSet.from(ids), isEinval);
    else assert.equal(IdSet.from(ids).encode(), encoded);
  }
});

test('set operation vectors', () => {
  for (const row of vectors.ops) {
    const a = IdSet.parse(row.a);
    const b = IdSet.parse(row.b);
    assert.equal(a.union(b).encode(), row.union);
    assert.equal(a.intersect(b).encode(), row.intersect);
    assert.equal(a.difference(b).encode(), row.difference);
    assert.equal(a.equals(b), row.equal);
  }
});

test('errors name the part that is wrong', () => {
  const rows: [string, string][] = [
    ['0-2,x,9', "error parsing range 'x'"],
    ['3,1', "range '1' is out of order"],
    ['[0-2', 'mismatched or nested brackets'],
    ['1,2147483648', "error appending '2147483648': set universe size would exceed maximum"],
  ];
  for (const [text, detail] of rows) assert.throws(() => IdSet.parse(text), { detail });
  assert.equal(IdSet.parse(`${ID_MAX}`).last, ID_MAX);
});

test('what is no id is refused', () => {
  for (const id of [-1, 0.5, NaN, Infinity, ID_MAX + 1]) {
    assert.throws(() => IdSet.empty.add(id), isEinval);
    assert.throws(() => IdSet.from([id]), isEinval);
  }
  assert.throws(() => IdSet.range(3, 2), isEinval);
});

const ids = fc.array(fc.nat(60), { maxLength: 40 });

test('algebra agrees with Set', () => {
  fc.assert(
    fc.property(ids, ids, (x, y) => {
      const a = new Set(x);
      const b = new Set(y);
      const expected = (keep: (id: number) => boolean) => [...new Set([...x, ...y])].filter(keep).sort((p, q) => p - q);
      const [left, right] = [IdSet.from(x), IdSet.from(y)];
      assert.deepEqual(
        [...left.union(right)],
        expected(() => true),
      );
      assert.deepEqual(
        [...left.intersect(right)],
        expected((id) => a.has(id) && b.has(id)),
      );
      assert.deepEqual(
        [...left.difference(right)],
        expected((id) => a.has(id) && !b.has(id)),
      );
      assert.equal(
        left.intersects(right),
        x.some((id) => b.has(id)),
      );
      assert.equal(left.equals(right), a.size === b.size && x.every((id) => b.has(id)));
      assert.equal(left.count, a.size);
    }),
  );
});

test('adding, removing and looking up agree with Set', () => {
  const step = fc.record({ first: fc.nat(60), length: fc.nat(6), add: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40, size: 'max' }), (steps) => {
      const model = new Set<number>();
      let set = IdSet.empty;
      for (const { first, length, add } of steps) {
        const last = first + length;
        for (let id = first; id <= last; id++) add ? model.add(id) : model.delete(id);
        if (length) set = add ? set.addRange(first, last) : set.removeRange(first, last);
        else set = add ? set.add(first) : set.remove(first);
      }
      const sorted = [...model].sort((p, q) => p - q);
      assert.deepEqual([...set], sorted);
      assert.equal(set.first, sorted[0]);
      assert.equal(set.last, sorted.at(-1));
      for (let id = 0; id < 70; id++) {
        assert.equal(set.has(id), model.has(id));
        assert.equal(
          set.next(id),
          sorted.find((other) => other > id),
        );
        assert.equal(
          set.previous(id),
          sorted.findLast((other) => other < id),
        );
      }
    }),
  );
});

test('every style reads back as the same set', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(ID_MAX)), fc.boolean(), fc.boolean(), (x, ranges, brackets) => {
      const set = IdSet.from(x);
      assert.ok(IdSet.parse(set.encode({ ranges, brackets })).equals(set));
    }),
  );
});

test('any text is a set or EINVAL', () => {
  const scraps = fc.string({ unit: fc.constantFrom(...'0123456789,-[] ax٣') });
  fc.assert(
    fc.property(fc.oneof(scraps, fc.string({ unit: 'binary' })), (text) => {
      try {
        IdSet.parse(text);
      } catch (error) {
        assert.ok(isEinval(error), String(error));
      }
    }),
  );
});

test('a set of 16384 scattered ids is built and searched at once', () => {
  const scattered = Array.from({ length: 16384 }, (_, index) => ((index * 7919) % 16384) * 3);
  const seconds = cpuSeconds(() => {
    let set = IdSet.empty;
    for (const id of scattered) set = set.add(id);
    for (const id of scattered) assert.ok(set.has(id) && !set.has(id + 1));
    assert.ok(IdSet.parse(set.encode()).equals(set));
  });
  assert.ok(seconds < 4, `${seconds} s`);
});
