/** How plugins read their options, and what they do to tasks then. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FluxError } from '../../../core/errno.ts';
import { type JsonObject, type JsonValue, Real, stringifyJson } from '../../../core/json.ts';
import { getLimit, type SoftLimit } from '../../../native/index.ts';
import { openMpiPlugin, spectrumMpiPlugin } from '../../../workers/shell/plugins/mpi.ts';
import { parseAdjust } from '../../../workers/shell/plugins/oom.ts';
import { parsePty } from '../../../workers/shell/plugins/pty.ts';
import { parseLimits, rlimitPlugin } from '../../../workers/shell/plugins/rlimit.ts';
import { parseWarning, signalPlugin } from '../../../workers/shell/plugins/signal.ts';
import { parseStageIn } from '../../../workers/shell/plugins/stage-in.ts';
import { stopTasksPlugin } from '../../../workers/shell/plugins/stop-tasks.ts';
import { parsePeriod } from '../../../workers/shell/plugins/sysmon.ts';
import { FakeShell } from './shell.ts';

/** Checks what a reader makes of options: a value, or the sentence of an EINVAL. */
function readings<T>(name: string, read: (option: JsonValue) => T, cases: [option: JsonValue, expected: T | string][]) {
  for (const [option, expected] of cases) {
    test(`${name}=${stringifyJson(option)}`, () => {
      if (typeof expected === 'string') assert.throws(() => read(option), { code: 'EINVAL', message: expected });
      else assert.deepEqual(read(option), expected);
    });
  }
}

readings('rlimit', (option) => parseLimits(option as JsonObject).map(([, limit]) => limit), [
  [{}, []],
  [
    { nofile: 17, core: 0 },
    [
      { limit: 'nofile', soft: 17 },
      { limit: 'core', soft: 0 },
    ],
  ],
  [{ ofile: 9 }, [{ limit: 'nofile', soft: 9 }]],
  [{ stack: -1 }, [{ limit: 'stack', soft: Infinity }]],
  [{ as: 2n ** 60n }, [{ limit: 'as', soft: 2 ** 60 }]],
  [{ nofile: 'many' }, 'invalid shell option rlimit.nofile="many"'],
  [
    { other: 1, core: new Real(1.5), cpu: 1 },
    'invalid shell option rlimit.other=1; invalid shell option rlimit.core=1.5',
  ],
]);

readings('signal', (option) => parseWarning(option) ?? null, [
  [0, null],
  [1, { signum: 10, timeleft: 60 }],
  [{}, { signum: 10, timeleft: 60 }],
  [
    { signum: 12, timeleft: '2m' },
    { signum: 12, timeleft: 120 },
  ],
  [{ timeleft: 2 }, { signum: 10, timeleft: 2 }],
  [{ timeleft: new Real(2.5) }, { signum: 10, timeleft: 2.5 }],
  [{ timeleft: 0 }, null],
  [{ timeleft: 'soon' }, 'signal.timeleft=soon is invalid'],
  [{ timeleft: -1 }, 'signal.timeleft=-1 is invalid'],
  [{ signum: 'USR1' }, "error in shell `signal' option: signum is not an integer"],
  ['USR1', "error in shell `signal' option: it is neither an integer nor an object"],
]);

readings(
  'pty',
  (option) => {
    const { ranks, ...rest } = parsePty(option);
    return { ranks: ranks?.encode(), ...rest };
  },
  [
    [1, { ranks: undefined, isInteractive: false, capture: true }],
    [{ capture: 1 }, { ranks: undefined, isInteractive: false, capture: true }],
    [{ capture: 0 }, { ranks: undefined, isInteractive: false, capture: false }],
    [{ interactive: 1 }, { ranks: '0', isInteractive: true, capture: false }],
    [
      { interactive: 1, capture: 1, ranks: '0-3' },
      { ranks: '0-3', isInteractive: true, capture: true },
    ],
    [{ ranks: 2 }, { ranks: '2', isInteractive: false, capture: true }],
    [{ ranks: 'all' }, { ranks: undefined, isInteractive: false, capture: true }],
    [{ nosuch: 1 }, 'invalid shell pty option: 1 object item(s) left unpacked: nosuch'],
    [{ a: 1, b: 2 }, 'invalid shell pty option: 2 object item(s) left unpacked: a, b'],
    [{ interactive: 'yes' }, 'invalid shell pty option: interactive is not an integer'],
    [{ ranks: [0] }, 'invalid shell pty option: ranks is neither a set of ids nor an integer'],
    [{ ranks: 'x' }, "error parsing range 'x'"],
  ],
);

