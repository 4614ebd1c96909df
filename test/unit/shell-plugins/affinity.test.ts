/** Which processors and GPUs tasks get: how options are read, how what there is is divided, and what tasks are given. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonValue } from '../../../core/json.ts';
import { cpuAffinityPlugin, parseAffinity } from '../../../workers/shell/plugins/cpu-affinity.ts';
import { distribute, parseSetMap } from '../../../workers/shell/plugins/cpu-sets.ts';
import { gpuAffinityPlugin } from '../../../workers/shell/plugins/gpu-affinity.ts';
import { FakeShell, type ShellSetup } from './shell.ts';

const maps: [map: string, tasks: number, sets: string[]][] = [
  ['0', 1, ['0']],
  ['0', 3, ['0', '0', '0']],
  ['0-3,7;4', 2, ['0-3,7', '4']],
  ['0;1', 5, ['0', '1', '0', '1', '0']],
  ['0;1;2', 2, ['0', '1']],
  [';;5;', 1, ['5']],
  ['7,1-2', 1, ['1-2,7']],
  ['0x8f', 1, ['0-3,7']],
  ['0x10000000000', 1, ['40']],
  ['0x1,0x80000001', 1, ['0,31-32']],
  ['0x1,ff', 1, ['0-7,32']],
];

for (const [map, tasks, sets] of maps) {
  test(`the sets of '${map}' for ${tasks}`, () => assert.deepEqual(parseSetMap(map, tasks).map(String), sets));
}

for (const bad of [
  '',
  ';',
  'x',
  '1-',
  '3-1',
  '-1',
  '0x',
  '0xg',
  '0x0',
  '1;;x',
  '0-99999999',
  '0x1,0x123456789',
  '1,,2',
]) {
  test(`'${bad}' is no map`, () => {
    assert.throws(() => parseSetMap(bad, 4), {
      code: 'EINVAL',
      message: /no cpusets found|contains no cores or is invalid/,
    });
  });
}

/** Cores of a processor each, from 0 on. */
const single = (count: number) => Array.from({ length: count }, (_, cpu) => [cpu]);
const dual = [
  [0, 4],
  [1, 5],
  [2, 6],
  [3, 7],
];

const divisions: [name: string, cores: number[][], tasks: number, sets: string[]][] = [
  ['as many as tasks', single(3), 3, ['0', '1', '2']],
  ['more cores', single(4), 2, ['0-1', '2-3']],
  ['cores left over', single(5), 2, ['0-1', '2-4']],
  ['more tasks', single(2), 5, ['0', '0', '0', '1', '1']],
  ['one task', single(4), 1, ['0-3']],
  ['hardware threads', dual, 2, ['0-1,4-5', '2-3,6-7']],
  ['uneven cores', [[0, 1, 2], [3]], 2, ['0-2', '0-3']],
];

for (const [name, cores, tasks, sets] of divisions) {
  test(`cores divided: ${name}`, () => {
    const divided = distribute(cores, tasks);
    assert.equal(divided.length, tasks);
    const all = divided.reduce((union, set) => union.union(set));
    assert.equal(all.count, cores.flat().length, 'no processor lies idle');
    assert.deepEqual(divided.map(String), sets);
  });
}

const affinities: [option: JsonValue | undefined, how: string | undefined, isVerbose: boolean, isDryRun: boolean][] = [
  [undefined, 'on', false, false],
  ['per-task', 'per-task', false, false],
  ['verbose,per-task', 'per-task', true, false],
  ['dry-run,verbose,map:1', 'map:1', true, true],
  ['dry-run', '', true, true],
  ['verboseoff', 'off', true, false],
  ['map:verbose', 'map:verbose', false, false],
  [1, undefined, false, false],
];

for (const [option, how, isVerbose, isDryRun] of affinities) {
  test(`cpu-affinity=${option}`, () => {
    assert.deepEqual(parseAffinity(option), how === undefined ? undefined : { how, isVerbose, isDryRun });
  });
}

