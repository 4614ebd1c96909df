import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FluxError } from '../../../core/errno.ts';
import type { JsonObject, JsonValue } from '../../../core/json.ts';
import { layOut, trimmed } from '../../../workers/shell/job-layout.ts';
import { renderMustache } from '../../../workers/shell/mustache.ts';
import { ShellOptions } from '../../../workers/shell/options.ts';
import { describeSize, parseSize } from '../../../workers/shell/output/size.ts';
import { packNames, packNumbers } from '../../../workers/shell/plugins/proctable.ts';

const slot = (count: number, cores = 1): JsonObject => ({
  type: 'slot',
  count,
  label: 'task',
  with: [{ type: 'core', count: cores }],
});
const node = (count: number, inside: JsonObject, more: JsonObject = {}): JsonObject => ({
  type: 'node',
  count,
  with: [inside],
  ...more,
});

function jobspec(resource: JsonObject, count: JsonObject = { per_slot: 1 }): JsonObject {
  return { version: 1, resources: [resource], tasks: [{ command: ['x'], slot: 'task', count }], attributes: {} };
}

function R(entries: Readonly<Record<string, string>>, nslots = 0): JsonObject {
  const R_lite = Object.entries(entries).map(([rank, core]) => ({ rank, children: { core } }));
  return { version: 1, execution: { R_lite, nslots, starttime: 0, expiration: 0 } };
}

const layouts: readonly (readonly [
  what: string,
  jobspec: JsonObject,
  R: JsonObject,
  options: JsonObject,
  map: JsonValue,
  coresPerSlot: number,
])[] = [
  ['a task', jobspec(slot(1)), R({ 3: '0' }), {}, [[0, 1, 1, 1]], 1],
  ['two tasks on a rank', jobspec(slot(2)), R({ 0: '0-1' }), {}, [[0, 1, 2, 1]], 1],
  ['slots of two cores on two ranks', jobspec(slot(4, 2)), R({ '0-1': '0-3' }, 4), {}, [[0, 2, 2, 1]], 2],
  ['nodes with a slot each', jobspec(node(2, slot(1))), R({ '4-5': '0-7' }), {}, [[0, 2, 1, 1]], 8],
  [
    'larger ranks get more',
    jobspec(slot(6)),
    R({ 0: '0-3', 1: '0-1' }),
    {},
    [
      [0, 1, 4, 1],
      [1, 1, 2, 1],
    ],
    1,
  ],
  [
    'tasks that do not divide by nodes',
    jobspec(node(2, slot(2)), { total: 3 }),
    R({ '0-1': '0-1' }),
    {},
    [
      [0, 1, 2, 1],
      [1, 1, 1, 1],
    ],
    1,
  ],
  [
    'a task for each node',
    jobspec(slot(1)),
    R({ '0-2': '0-3' }),
    { 'per-resource': { type: 'node' } },
    [[0, 3, 1, 1]],
    12,
  ],
  [
    'two for each core',
    jobspec(slot(1)),
    R({ '0-1': '0-1' }),
    { 'per-resource': { type: 'core', count: 2 } },
    [[0, 2, 4, 1]],
    4,
  ],
];

for (const [what, spec, resources, options, map, coresPerSlot] of layouts)
  test(`layout: ${what}`, () => {
    const layout = layOut(spec, resources, options);
    assert.deepEqual(layout.taskmap.toJson(), map);
    assert.equal(layout.coresPerSlot, coresPerSlot);
  });

test('layout: a slot too many is not used', () => {
  const layout = layOut(jobspec(node(2, slot(2)), { total: 3 }), R({ '0-1': '0-1' }), {});
  assert.equal(trimmed(layout, layout.nodes[0]!, 2).cores.encode(), '0-1');
  assert.equal(trimmed(layout, layout.nodes[1]!, 1).cores.encode(), '0');
  const exclusive = layOut(jobspec(node(2, slot(2), { exclusive: true }), { total: 3 }), R({ '0-1': '0-1' }), {});
  assert.equal(trimmed(exclusive, exclusive.nodes[1]!, 1).cores.encode(), '0-1');
});

for (const [spec, options, sentence] of [
  [jobspec({ type: 'core', count: 1 }), {}, /Missing slot resource/],
  [jobspec(slot(1), {}), {}, /exactly one key/],
  [jobspec(slot(1), { per_slot: 2 }), {}, /expected 1 got 2/],
  [jobspec(slot(1)), { 'per-resource': { type: 'rack' } }, /unknown type 'rack'/],
  [jobspec(slot(1)), { 'per-resource': { type: 'core', count: 0 } }, /count must be > 0/],
] as const)
  test(`layout: ${sentence}`, () => {
    assert.throws(
      () => layOut(spec, R({ 0: '0' }), options),
      (error) => error instanceof FluxError && sentence.test(error.message),
    );
  });

test('templates', () => {
  const tag = (name: string) => ({ id: 'ƒ1', 'node.id': '0' })[name];
  const table = [
    ['', ''],
    ['out-{{id}}.txt', 'out-ƒ1.txt'],
    ['{{id}}{{node.id}}', 'ƒ10'],
    ['{{nosuch}}-{{id}}', '{{nosuch}}-ƒ1'],
    ['{{id', '{{id'],
    ['}}{{id}}', '}}ƒ1'],
  ] as const;
  const complaints: number[] = [];
  for (const [template, text] of table)
    assert.equal(
      renderMustache(template, tag, (position) => complaints.push(position)),
      text,
    );
  assert.deepEqual(complaints, [2]);
});

test('options by paths; the jobspec stays as it is', () => {
  const table = { output: { stdout: { path: 'x' } }, 'a.b': 1, verbose: 2 };
  const options = new ShellOptions(table);
  assert.equal(options.get('output.stdout.path'), 'x');
  assert.equal(options.get('a.b'), 1);
  assert.equal(options.get('verbose.x'), undefined);
  options.set('output.stderr.path', 'y');
  assert.deepEqual(options.get('output'), { stdout: { path: 'x' }, stderr: { path: 'y' } });
  assert.deepEqual(table.output, { stdout: { path: 'x' } });
});

test('sizes', () => {
  for (const [text, bytes] of [
    ['10M', 10 << 20],
    ['1.5k', 1536],
    ['7', 7],
    ['lots', undefined],
    ['-1', undefined],
    ['1Q', undefined],
  ] as const)
    assert.equal(parseSize(text), bytes, text);
  for (const [bytes, text] of [
    [0, '0'],
    [1023, '1023'],
    [1024, '1K'],
    [10 << 20, '10M'],
    [1536, '1.5K'],
  ] as const)
    assert.equal(describeSize(bytes), text);
});

test('process tables are packed', () => {
  for (const [numbers, packed] of [
    [[], []],
    [[0, 1, 2, 3], [[0, 3]]],
    [
      [0, 0, 1, 1],
      [
        [0, -1],
        [1, -1],
      ],
    ],
    [
      [75, 77, 74, 76],
      [75, 2, -3, 2],
    ],
    [[-1, -1, -1, -1], [[-1, -3]]],
  ] as const)
    assert.deepEqual(packNumbers(numbers), packed);
  for (const [names, packed] of [
    [['sleep'], ['sleep']],
    [['a', 'a'], [['a', [[-1, -1]]]]],
    [
      ['n1', 'n2', 'm0'],
      [['n', [[1, 1]]], 'm0'],
    ],
    [
      ['n01', 'n02'],
      ['n01', 'n02'],
    ],
  ] as const)
    assert.deepEqual(packNames(names), packed);
});
