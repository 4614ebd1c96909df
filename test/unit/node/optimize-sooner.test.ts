// A flag that V8 does not know would be an error on the terminal of whoever starts an instance.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { optimizerFlag } from '../../../core/node/optimize-sooner.ts';

test('this V8 takes the flag without a word, if it is to have one', () => {
  const flag = optimizerFlag(process.versions.v8);
  const set = `require('node:v8').setFlagsFromString(${JSON.stringify(flag ?? '')})`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', set], { encoding: 'utf8' });
  assert.deepEqual([status, stdout, stderr], [0, '', '']);
});

for (const [version, has] of [
  ['11.3.244.8-node.33', true],
  ['12.4.254.21-node.57', false],
  ['14.6.202.34-node.34', false],
] as const)
  test(`V8 ${version} ${has ? 'has' : 'has no'} budget to set`, () =>
    assert.equal(optimizerFlag(version) !== undefined, has));
