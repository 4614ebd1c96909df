/** Prologs and epilogs: where they run, what becomes of the job, and which nodes are drained. */

import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { FluxError } from '../../../core/errno.ts';
import { type JsonObject, stringifyJson } from '../../../core/json.ts';
import type { Job } from '../../../workers/job-manager/job.ts';
import { perilog } from '../../../workers/job-manager/plugins/perilog.ts';
import { readPerilogConfig } from '../../../workers/job-manager/plugins/perilog-config.ts';
import { throwsCode } from '../../errors.ts';
import { FakeJobtap, resources } from './fake-jobtap.ts';
import { settled } from './service-world.ts';

const { SIGTERM, SIGKILL } = constants.signals;
const PROLOG = 'job-manager.prolog';
const EPILOG = 'job-manager.epilog';

const settings = (prolog?: JsonObject, epilog?: JsonObject) => ({
  'job-manager': {
    ...(prolog && { prolog: { command: ['prolog', '-x'], ...prolog } }),
    ...(epilog && { epilog: { command: ['epilog'], ...epilog } }),
  },
});

/** A job that was given ranks 1 and 2. */
async function run(config: JsonObject): Promise<[FakeJobtap, Job]> {
  const jobtap = new FakeJobtap(perilog, config);
  const job = jobtap.job({ id: 5n, state: 'sched', R: resources('1-2') });
  jobtap.event(job, 'alloc', undefined, 'run');
  await settled();
  return [jobtap, job];
}

const ranks = (jobtap: FakeJobtap) => jobtap.world.programs.map(({ rank }) => rank);
const drained = (jobtap: FakeJobtap) => jobtap.world.asked('resource.drain');

test('a prolog runs on rank 0, with what it needs to know of the job', async () => {
  const [jobtap] = await run(settings({}));
  assert.deepEqual(jobtap.take(), [`prolog-start 5 ${PROLOG}`]);
  assert.deepEqual(ranks(jobtap), [0]);
  const [program] = jobtap.world.programs;
  assert.deepEqual(program!.cmdline, ['prolog', '-x']);
  assert.deepEqual(program!.env, {
    PATH: '/bin',
    FLUX_JOB_ID: 'ƒ6',
    FLUX_JOB_RANKS: '1-2',
    FLUX_JOB_USERID: '100',
  });
  program!.print('stdout', 'hello\n\nworld\n');
  program!.print('stderr', 'oh\n');
  await program!.finish();
  assert.deepEqual(jobtap.take(), [`prolog-finish 5 ${PROLOG} 0`]);
  assert.deepEqual(jobtap.world.logs, [
    'ƒ6: prolog: node0 (rank 0): stdout: hello',
    'ƒ6: prolog: node0 (rank 0): stdout: world',
    'ƒ6: prolog: node0 (rank 0): stderr: oh',
  ]);
});

test('a prolog for each rank is over when the last is', async () => {
  const [jobtap] = await run(settings({ 'per-rank': true }));
  assert.deepEqual(ranks(jobtap), [1, 2]);
  jobtap.take();
  await jobtap.world.programs[0]!.finish();
  assert.deepEqual(jobtap.take(), []);
  await jobtap.world.programs[1]!.finish();
  assert.deepEqual(jobtap.take(), [`prolog-finish 5 ${PROLOG} 0`]);
});

for (const [status, error, text, code] of [
  [256, undefined, 'exited with code=1', 256],
  [15, undefined, 'killed by signal 15', 15],
  [137 << 8, undefined, 'killed by signal 9', 137 << 8],
  [0, new FluxError('ENOENT', 'no such file'), 'exited with code=127', 127 << 8],
  [0, new FluxError('EACCES'), 'exited with code=126', 126 << 8],
  [0, new FluxError('EIO'), 'exited with code=1', 1 << 8],
] as [number, FluxError | undefined, string, number][]) {
  test(`a prolog that fails (${error?.code ?? status}) ends the job and drains its nodes first`, async () => {
    const [jobtap] = await run(settings({ 'per-rank': true }));
    jobtap.take();
    jobtap.world.answers.set('resource.drain', () => {
      assert.deepEqual(jobtap.take(), []);
      return undefined;
    });
    const [first, second] = jobtap.world.programs;
    await first!.finish();
    if (error) await second!.fail(error);
    else await second!.finish(status);
    assert.deepEqual(drained(jobtap), [{ targets: '2', reason: 'prolog failed for job ƒ6', mode: 'update' }]);
    assert.deepEqual(jobtap.take(), [
      `raise 5 prolog 0: prolog ${text} on node2 (rank 2)`,
      `prolog-finish 5 ${PROLOG} ${code}`,
    ]);
    if (error) assert.match(jobtap.world.logs[0]!, /^ƒ6: prolog: node2 \(rank 2\): /);
  });
}