const bindings: [name: string, setup: ShellSetup, cpus: (readonly number[] | undefined)[], logged: string[]][] = [
  [
    'by default all have the cores of the job',
    { cores: '1-2', tasks: 2 },
    [
      [1, 2, 5, 6],
      [1, 2, 5, 6],
    ],
    [],
  ],
  [
    'off',
    { options: { 'cpu-affinity': 'off' } },
    [undefined],
    ['6 cpu-affinity: disabling affinity due to cpu-affinity=off'],
  ],
  [
    'per-task',
    { cores: '0-3', tasks: 2, options: { 'cpu-affinity': 'per-task' } },
    [
      [0, 1, 4, 5],
      [2, 3, 6, 7],
    ],
    [],
  ],
  ['a map', { tasks: 2, options: { 'cpu-affinity': 'map:7;2-3' } }, [[7], [2, 3]], []],
  ['what is not known is on', { options: { 'cpu-affinity': 'nonsense' } }, [[0, 4]], []],
  ['what is no text is on', { options: { 'cpu-affinity': 1 } }, [[0, 4]], ['4 cpu-affinity: invalid option: 1']],
  [
    'a dry run',
    { cores: '0-1', tasks: 2, options: { 'cpu-affinity': 'dry-run,per-task' } },
    [undefined, undefined],
    ['5 cpu-affinity: cpus: 0-1,4-5', '5 cpu-affinity: task 0: cpus: 0,4', '5 cpu-affinity: task 1: cpus: 1,5'],
  ],
  ['verbose', { options: { 'cpu-affinity': 'verbose' } }, [[0, 4]], ['5 cpu-affinity: cpus: 0,4']],
  [
    'cores that this machine lacks',
    { cores: '0-7' },
    [undefined],
    ['4 cpu-affinity: unable to get cpuset for cores 0-7. Disabling affinity'],
  ],
  [
    'a map of processors that it lacks',
    { options: { 'cpu-affinity': 'map:99' } },
    [undefined],
    ['4 cpu-affinity: task 0 cannot be bound: there are no cpus 99 here'],
  ],
];

for (const [name, setup, cpus, logged] of bindings) {
  test(`bound: ${name}`, async () => {
    const shell = await new FakeShell(setup).load(cpuAffinityPlugin(() => dual));
    assert.deepEqual(
      shell.tasks.map(({ spec }) => spec.cpus),
      cpus,
    );
    assert.deepEqual(shell.logged, logged);
  });
}

test('a map that is none ends the job', async () => {
  const shell = new FakeShell({ options: { 'cpu-affinity': 'map:none' } });
  await assert.rejects(() => shell.load(cpuAffinityPlugin(() => dual)), {
    code: 'EINVAL',
    message: 'cpuset none contains no cores or is invalid',
  });
});

const devices: [name: string, setup: ShellSetup, job: string | undefined, tasks: (string | undefined)[]][] = [
  ['a job without GPUs sees none', {}, '-1', [undefined]],
  ['all tasks see all', { gpus: '0-2', tasks: 2 }, '0,1,2', [undefined, undefined]],
  ['per-task', { gpus: '1-4', tasks: 2, options: { 'gpu-affinity': 'per-task' } }, '-1', ['1,2', '3,4']],
  ['per-task, some left over', { gpus: '0-2', tasks: 2, options: { 'gpu-affinity': 'per-task' } }, '-1', ['0', '1']],
  ['per-task, too few', { gpus: '0', tasks: 2, options: { 'gpu-affinity': 'per-task' } }, '-1', ['', '']],
  ['a map', { gpus: '0', tasks: 2, options: { 'gpu-affinity': 'map:3;0-1' } }, '-1', ['3', '0,1']],
  ['off', { gpus: '0', options: { 'gpu-affinity': 'off' } }, undefined, [undefined]],
  ['what is no text is on', { gpus: '0', options: { 'gpu-affinity': 1 } }, '0', [undefined]],
];

for (const [name, setup, job, tasks] of devices) {
  test(`GPUs: ${name}`, async () => {
    const shell = await new FakeShell(setup).load(gpuAffinityPlugin);
    assert.equal(shell.getEnv('CUDA_VISIBLE_DEVICES'), job);
    assert.equal(shell.getEnv('CUDA_DEVICE_ORDER'), job === undefined ? undefined : 'PCI_BUS_ID');
    assert.deepEqual(
      shell.tasks.map((task) => task.getEnv('CUDA_VISIBLE_DEVICES')),
      tasks,
    );
  });
}

test('GPUs: an order of devices that is set stays', async () => {
  const shell = await new FakeShell({ env: { CUDA_DEVICE_ORDER: 'FASTEST_FIRST' } }).load(gpuAffinityPlugin);
  assert.equal(shell.getEnv('CUDA_DEVICE_ORDER'), 'FASTEST_FIRST');
});