const everywhere = { pattern: undefined, directory: undefined, leaderOnly: false, isDeprecated: false };
readings('stage-in', parseStageIn, [
  [1, { names: ['main'], ...everywhere }],
  [
    { names: 'a,b', pattern: '*.c' },
    { names: ['a', 'b'], ...everywhere, pattern: '*.c' },
  ],
  [{ tags: 'old' }, { names: ['old'], ...everywhere, isDeprecated: true }],
  [{ destination: '/x' }, { names: ['main'], ...everywhere, directory: '/x' }],
  [{ destination: 'local:/x' }, { names: ['main'], ...everywhere, directory: '/x' }],
  [{ destination: 'global:/x' }, { names: ['main'], ...everywhere, directory: '/x', leaderOnly: true }],
  [{ destination: 'other:/x' }, 'destination prefix must be local: or global:'],
  [{ names: 1 }, 'Error parsing stage_in shell option'],
  [{ nosuch: 'x' }, 'Error parsing stage_in shell option'],
]);

readings('sysmon', (option) => parsePeriod(option) ?? null, [
  [1, null],
  [{}, null],
  [{ period: 2 }, 2],
  [{ period: '100ms' }, 0.1],
  [{ period: -1 }, 'sysmon.period is not a valid FSD'],
  [{ period: 'often' }, 'sysmon.period is not a valid FSD'],
  [{ other: 1 }, 'option parse error: other is not known'],
]);

readings('oom', (option) => parseAdjust(option) ?? null, [
  [{}, null],
  [{ adjust: -500 }, -500],
  [{ adjust: 'x' }, 'invalid shell option oom.adjust: it is not an integer'],
  [{ other: 1 }, 'invalid shell option oom: only oom.adjust is known'],
  [1, 'invalid shell option oom: only oom.adjust is known'],
]);

test('limits above the hard ones are lowered, with a warning', async () => {
  const { hard } = getLimit('nofile');
  const shell = await new FakeShell({ tasks: 2, options: { rlimit: { nofile: -1, core: 0 } } }).load(rlimitPlugin);
  const limits: SoftLimit[] = [
    { limit: 'nofile', soft: hard },
    { limit: 'core', soft: 0 },
  ];
  assert.deepEqual(
    shell.tasks.map(({ spec }) => spec.limits),
    [limits, limits],
  );
  assert.deepEqual(
    shell.logged,
    hard === Infinity ? [] : ['4 rlimit: nofile exceeds current max, raising value to hard limit'],
  );
});

test('tasks are stopped in exec when that is wanted', async () => {
  for (const [option, isStopped] of [
    [1, true],
    [true, true],
    [0, undefined],
    [undefined, undefined],
  ] as const) {
    const shell = await new FakeShell({ options: { 'stop-tasks-in-exec': option } }).load(stopTasksPlugin);
    assert.equal(shell.tasks[0]!.spec.stopInExec, isStopped);
    assert.deepEqual(shell.eventContexts, isStopped ? { 'shell.start': { sync: true } } : {});
  }
});

test('Open MPI has its files in the folder of the job, unless there is no MPI', async () => {
  const env = { FLUX_JOB_TMPDIR: '/job' };
  const variable = 'OMPI_MCA_btl_vader_backing_directory';
  assert.equal((await new FakeShell({ env }).load(openMpiPlugin)).getEnv(variable), '/job');
  assert.equal(
    (await new FakeShell({ env, options: { mpi: 'none' } }).load(openMpiPlugin)).getEnv(variable),
    undefined,
  );
  assert.equal((await new FakeShell().load(openMpiPlugin)).getEnv(variable), undefined);
});