test('a node that is lost does not fail a prolog', async () => {
  const [jobtap] = await run(settings({ 'per-rank': true }));
  jobtap.take();
  await jobtap.world.programs[0]!.fail(new FluxError('EHOSTUNREACH'));
  await jobtap.world.programs[1]!.finish();
  assert.deepEqual(jobtap.take(), [`prolog-finish 5 ${PROLOG} 0`]);
  assert.deepEqual(drained(jobtap), []);
});

test('a prolog on rank 0 drains nothing when it fails', async () => {
  const [jobtap] = await run(settings({}));
  jobtap.take();
  await jobtap.world.programs[0]!.finish(512);
  assert.deepEqual(jobtap.take(), [
    'raise 5 prolog 0: prolog exited with code=2 on node0 (rank 0)',
    `prolog-finish 5 ${PROLOG} 512`,
  ]);
  assert.deepEqual(drained(jobtap), []);
});

test('after a prolog that failed the epilog runs at once', async () => {
  const [jobtap] = await run(settings({}, {}));
  jobtap.take();
  await jobtap.world.programs[0]!.finish(256);
  assert.deepEqual(jobtap.take(), [
    'raise 5 prolog 0: prolog exited with code=1 on node0 (rank 0)',
    `post 5 epilog-start {"description":"${EPILOG}"}`,
    `prolog-finish 5 ${PROLOG} 256`,
  ]);
  assert.deepEqual(jobtap.world.programs[1]!.cmdline, ['epilog']);
  await jobtap.world.programs[1]!.finish();
  assert.deepEqual(jobtap.take(), [`epilog-finish 5 ${EPILOG} 0`]);
});

// ---- exceptions and time limits

const exception = (jobtap: FakeJobtap, job: Job, severity: number) =>
  jobtap.event(job, 'exception', { type: 'cancel', severity }, severity === 0 ? 'cleanup' : undefined);

test('an exception of the job ends its prolog, without a complaint and without draining', async () => {
  const [jobtap, job] = await run(settings({ 'per-rank': true }));
  jobtap.take();
  exception(jobtap, job, 3);
  assert.deepEqual(jobtap.world.programs[0]!.signals, []);
  exception(jobtap, job, 0);
  await settled();
  for (const program of jobtap.world.programs) {
    assert.deepEqual(program.signals, [SIGTERM]);
    await program.finish(SIGTERM);
  }
  assert.deepEqual(jobtap.take(), [`prolog-finish 5 ${PROLOG} ${SIGTERM}`]);
  assert.deepEqual(drained(jobtap), []);
});

test('a prolog may live through exceptions', async () => {
  const [jobtap, job] = await run(settings({ 'cancel-on-exception': false }));
  exception(jobtap, job, 0);
  await settled();
  assert.deepEqual(jobtap.world.programs[0]!.signals, []);
});

test('a program that does not run yet is told to end as soon as it does', async () => {
  const jobtap = new FakeJobtap(perilog, settings({}));
  jobtap.world.startsPrograms = false;
  const job = jobtap.job({ id: 5n, state: 'sched', R: resources('1-2') });
  jobtap.event(job, 'alloc', undefined, 'run');
  exception(jobtap, job, 0);
  await settled();
  const [program] = jobtap.world.programs;
  assert.deepEqual(program!.signals, []);
  program!.start();
  await settled();
  assert.deepEqual(program!.signals, [SIGTERM]);
});

test('nodes where a canceled prolog does not end are drained', async () => {
  const [jobtap, job] = await run(settings({ 'per-rank': true, 'kill-timeout': 5 }));
  jobtap.take();
  exception(jobtap, job, 0);
  await settled();
  await jobtap.world.programs[0]!.finish(SIGTERM);
  await jobtap.world.pass(4);
  assert.deepEqual(jobtap.take(), []);
  await jobtap.world.pass(2);
  assert.deepEqual(drained(jobtap), [
    { targets: '2', reason: 'prolog canceled then timed out for job ƒ6', mode: 'update' },
  ]);
  assert.deepEqual(jobtap.take(), [
    'raise 5 prolog 0: prolog canceled then timed out on node2 (rank 2)',
    `prolog-finish 5 ${PROLOG} ${SIGTERM}`,
  ]);
  await jobtap.world.programs[1]!.finish(SIGKILL);
  assert.deepEqual(jobtap.take(), []);
});

