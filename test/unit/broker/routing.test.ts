// The next hop from every rank of many trees, to every nodeid, against a search for the way through the tree as a graph;
// then whole journeys, which must end where they should.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type NextHop, nextHop } from '../../../core/broker/routing.ts';
import { NODEID_ANY } from '../../../core/message/message.ts';
import { Topology } from '../../../core/overlay/topology.ts';

const tree = Topology.create('kary:2', 7);

for (const [what, rank, nodeid, upstream, hasService, expected] of [
  ['any, with the service', 3, NODEID_ANY, false, true, { to: 'service' }],
  ['any, without it', 3, NODEID_ANY, false, false, { to: 'parent' }],
  ['any, without it at the root', 0, NODEID_ANY, false, false, { to: 'nobody', error: 'ENOSYS' }],
  ['a rank, there, with the service', 4, 4, false, true, { to: 'service' }],
  ['a rank, there, without it', 4, 4, false, false, { to: 'nobody', error: 'ENOSYS' }],
  ['rank 0 from below', 5, 0, false, true, { to: 'parent' }],
  ['a child', 0, 2, false, true, { to: 'child', rank: 2 }],
  ['a grandchild', 0, 5, false, false, { to: 'child', rank: 2 }],
  ['a rank in another branch', 3, 6, false, true, { to: 'parent' }],
  ['a sibling', 1, 2, false, true, { to: 'parent' }],
  ['the size of the instance', 3, 7, false, true, { to: 'nobody', error: 'EHOSTUNREACH' }],
  ['far beyond the size', 0, 4_000_000, false, true, { to: 'nobody', error: 'EHOSTUNREACH' }],
  ['upstream, from here, with the service', 3, 3, true, true, { to: 'parent' }],
  ['upstream, from here, at the root', 0, 0, true, true, { to: 'nobody', error: 'EHOSTUNREACH' }],
  ['upstream, from below, with the service', 1, 3, true, true, { to: 'service' }],
  ['upstream, from below, without it', 1, 3, true, false, { to: 'parent' }],
  ['upstream, from below, without it at the root', 0, 3, true, false, { to: 'nobody', error: 'ENOSYS' }],
] as [string, number, number, boolean, boolean, NextHop][]) {
  test(`${what}: ${JSON.stringify(expected)}`, () =>
    assert.deepEqual(nextHop(tree, rank, nodeid, upstream, hasService), expected));
}

const topologies = fc
  .record({
    shape: fc.constantFrom('kary:0', 'kary:1', 'kary:2', 'kary:3', 'mincrit:2', 'binomial'),
    size: fc.integer({ min: 1, max: 24 }),
  })
  .map(({ shape, size }) => Topology.create(shape, size));

/** The neighbour of `from` on the way to `to`, found by searching the tree from its far end. */
function neighbourToward(topology: Topology, from: number, to: number): number {
  const next = new Map([[to, to]]);
  const queue = [to];
  for (let rank = queue.shift(); rank !== undefined && !next.has(from); rank = queue.shift()) {
    const parent = topology.parent(rank);
    for (const neighbour of [...topology.children(rank), ...(parent === undefined ? [] : [parent])]) {
      if (next.has(neighbour)) continue;
      next.set(neighbour, rank);
      queue.push(neighbour);
    }
  }
  return next.get(from)!;
}

test('from every rank the next hop to every other is the neighbour on the only way there', () => {
  fc.assert(
    fc.property(topologies, (topology) => {
      for (let rank = 0; rank < topology.size; rank++) {
        for (let target = 0; target < topology.size; target++) {
          if (rank === target) continue;
          const hop = nextHop(topology, rank, target, false, true);
          const reached = hop.to === 'child' ? hop.rank : hop.to === 'parent' ? topology.parent(rank) : undefined;
          assert.equal(reached, neighbourToward(topology, rank, target), `from ${rank} to ${target}`);
        }
      }
    }),
    { numRuns: 40 },
  );
});

test('a request for any rank ends at the first one with the service on the way to the root, or there', () => {
  const scenario = topologies.chain((topology) =>
    fc.record({
      topology: fc.constant(topology),
      start: fc.nat(topology.size - 1),
      owners: fc.uniqueArray(fc.nat(topology.size - 1)),
      upstream: fc.boolean(),
    }),
  );
  fc.assert(
    fc.property(scenario, ({ topology, start, owners, upstream }) => {
      const ancestors = [start];
      for (let up = topology.parent(start); up !== undefined; up = topology.parent(up)) ancestors.push(up);
      const candidates = upstream ? ancestors.slice(1) : ancestors;
      const expected = candidates.find((rank) => owners.includes(rank));
      let at = start;
      for (let steps = 0; ; steps++) {
        assert.ok(steps <= topology.size, 'the request goes in circles');
        const hop = nextHop(topology, at, upstream ? start : NODEID_ANY, upstream, owners.includes(at));
        if (hop.to === 'parent') {
          at = topology.parent(at)!;
          continue;
        }
        if (hop.to === 'service') assert.equal(at, expected);
        else {
          assert.equal(expected, undefined);
          const error = candidates.length ? 'ENOSYS' : 'EHOSTUNREACH';
          assert.deepEqual(hop, { to: 'nobody', error });
        }
        return;
      }
    }),
    { numRuns: 300 },
  );
});
