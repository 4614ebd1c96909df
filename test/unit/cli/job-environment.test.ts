// Rules for the environment and the limits of jobs.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { jobEnvironment } from '../../../cli/job-environment.ts';
import { jobLimits, ownLimits } from '../../../cli/job-rlimits.ts';

const own = { HOME: '/h', HOST: 'n', PATH: '/bin', __proto__x: '1', GONE: undefined };

test('rules for the environment', () => {
  const rows: readonly (readonly [rules: readonly string[], variables: object | undefined, templates?: object])[] = [
    [[], { HOME: '/h', HOST: 'n', PATH: '/bin', __proto__x: '1' }],
    [['-*'], {}],
    [['-/.*/'], {}],
    [['-HO*'], { PATH: '/bin', __proto__x: '1' }],
    [['-*', 'HOME'], { HOME: '/h' }],
    [['-*', '/^HO.E/'], { HOME: '/h' }],
    [['-*', 'H[O]*', 'NONE'], { HOME: '/h', HOST: 'n' }],
    [['-*', 'A=1', 'B=$A-\x24{A}$$'], { A: '1', B: '1-1$' }],
    [['-*', 'PATH=$PATH:/x', 'PATH'], { PATH: '/bin:/x' }],
    [['-*', 'A=', 'B==x'], { A: '', B: '=x' }],
    [['-*', 'A={{tmpdir}}/$x', 'B=1'], { B: '1' }, { A: '{{tmpdir}}/$x' }],
    [['B=$NONE'], undefined],
    [['B=\x24{HOME:-x}'], undefined],
    [['B=$'], undefined],
    [['B=$1'], undefined],
    [['-/[/'], undefined],
    [['^/none/at/all'], undefined],
  ];
  for (const [rules, variables, templates = {}] of rows) {
    const make = () => jobEnvironment(rules, own);
    if (variables) {
      assert.deepEqual(Object.fromEntries(make().variables), variables, rules.join(' '));
      assert.deepEqual(Object.fromEntries(make().templates), templates, rules.join(' '));
    } else assert.throws(make, { code: 'EINVAL' }, rules.join(' '));
  }
});

test('rules from a file', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'flux-rules-'));
  try {
    const file = path.join(folder, 'rules');
    fs.writeFileSync(file, '-*\n  A=1  \n# a comment\n\nHOST\nB=$A-x\n');
    const { variables } = jobEnvironment([`^${file}`], own);
    assert.deepEqual(
      [...variables],
      [
        ['A', '1'],
        ['HOST', 'n'],
        ['B', '1-x'],
      ],
    );
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});

test('rules for limits', () => {
  const limits = new Map([
    ['cpu', -1],
    ['core', 0],
    ['nofile', 1024],
    ['memlock', 64],
  ]);
  const rows: readonly (readonly [rules: readonly string[], limits: object | undefined])[] = [
    [[], { cpu: -1, core: 0, nofile: 1024 }],
    [['-*'], {}],
    [['-*,core'], { core: 0 }],
    [['-c*'], { nofile: 1024 }],
    [['memlock'], { cpu: -1, core: 0, nofile: 1024, memlock: 64 }],
    [['-*', 'CORE=16,nofile=unlimited'], { core: 16, nofile: -1 }],
    [['-*', 'core=inf', 'cpu=infinity'], { core: -1, cpu: -1 }],
    [['nope'], undefined],
    [['nope=1'], undefined],
    [['core=x'], undefined],
    [['core='], undefined],
  ];
  for (const [rules, expected] of rows) {
    if (expected) assert.deepEqual(Object.fromEntries(jobLimits(rules, limits)), expected, rules.join(' '));
    else assert.throws(() => jobLimits(rules, limits), { code: 'EINVAL' }, rules.join(' '));
  }
  for (const value of ownLimits().values()) assert.ok(Number.isInteger(value));
});