test('a prolog that takes too long is told to end, and its nodes are drained', async () => {
  const [jobtap] = await run(settings({ 'per-rank': true, timeout: '1m' }));
  jobtap.take();
  await jobtap.world.programs[0]!.finish();
  await jobtap.world.pass(61);
  const second = jobtap.world.programs[1]!;
  assert.deepEqual(second.signals, [SIGTERM]);
  await second.finish(SIGTERM);
  assert.deepEqual(drained(jobtap), [{ targets: '2', reason: 'prolog timed out for job ƒ6', mode: 'update' }]);
  assert.deepEqual(jobtap.take(), [
    'raise 5 prolog 0: prolog timed out on node2 (rank 2)',
    `prolog-finish 5 ${PROLOG} ${SIGTERM}`,
  ]);
  assert.deepEqual(jobtap.world.agenda.timerOwners(), []);
});

test('a prolog has half an hour, unless it may take any time', async () => {
  const [jobtap] = await run(settings({}));
  await jobtap.world.pass(1799);
  assert.deepEqual(jobtap.world.programs[0]!.signals, []);
  await jobtap.world.pass(2);
  assert.deepEqual(jobtap.world.programs[0]!.signals, [SIGTERM]);
  const [endless] = await run(settings({ timeout: 'infinity' }));
  assert.deepEqual(endless.world.agenda.timerOwners(), []);
});

test('when nodes can not be drained the job goes on all the same', async () => {
  const [jobtap] = await run(settings({ 'per-rank': true }));
  jobtap.take();
  jobtap.world.answers.set('resource.drain', () => {
    throw new FluxError('EPERM', 'no');
  });
  for (const program of jobtap.world.programs) await program.finish(256);
  assert.equal(jobtap.take().length, 2);
  assert.match(jobtap.world.logs.join(), /Failed to drain ranks with failed prolog for ƒ6: no/);
});

// ---- epilogs

test('an epilog runs when the job has ended, and its failure is none of the job', async () => {
  const [jobtap, job] = await run(settings(undefined, { 'per-rank': true }));
  assert.deepEqual(jobtap.take(), []);
  jobtap.event(job, 'finish', { status: 0 }, 'cleanup');
  await settled();
  assert.deepEqual(jobtap.take(), [`epilog-start 5 ${EPILOG}`]);
  assert.deepEqual(ranks(jobtap), [1, 2]);
  exception(jobtap, job, 0);
  await settled();
  assert.deepEqual(jobtap.world.programs[0]!.signals, []);
  await jobtap.world.programs[0]!.finish();
  await jobtap.world.programs[1]!.finish(256);
  assert.deepEqual(drained(jobtap), [{ targets: '2', reason: 'epilog failed for job ƒ6', mode: 'update' }]);
  assert.deepEqual(jobtap.take(), [
    'raise 5 epilog 2: epilog exited with code=1 on node2 (rank 2)',
    `epilog-finish 5 ${EPILOG} 256`,
  ]);
  assert.equal(jobtap.isSubscribed(job), false);
});

test('no epilog is begun while the broker shuts down', async () => {
  const [jobtap, job] = await run(settings(undefined, {}));
  await jobtap.world.tellState('shutdown');
  await jobtap.world.tellState('cleanup');
  jobtap.event(job, 'finish', { status: 0 }, 'cleanup');
  await settled();
  assert.deepEqual(jobtap.take(), []);
  assert.deepEqual(ranks(jobtap), []);
});

test('a job whose R can not be read has an exception, and nothing waits', async () => {
  const jobtap = new FakeJobtap(perilog, settings({}));
  jobtap.event(jobtap.job({ id: 5n, state: 'sched', R: { version: 7 } }), 'alloc', undefined, 'run');
  assert.match(jobtap.take().join(), /^raise 5 prolog 0: failed to start job prolog: /);
});

test('what runs is told, and ends with the plugin', async () => {
  const [jobtap] = await run(settings({ 'per-rank': true }, { timeout: '10s', 'kill-timeout': 1.5 }));
  await jobtap.world.pass(60);
  await jobtap.world.programs[0]!.finish();
  assert.deepEqual(JSON.parse(stringifyJson(jobtap.hooks.query!())), {
    conf: {
      prolog: {
        command: ['prolog', '-x'],
        per_rank: true,
        cancel_on_exception: true,
        timeout: 1800,
        'kill-timeout': 60,
      },
      epilog: { command: ['epilog'], per_rank: false, cancel_on_exception: false, timeout: 10, 'kill-timeout': 1.5 },
    },
    procs: {
      ƒ6: { name: 'prolog', state: 'running', total: 2, active: 1, active_ranks: '2', remaining_time: 1740 },
    },
  });
  jobtap.hooks.stop!();
  await settled();
  assert.deepEqual(jobtap.world.programs[1]!.signals, [SIGKILL]);
  assert.deepEqual(jobtap.world.agenda.timerOwners(), []);
});

// ---- restarts

const begun = (name: string) => [name, { description: `job-manager.${name.split('-')[0]}` }] as const;

