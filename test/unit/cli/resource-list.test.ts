// Resources as the scheduler sees them: states, queues, lines put together, and R as text.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OutputFormat } from '../../../cli/output-format.ts';
import {
  encodeSpaced,
  includedRanks,
  readResourceSet,
  SchedResources,
  type SchedState,
} from '../../../cli/resource-inventory.ts';
import { type LineOptions, listFields, resourceLines } from '../../../cli/resource-list-lines.ts';
import { parseStates } from '../../../cli/resource-options.ts';
import { Queues } from '../../../cli/resource-queues.ts';
import { Hostlist } from '../../../core/formats/hostlist.ts';
import { IdSet } from '../../../core/formats/idset.ts';
import type { JsonObject } from '../../../core/json.ts';

function R(ranks: string, hosts: string, more: JsonObject = {}): JsonObject {
  const R_lite = ranks ? [{ rank: ranks, children: { core: '0-1' } }] : [];
  return { version: 1, execution: { R_lite, starttime: 0, expiration: 0, nodelist: [hosts], ...more } };
}

const properties = { debug: '0-1', big: '2-3', batch: '2-3' };
const answer = { all: R('0-3', 'fake[0-3]', { properties }), down: R('1', 'fake1'), allocated: R('', '') };
const config = {
  queues: { debug: { requires: ['debug'] }, batch: { requires: ['batch'] }, night: { parent: 'batch' }, any: {} },
};

function table(format: string, options: Partial<LineOptions> = {}, from: JsonObject = answer): string[] {
  const output = new OutputFormat(format, listFields);
  const states: SchedState[] = ['free', 'allocated', 'down'];
  const { fieldNames } = output;
  const lines = resourceLines(SchedResources.read(from), { states, fieldNames, queues: [], ...options });
  return output.lines(lines, { header: false });
}

test('states come of three sets', () => {
  const resources = SchedResources.read(answer);
  const ranks = (['all', 'down', 'allocated', 'up', 'free'] as const).map((state) => resources[state].ranks.encode());
  assert.deepEqual(ranks, ['0-3', '1', '', '0,2-3', '0,2-3']);
  const some = resources.select(IdSet.parse('1-2,9'));
  assert.deepEqual([some.all.ranks.encode(), some.free.ranks.encode()], ['1-2', '2']);
});

test('a part of a node may be allocated', () => {
  const part = { version: 1, execution: { R_lite: [{ rank: '0', children: { core: '1' } }], nodelist: ['a'] } };
  const lines = table('{state} {ncores} {rlist}', {}, { all: R('0', 'a'), allocated: part, down: null });
  assert.deepEqual(lines, ['free 1 rank0/core0', 'allocated 1 rank0/core1', 'down 0 ']);
});

test('answers that are none are refused', () => {
  assert.throws(() => SchedResources.read([]), /not a JSON object/);
  assert.throws(() => SchedResources.read({ all: { version: 2, execution: { R_lite: [] } } }), /version=2/);
  assert.equal(SchedResources.read({}).free.nodes.length, 0, 'what is missing is empty');
});

test('lines are put together that the columns do not tell apart', () => {
  assert.deepEqual(table('{nnodes}'), ['4'], 'counts do not');
  assert.deepEqual(table('{nnodes} Nodes, {ncores} Cores'), ['4 Nodes, 8 Cores']);
  assert.deepEqual(table('{state} {ranks}'), ['free 0,2-3', 'allocated ', 'down 1']);
  assert.deepEqual(table('{state} {properties} {ranks}'), [
    'free debug 0',
    'free big,batch 2-3',
    'allocated  ',
    'down  1',
  ]);
  assert.deepEqual(table('{state} {nodelist}', { states: ['down', 'all'] }), ['down fake1', 'all fake[0-3]']);
});

test('queues are shown by the properties that they require', () => {
  const { all: queues } = Queues.read(config);
  const line = (options: Partial<LineOptions>) =>
    table('{queue}:{propertiesx}:{ranks}', { queues, states: ['all'], ...options });
  assert.deepEqual(line({}), ['debug,any::0-1', 'batch,any:big:2-3']);
  assert.deepEqual(line({ hidden: ['any'] }), ['debug::0-1', 'batch:big:2-3']);
  assert.deepEqual(line({ wanted: ['night', 'any'], hidden: ['any'] }), ['any::0-1', 'night,any:big:2-3']);
  assert.deepEqual(line({ states: ['allocated'] }), ['debug::', 'batch::', 'any::'], 'each queue has an empty line');
});

test('queues have ranks', () => {
  const queues = Queues.read(config);
  const { all } = SchedResources.read(answer);
  assert.equal(queues.ranksOf(['batch'], all).encode(), '2-3');
  assert.equal(queues.ranksOf(['night', 'debug'], all).encode(), '0-3');
  assert.throws(() => queues.ranksOf(['nosuch'], all), /nosuch: no such queue/);
  assert.throws(() => Queues.read(undefined).ranksOf(['batch'], all), /no such queue/);
  assert.throws(() => Queues.read({ queues: { a: { parent: 'b' } } }), /parent queue 'b' is not configured/);
});

test('targets are ranks or hosts, and what there is not is passed over', () => {
  const set = readResourceSet(R('4-6', 'a,a,b'));
  const rows: [string, string][] = [
    ['0,4-5', '0,4-5'],
    ['a', '4'],
    ['b,nosuch', '6'],
    ['a,a', '4'],
    ['', ''],
  ];
  for (const [targets, ranks] of rows) assert.equal(includedRanks(targets, set).encode(), ranks, targets);
  assert.throws(() => includedRanks('a[', set), /neither an idset nor a hostlist/);
});

test('hosts without a name are called by their rank', () => {
  const { execution, version } = R('0-1', '') as { execution: JsonObject; version: number };
  const { nodelist: _, ...rest } = execution;
  const unnamed = { version, execution: rest };
  assert.deepEqual(table('{state} {nodelist}', { states: ['all'] }, { all: unnamed }), ['all rank[0-1]']);
  assert.equal(encodeSpaced(readResourceSet(unnamed)).includes('nodelist'), false);
});

test('R has blanks, and properties by name', () => {
  assert.equal(
    encodeSpaced(SchedResources.read(answer).all),
    '{"version": 1, "execution": {"R_lite": [{"rank": "0-3", "children": {"core": "0-1"}}], "starttime": 0.0, ' +
      '"expiration": 0.0, "nodelist": ["fake[0-3]"], "properties": {"batch": "2-3", "big": "2-3", "debug": "0-1"}}}',
  );
  assert.equal(
    encodeSpaced(readResourceSet(undefined)),
    '{"version": 1, "execution": {"R_lite": [], "starttime": 0.0, "expiration": 0.0, "nodelist": [""]}}',
  );
  const commas = readResourceSet({
    version: 1,
    execution: {
      R_lite: [{ rank: '0,2', children: { core: '0,2', gpu: '1' } }],
      nodelist: [Hostlist.parse('a,b').encode()],
    },
  });
  assert.match(encodeSpaced(commas), /"rank": "0,2", "children": {"core": "0,2", "gpu": "1"}.*"nodelist": \["a,b"\]/);
});

test('lists of states', () => {
  assert.deepEqual(parseStates('up,all', ['all', 'up']), ['up', 'all']);
  for (const text of ['', 'nosuch', 'up,', 'Up'])
    assert.throws(() => parseStates(text, ['up']), /is not a state/, text);
});