test('Spectrum MPI finds what it wants, and nothing of others', async () => {
  const env = { OMPI_MCA_btl: 'tcp', PMIX_X: '1', OTHER: 'x', LD_LIBRARY_PATH: '/lib' };
  const shell = await new FakeShell({ env, options: { mpi: 'spectrum@10' } }).load(spectrumMpiPlugin);
  shell.hooks['task.init']?.(shell.tasks[0]!);
  assert.deepEqual(shell.environment(), {
    OTHER: 'x',
    OMPI_MCA_osc: 'pt2pt',
    OMPI_MCA_pml: 'yalla',
    OMPI_MCA_btl: 'self',
    OMPI_MCA_coll_hcoll_enable: '0',
    LD_LIBRARY_PATH: '/opt/ibm/spectrum_mpi/lib/pami_port:/lib',
    LD_PRELOAD: '/opt/ibm/spectrum_mpi/lib/libpami_cudahook.so',
  });
  assert.deepEqual(shell.tasks[0]!.spec.limits, [{ limit: 'stack', soft: 10485760 }]);
  assert.equal(shell.tasks[0]!.getEnv('OMPI_COMM_WORLD_RANK'), '0');
  const other = await new FakeShell({ env }).load(spectrumMpiPlugin);
  assert.deepEqual(other.environment(), env);
});

// ---- a warning before the end

const START = 1_800_000_000;
const kill = ['job-manager.kill', { id: 42n, signum: 12 }];

function warned(expiration: number, update?: number, killed: () => JsonValue = () => ({})) {
  return new FakeShell({
    options: { signal: { signum: 12, timeleft: 10 } },
    R: { execution: { expiration: new Real(expiration) } },
    answers: {
      'job-manager.kill': killed,
      'job-info.update-watch': () => ({ R: { execution: { expiration: new Real(update ?? expiration) } } }),
    },
  }).load(signalPlugin);
}

const turns = async () => {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
};

test('a job is warned so many seconds before its end, once', async () => {
  const shell = await warned(START + 100);
  await turns();
  while (shell.agenda.nextTime < 89.9) shell.agenda.step();
  assert.deepEqual(
    shell.asked.filter(([topic]) => topic === 'job-manager.kill'),
    [],
  );
  while (shell.agenda.nextTime < 1000) shell.agenda.step();
  assert.ok(Math.abs(shell.agenda.time - 90) < 0.01);
  assert.deepEqual(
    shell.asked.filter(([topic]) => topic === 'job-manager.kill'),
    [kill],
  );
  assert.ok(shell.logged.includes('5 signal: job will expire in 10.0s, sending SIGUSR2 to job'));
});

test('an end that is too near warns at once; a far one takes more than one timer; another end counts', async () => {
  for (const [end, update, expected] of [
    [5, undefined, 0],
    [30 * 86400, undefined, 30 * 86400 - 10],
    [100, 500, 490],
  ] as const) {
    const shell = await warned(START + end, update && START + update);
    await turns();
    while (shell.agenda.nextTime < Infinity) shell.agenda.step();
    assert.ok(Math.abs(shell.agenda.time - expected) < 0.01, `${shell.agenda.time} is ${expected}`);
    assert.equal(shell.asked.filter(([topic]) => topic === 'job-manager.kill').length, 1);
  }
});

test('a job without an end is not warned, and who is no leader warns nobody', async () => {
  const shell = await warned(0);
  await turns();
  assert.deepEqual(shell.logged, ['5 signal: job has no expiration, SIGUSR2 will not be sent']);
  assert.equal(shell.agenda.nextTime, Infinity);
  const follower = await new FakeShell({ rank: 1, options: { signal: 1 } }).load(signalPlugin);
  assert.deepEqual(follower.hooks, {});
});

test('a warning that fails is told; the end of the shell ends the waiting', async () => {
  const failing = await warned(START + 5, undefined, () => {
    throw new FluxError('ENOENT', 'unknown job id');
  });
  await turns();
  while (failing.agenda.nextTime < Infinity) failing.agenda.step();
  await turns();
  assert.ok(failing.logged.includes('3 signal: failed to send SIGUSR2 to job: unknown job id'));
  const shell = await warned(START + 100);
  shell.hooks.destroy?.();
  assert.equal(shell.agenda.nextTime, Infinity);
  assert.deepEqual(shell.asked.at(-1), ['job-info.update-watch-cancel', { matchtag: 1 }]);
});
