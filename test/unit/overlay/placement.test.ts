// Which process hosts which rank, and what trees fit that.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkPlacement, nodesOfRanks, parentNodes, usualTopology } from '../../../core/overlay/placement.ts';
import { Topology } from '../../../core/overlay/topology.ts';
import { throwsCode } from '../../errors.ts';

const nodes = (...ranks: string[]) => ranks.map((each) => ({ ranks: each }));

test('each rank has one process', () => {
  assert.deepEqual([...nodesOfRanks(nodes('0-1,4', '2-3'), 5)], [0, 0, 1, 1, 0]);
  throwsCode(() => nodesOfRanks(nodes('0-1', '3'), 4), 'EINVAL', /rank 2 is hosted by no process/);
  throwsCode(() => nodesOfRanks(nodes('0-1', '1-2'), 3), 'EINVAL', /rank 1 is claimed by process 0 and process 1/);
  throwsCode(() => nodesOfRanks(nodes('0-3'), 3), 'EINVAL', /rank 3 is none/);
});

const tree = (uri: string, placement: readonly { ranks: string }[], size: number) =>
  Topology.create(uri, size, { nodeOfRank: nodesOfRanks(placement, size) });

test('procs keeps the ranks of a process together, whatever they are', () => {
  const placement = nodes('0,3,6,9', '1,4,7', '2,5,8');
  const topology = tree('procs:2', placement, 10);
  assert.deepEqual(
    Array.from({ length: 10 }, (_, rank) => topology.parent(rank)),
    [undefined, 0, 0, 0, 1, 2, 0, 1, 2, 3],
  );
  for (const [own, expected] of [[], [0], [0]].entries())
    assert.deepEqual(parentNodes({ own, nodes: placement }, topology), expected);
});

test('many ranks in few processes are a tree of these, unless all can be below rank 0', () => {
  assert.equal(usualTopology(nodes('0-31', '32'), 33), 'kary:32');
  assert.equal(usualTopology(nodes('0-31', '32-33'), 34), 'procs:32');
  assert.equal(usualTopology(nodes('0-33'), 34), 'kary:32');
});

for (const [uri, placement, size, isFit] of [
  ['kary:1', nodes('0,2', '1,3'), 4, false],
  ['kary:2', nodes('0,3', '1,2', '4'), 5, false],
  ['kary:2', nodes('0-1', '2-3', '4'), 5, true],
  ['kary:0', nodes('0,2', '1,3'), 4, true],
  ['procs:1', nodes('0,2', '1,3'), 4, true],
  ['kary:1', nodes('0', '1,3', '2,4'), 5, false],
] as const)
  test(`${uri} ${isFit ? 'fits' : 'does not fit'} ${placement.map(({ ranks }) => ranks).join(' ')}`, () => {
    const check = () => checkPlacement(placement, tree(uri, placement, size));
    if (isFit) check();
    else throwsCode(check, 'EINVAL', /would be above each other; the tree 'procs:32'/);
  });