for (const [what, state, events, config, done, commands] of [
  ['nothing begun', 'run', ['start'], settings({}, {}), [], []],
  ['a prolog', 'run', [begun('prolog-start')], settings({}), [], ['prolog']],
  [
    'a prolog of a job that is canceled',
    'cleanup',
    [begun('prolog-start')],
    settings({}, {}),
    [`post 5 epilog-start {"description":"${EPILOG}"}`, `prolog-finish 5 ${PROLOG} 256`],
    ['epilog'],
  ],
  [
    'a prolog that is not configured any more',
    'run',
    [begun('prolog-start')],
    {},
    ['raise 5 prolog 0: prolog was interrupted by a restart', `prolog-finish 5 ${PROLOG} 256`],
    [],
  ],
  ['a prolog that is over', 'run', [begun('prolog-start'), begun('prolog-finish')], settings({}), [], []],
  ["another plugin's prolog", 'run', [['prolog-start', { description: 'mine' }]], settings({}), [], []],
  ['an epilog', 'cleanup', [begun('epilog-start')], settings({}, {}), [], ['epilog']],
  [
    'an epilog that is not configured any more',
    'cleanup',
    [begun('epilog-start')],
    {},
    [`epilog-finish 5 ${EPILOG} 256`],
    [],
  ],
] as [string, 'run' | 'cleanup', (string | readonly [string, JsonObject])[], JsonObject, string[], string[]][]) {
  test(`after a restart a job with ${what} goes on`, async () => {
    const jobtap = new FakeJobtap(perilog, config);
    jobtap.restore({ id: 5n, state, events, R: resources('1-2') });
    await settled();
    assert.deepEqual(jobtap.take(), done);
    assert.deepEqual(
      jobtap.world.programs.map(({ cmdline }) => (cmdline as string[])[0]),
      commands,
    );
    for (const program of jobtap.world.programs) await program.finish();
    if (commands.length) assert.match(jobtap.take().join(), new RegExp(`^${commands[0]}-finish 5 .* 0$`));
  });
}

test('the epilog of a job that ran through a restart follows', async () => {
  const jobtap = new FakeJobtap(perilog, settings(undefined, {}));
  const job = jobtap.restore({ id: 5n, state: 'run', events: ['start'], R: resources('1-2') });
  jobtap.event(job, 'finish', { status: 0 }, 'cleanup');
  assert.deepEqual(jobtap.take(), [`epilog-start 5 ${EPILOG}`]);
});

// ---- the configuration

test('the command is that of the IMP where none is given', () => {
  const config = { exec: { imp: '/usr/libexec/imp' }, 'job-manager': { prolog: {}, epilog: { command: ['e'] } } };
  const { prolog, epilog } = readPerilogConfig(config);
  assert.deepEqual(prolog!.command, ['/usr/libexec/imp', 'run', 'prolog']);
  assert.deepEqual(epilog!.command, ['e']);
});

for (const [table, text] of [
  [{ prolog: {} }, /\[job-manager\.prolog\]: no command specified and exec\.imp not defined/],
  [{ prolog: { command: 'x' } }, /\[job-manager\.prolog\].*'command' is not an array/],
  [{ epilog: { command: [5] } }, /\[job-manager\.epilog\]: command must be an array of strings/],
  [{ epilog: { command: [] } }, /command must be an array of strings/],
  [{ prolog: { command: ['x'], timeout: 'soon' } }, /\[job-manager\.prolog\]: invalid timeout 'soon'/],
  [{ prolog: { command: ['x'], nosuch: 1 } }, /unknown key 'nosuch'/],
  [{ prolog: 5 }, /it is not a table/],
  [{ perilog: { 'log-ignore': ['('] } }, /Failed to compile regex: \(/],
  [{ perilog: { 'log-ignore': [5] } }, /all entries must be a string value/],
] as [JsonObject, RegExp][]) {
  test(`[job-manager] ${JSON.stringify(table)} is refused, and what was there stays`, () => {
    const jobtap = new FakeJobtap(perilog, settings({}));
    throwsCode(() => jobtap.hooks.configure!({ 'job-manager': table }), 'EINVAL', text);
    assert.match(JSON.stringify(jobtap.hooks.query!()), /"prolog","-x"/);
  });
}

test('lines that match a pattern are not logged', async () => {
  const config = settings({});
  const [jobtap] = await run({
    'job-manager': { ...config['job-manager'], perilog: { 'log-ignore': ['^debug', 'noise$'] } },
  });
  jobtap.world.programs[0]!.print('stdout', 'debug: x\nsome noise\nnoise here\n');
  await settled();
  assert.deepEqual(jobtap.world.logs, ['ƒ6: prolog: node0 (rank 0): stdout: noise here']);
});
