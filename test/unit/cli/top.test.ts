// flux top: what is on the screen, and what keys mean.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readJobStats } from '../../../cli/job-stats.ts';
import { JobInfo } from '../../../cli/listed-job.ts';
import { Canvas } from '../../../cli/top-canvas.ts';
import { parseKeys } from '../../../cli/top-keys.ts';
import { describeTop, drawTop, type TopState } from '../../../cli/top-screen.ts';
import { parseFluid } from '../../../core/formats/fluid.ts';
import type { JsonObject } from '../../../core/json.ts';

const NOW = 1_700_000_000;

function job(id: string, more: JsonObject = {}): JobInfo {
  const raw = { id: parseFluid(id), userid: 4242424, state: 16, name: 'sleep', ntasks: 4, nnodes: 2, t_run: NOW - 90 };
  return new JobInfo({ ...raw, ...more }, NOW);
}

const counts = { depend: 1, priority: 2, sched: 3, run: 4, cleanup: 1, inactive: 30, total: 41 };
const stats = readJobStats({
  job_states: counts,
  successful: 20,
  failed: 7,
  canceled: 2,
  timeout: 1,
  inactive_purged: 0,
  queues: [],
});

const state: TopState = {
  title: '',
  level: 0,
  size: 4,
  version: '1.2.3',
  starttime: NOW - 3600,
  expiration: 0,
  hasDetails: true,
  stats,
  resources: {
    nodes: { total: 4, used: 1, down: 1 },
    cores: { total: 16, used: 4, down: 4 },
    gpus: { total: 0, used: 0, down: 0 },
  },
  jobs: [job('ƒAB'), job('ƒAC', { state: 32, annotations: { user: { uri: 'local:///tmp/x' } }, name: 'a'.repeat(50) })],
  selected: undefined,
  queue: undefined,
  hasQueues: false,
  beats: true,
  popup: undefined,
};

/** The first rows, without blanks at their ends. */
function rows(change: Partial<TopState>, count = 9): string[] {
  const texts = drawTop({ ...state, ...change }, NOW, 24).texts();
  return texts.slice(0, count).map((text) => text.trimEnd());
}

test('the screen', () => {
  assert.deepEqual(rows({}), [
    'ƒ                                                                             ∞',
    '    nodes [||||||            ||||||1/4]                         6 pending',
    '    cores [||||||           ||||||4/16]                         5 running',
    '     gpus [                        0/0]       20 complete,     10 failed     ♡',
    '',
    ' size: 4                       uptime: 1h                                 1.2.3',
    '       JOBID     USER ST NTASKS NNODES RUNTIME NAME',
    '         ƒAB  4242424  R      4      2    1.5m sleep',
    `         ƒAC  4242424  C      4      2    1.5m ${'a'.repeat(33)}`,
  ]);
});

const changes: [title: string, change: Partial<TopState>, row: number, text: string][] = [
  ['no heartbeat now', { beats: false }, 3, '     gpus [                        0/0]       20 complete,     10 failed'],
  [
    'how jobs ended is not told',
    { hasDetails: false },
    3,
    '     gpus [                        0/0]                        30 inactive   ♡',
  ],
  [
    'an end',
    { expiration: NOW + 5400 },
    0,
    'ƒ                                                                         1.5h⌚',
  ],
  ['an end that has passed', { expiration: NOW - 1 }, 0, `ƒ${' '.repeat(77)}∞`],
  ['a path', { title: 'ƒAB/ƒAC' }, 0, `ƒ${' '.repeat(33)}ƒAB/ƒAC${' '.repeat(37)}∞`],
  ['a path that is too long', { title: '/ƒABC'.repeat(20) }, 0, `ƒ     …BC${'/ƒABC'.repeat(12)}         ∞`],
  [
    'an instance inside of others',
    { level: 2 },
    5,
    ' size: 4   depth: 2            uptime: 1h                                 1.2.3',
  ],
  [
    'no statistics',
    { stats: undefined },
    1,
    '    nodes [||||||            ||||||1/4]                         0 pending',
  ],
  [
    'more used than there is',
    { resources: { ...state.resources, nodes: { total: 2, used: 9, down: 0 } } },
    1,
    '    nodes [||||||||||||||||||||||||2/2]                         6 pending',
  ],
  ['no jobs in a queue', { jobs: [], queue: 'batch' }, 11, `${' '.repeat(25)}No jobs to display in queue batch`],
  ['queues', { hasQueues: true }, 6, '       JOBID    QUEUE     USER ST NTASKS NNODES RUNTIME NAME'],
  [
    'a job of a queue',
    { hasQueues: true, jobs: [job('ƒAB', { queue: 'interactive' })] },
    7,
    '         ƒAB interact  4242424  R      4      2    1.5m sleep',
  ],
  [
    'a job that never ran',
    { jobs: [new JobInfo({ id: 1, state: 32, userid: 0, name: 'x' }, NOW), job('ƒAB')] },
    7,
    '         ƒAB  4242424  R      4      2    1.5m sleep',
  ],
  ['what went wrong', { popup: 'error: nobody there' }, 17, `  │ error: nobody there${' '.repeat(56)}│`.slice(0, 80)],
];
for (const [title, change, row, text] of changes)
  test(title, () => assert.equal(rows(change, 24)[row]?.replace(/ +│?$/, ''), text.replace(/ +│?$/, '')));

test('colours: of jobs that are instances, of the one that is selected, and none', () => {
  const canvas = drawTop({ ...state, selected: parseFluid('ƒAC') }, NOW, 24);
  const [, , , , , , , first, second] = canvas.encode(true).split('\r\n');
  assert.match(first!, /^ {9}ƒAB/);
  assert.ok(second!.startsWith('\x1b[0;7;34;1m         ƒAC'), JSON.stringify(second));
  assert.ok(canvas.encode(false).includes('\x1b[0;7;1m         ƒAC'));
});

test('a canvas leaves out what is outside of it', () => {
  const canvas = new Canvas(2, 5);
  canvas.put(0, -1, 'abc');
  canvas.put(1, 3, 'defg', 'red');
  canvas.put(2, 0, 'x');
  assert.deepEqual(canvas.texts(), ['bc', '   de']);
  assert.equal(canvas.encode(true), '\x1b[Hbc\x1b[K\r\n   \x1b[0;31mde\x1b[0m\x1b[K\x1b[J');
});

test('few rows show few jobs', () => assert.equal(drawTop(state, NOW, 8).texts().length, 8));

test('plain lines for tests', () => {
  assert.deepEqual(describeTop(state, NOW), [
    '6 pending',
    '5 running',
    '20 complete',
    '10 failed',
    'nodes 1/4',
    'cores 4/16',
    'gpus 0/0',
    'ƒAB 4242424 R 4 2 1.5m sleep',
    `ƒAC 4242424 C 4 2 1.5m ${'a'.repeat(50)}`,
  ]);
});

const typed: [text: string, keys: string][] = [
  ['jk', 'down up'],
  ['hl', 'left right'],
  ['\x1b[A\x1b[B\x1b[C\x1b[D', 'up down right left'],
  ['\x1bOA\x1bOB', 'up down'],
  ['\r\n', 'enter enter'],
  ['d\fq', 'details redraw quit'],
  ['\x1b[5~x\x1b[1;5Aƒ', '- - - -'],
];
for (const [text, keys] of typed)
  test(`keys ${JSON.stringify(text)}`, () => {
    assert.equal(
      parseKeys(text)
        .map((key) => key ?? '-')
        .join(' '),
      keys,
    );
  });
