// Each shape as a table, every answer against a slow reading of the same parents, bad values refused.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { FluxError } from '../../../core/errno.ts';
import { type CustomHost, Topology } from '../../../core/overlay/topology.ts';

const parents = (topology: Topology) => Array.from({ length: topology.size }, (_, rank) => topology.parent(rank) ?? -1);

for (const [uri, size, expected] of [
  ['kary:2', 7, [-1, 0, 0, 1, 1, 2, 2]],
  ['kary:1', 4, [-1, 0, 1, 2]],
  ['kary:0', 4, [-1, 0, 0, 0]],
  ['kary:32', 1, [-1]],
  ['mincrit:2', 7, [-1, 0, 0, 1, 2, 1, 2]],
  ['mincrit', 5, [-1, 0, 0, 0, 0]],
  ['mincrit:', 3, [-1, 0, 0]],
  ['binomial', 8, [-1, 0, 0, 1, 0, 1, 2, 3]],
  ['binomial', 5, [-1, 0, 0, 1, 0]],
] as [string, number, number[]][]) {
  test(`${uri} of ${size}`, () => assert.deepEqual(parents(Topology.create(uri, size)), expected));
}

test('mincrit chooses the fewest routers that keep the fanout at 1024', () => {
  for (const [size, routers] of [
    [1025, 1],
    [1026, 3],
    [2051, 3],
    [2052, 4],
    [16384, 17],
  ] as const)
    assert.equal(Topology.create('mincrit', size).routers().length, routers, `size ${size}`);
});

const hosts = (...entries: [string, string?][]): CustomHost[] => entries.map(([host, parent]) => ({ host, parent }));

test('custom follows the hosts of the configuration', () => {
  const topology = Topology.create('custom', 4, { hosts: hosts(['a'], ['b'], ['c', 'd'], ['d', 'b']) });
  assert.deepEqual(parents(topology), [-1, 0, 3, 1]);
  assert.deepEqual(
    [0, 1, 2, 3].map((rank) => topology.level(rank)),
    [0, 1, 3, 2],
  );
  assert.deepEqual(topology.subtree(1), [1, 3, 2]);
});

for (const [uri, entries, text] of [
  ['ring', [], /unknown topology scheme 'ring'/],
  ['kary', [], /k value/],
  ['kary:x', [], /k value/],
  ['kary:-1', [], /k value/],
  ['kary:', [], /k value/],
  ['mincrit:two', [], /k value/],
  ['binomial:2', [], /takes no '2'/],
  ['custom:x', [], /takes no 'x'/],
  ['custom', hosts(['a', 'b'], ['b']), /rank 0 \(a\) may not have a parent/],
  ['custom', hosts(['a'], ['b', 'z']), /parent 'z' of b \(rank 1\) is no host/],
  ['custom', hosts(['a'], ['b', 'c'], ['c', 'b']), /closes a circle/],
  ['custom', hosts(['a'], ['b', 'b']), /closes a circle/],
  ['custom', hosts(['a'], ['b'], ['c'], ['d', 'a']), /4 hosts for 3 ranks/],
] as [string, CustomHost[], RegExp][]) {
  test(`refused: ${uri} ${JSON.stringify(entries)}`, () =>
    assert.throws(
      () => Topology.create(uri, 3, { hosts: entries }),
      (error: FluxError) => error.code === 'EINVAL' && text.test(error.message),
    ));
}

/** Moves a rank where that can be, and is refused where it can't. */
function tryMove(topology: Topology, rank: number, parent: number, up: readonly number[]): boolean {
  let at = parent;
  while (at > 0 && at !== rank) at = up[at] ?? -1;
  const isPossible = rank > 0 && rank < up.length && at === 0;
  if (isPossible) topology.reparent(rank, parent);
  else assert.throws(() => topology.reparent(rank, parent), { code: 'EINVAL' });
  return isPossible;
}

test('levels, children, descendants and ways agree with a slow reading of the parents', () => {
  const shape = fc.oneof(
    fc.integer({ min: 0, max: 6 }).map((k) => `kary:${k}`),
    fc.integer({ min: 1, max: 5 }).map((k) => `mincrit:${k}`),
    fc.constant('binomial'),
  );
  fc.assert(
    fc.property(
      shape,
      fc.integer({ min: 1, max: 70 }),
      fc.array(fc.tuple(fc.nat(70), fc.nat(70))),
      (uri, size, moves) => {
        const topology = Topology.create(uri, size);
        const maxLevel = topology.maxLevel;
        const up = parents(topology);
        for (const [rank, parent] of moves) if (tryMove(topology, rank, parent, up)) up[rank] = parent;
        const ancestors = (rank: number) => {
          const path: number[] = [];
          for (let at = up[rank]!; at >= 0; at = up[at]!) path.push(at);
          return path;
        };
        for (let rank = 0; rank < size; rank++) {
          const below = up.map((_, other) => other).filter((other) => ancestors(other).includes(rank));
          assert.equal(topology.level(rank), ancestors(rank).length);
          assert.deepEqual(
            [...topology.children(rank)],
            up.flatMap((parent, child) => (parent === rank ? [child] : [])),
          );
          assert.equal(topology.descendants(rank), below.length);
          for (let target = -1; target <= size; target++) {
            const way = below.includes(target)
              ? [target, ...ancestors(target)].find((each) => up[each] === rank)
              : undefined;
            assert.equal(topology.childToward(rank, target), way, `${uri} of ${size}: from ${rank} to ${target}`);
          }
        }
        if (!moves.length) assert.equal(maxLevel, Math.max(...up.map((_, rank) => ancestors(rank).length)));
      },
    ),
    { numRuns: 60 },
  );
});
