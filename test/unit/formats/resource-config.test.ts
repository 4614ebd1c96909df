// Resource sets from configuration, and the verification of what a broker found against them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FluxError } from '../../../core/errno.ts';
import { Hostlist } from '../../../core/formats/hostlist.ts';
import { IdSet } from '../../../core/formats/idset.ts';
import { resourceSetFromConfig } from '../../../core/formats/resource-config.ts';
import { resourcesOf } from '../../../core/formats/resource-node.ts';
import { propertiesOf } from '../../../core/formats/resource-properties.ts';
import { ResourceSet } from '../../../core/formats/resource-set.ts';
import { parseVerifyModes, strictly, verifyResources } from '../../../core/formats/resource-verify.ts';

test('hosts get ranks as they appear, and what all tables give them', () => {
  const set = resourceSetFromConfig([
    { hosts: 'b[1-2]', cores: '0-3' },
    { hosts: 'a,b2', gpus: '0', properties: ['gpu', '+batch'] },
    { hosts: 'a', cores: '0' },
  ]);
  assert.equal(set.describe(), 'rank0/core[0-3] rank1/core[0-3],gpu0 rank2/core0,gpu0');
  assert.equal(set.nodelist!.encode(), 'b[1-2],a');
  assert.deepEqual([...propertiesOf(set)].map(([name, ranks]) => `${name}:${ranks}`).sort(), ['+batch:1-2', 'gpu:1-2']);
});

test('errors name the table and what is wrong', () => {
  const rows: [unknown, string][] = [
    [3, 'resource config must be an array'],
    [[], 'no hosts configured'],
    [[1], 'config[0]: Expected object, got integer'],
    [[{ cores: '0' }], 'config[0]: Object item not found: hosts'],
    [[{ hosts: 'a', foo: 1, bar: 2 }], 'config[0]: 2 object item(s) left unpacked: foo, bar'],
    [
      [
        { hosts: 'a', cores: '0' },
        { hosts: 'a', cores: 3 },
      ],
      'config[1]: Expected string, got integer',
    ],
    [[{ hosts: 'a[', cores: '0' }], "config[0]: invalid hostlist 'a['"],
    [[{ hosts: '', cores: '0' }], 'config[0]: empty hostlist specified'],
    [[{ hosts: 'a', cores: 'x' }], "config[0]: invalid idset cores='x'"],
    [[{ hosts: 'a', gpus: 'x' }], "config[0]: invalid idset gpus='x'"],
    [[{ hosts: 'a', cores: '0', properties: 'b' }], 'config[0]: properties must be an array'],
    [[{ hosts: 'a', cores: '0', properties: ['b^'] }], 'config[0]: invalid property ""b^""'],
    [[{ hosts: 'a', cores: '0', properties: [1] }], 'config[0]: invalid property "1"'],
    [
      [
        { hosts: 'a', cores: '0' },
        { hosts: 'a', cores: '0' },
      ],
      'config[1]: core0 is there already',
    ],
    [[{ hosts: 'a[1-3]' }], 'resource.config: a[1-3] assigned no resources'],
  ];
  for (const [config, detail] of rows) {
    assert.throws(() => resourceSetFromConfig(config), { name: 'FluxError', code: 'EINVAL', detail });
  }
});

function rank0(host: string, cores: string, gpus = ''): ResourceSet {
  const ids = [['core', IdSet.parse(cores)] as const, ['gpu', IdSet.parse(gpus)] as const];
  return ResourceSet.uniform(IdSet.parse('0'), Hostlist.parse(host), resourcesOf(ids));
}

test('verification', () => {
  const expected = rank0('a', '0-3', '0-1');
  const rows: [ResourceSet, unknown, string][] = [
    [rank0('a', '0-3', '0-1'), true, 'match'],
    [rank0('b', '0-3', '0-1'), true, "mismatch rank 0 got hostname 'b', expected 'a'"],
    [rank0('b', '0-3', '0-1'), { hostname: 'ignore' }, 'match'],
    [rank0('a', '0-4', '0-1'), undefined, 'extra rank 0 (a) has extra resources: core4'],
    [rank0('a', '0-4', '0-1'), { default: 'allow-extra' }, 'match'],
    [rank0('a', '0-4', '0'), true, 'mismatch rank 0 (a) missing resources: gpu1'],
    [rank0('a', '0-4', '0'), { gpu: 'allow-missing' }, 'extra rank 0 (a) has extra resources: core4'],
    [
      rank0('a', '0-4', '0'),
      { default: 'ignore', core: 'allow-missing' },
      'extra rank 0 (a) has extra resources: core4',
    ],
    [rank0('b', '9'), false, 'match'],
    [ResourceSet.empty, true, 'mismatch Verification supported on single rank only'],
    [
      rank0('a', '0').withNodes([{ ...expected.nodes[0]!, rank: 7 }]),
      true,
      'mismatch rank 7 not found in expected ranks',
    ],
  ];
  for (const [actual, config, outcome] of rows) {
    const { verdict, text } = verifyResources(expected, actual, parseVerifyModes(config));
    assert.equal(`${verdict} ${text}`.trim(), outcome);
  }
  assert.deepEqual(parseVerifyModes({ default: 'strict' }), strictly);
});

test('verification modes that are none', () => {
  const rows: [unknown, string][] = [
    [3, 'verify must be a table or boolean'],
    [{ core: true }, 'verify.core mode must be a string'],
    [{ core: 'lax' }, "verify.core: unknown verify mode 'lax'"],
    [{ ssd: 'strict' }, 'verify: unsupported resource type: ssd'],
  ];
  for (const [config, detail] of rows) {
    assert.throws(
      () => parseVerifyModes(config),
      (error) => error instanceof FluxError && error.code === 'EINVAL' && error.detail === detail,
    );
  }
});
