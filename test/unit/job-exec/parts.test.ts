import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FluxError } from '../../../core/errno.ts';
import { IdSet } from '../../../core/formats/idset.ts';
import type { JsonObject } from '../../../core/json.ts';
import { ShellBarrier } from '../../../workers/job-exec/barrier.ts';
import { effectiveMaxKillTimeout, readExecSettings } from '../../../workers/job-exec/settings.ts';
import { JobWorld } from '../../job-world.ts';
import { Agenda } from '../../sim/agenda.ts';

test('[exec] of the configuration', () => {
  const settings = readExecSettings(
    { exec: { 'kill-timeout': '1m', 'term-signal': 'SIGINT', testexec: { 'allow-guests': true } } },
    ['kill-timeout=2s', 'max-kill-count=2', 'job-shell=/bin/shell'],
  );
  assert.equal(settings.killTimeout, 2);
  assert.equal(settings.termSignal, 2);
  assert.equal(settings.maxKillCount, 2);
  assert.equal(settings.jobShell, '/bin/shell');
  assert.equal(settings.allowsGuestsToMock, true);
  assert.equal(effectiveMaxKillTimeout(settings), 12);
  assert.equal(readExecSettings({ exec: { 'shell-exit-timeout': 'none' } }, []).shellExitTimeout, 0);
});

const wrong: readonly (readonly [exec: JsonObject, sentence: RegExp])[] = [
  [{ 'kill-timeout': '0s' }, /invalid kill-timeout: 0s/],
  [{ 'kill-timeout': 'soon' }, /invalid kill-timeout: soon/],
  [{ 'max-kill-count': 0 }, /invalid max-kill-count=0/],
  [{ 'term-signal': 'SIGNOT' }, /invalid term-signal: SIGNOT/],
  [{ method: 'magic' }, /unknown exec.method 'magic'/],
  [{ service: 'sdexec' }, /unsupported exec.service value: sdexec/],
  [{ 'sdexec-properties': { x: 1 } }, /exec.sdexec-properties.x is not a string/],
  [{ imp: 1 }, /'imp' is not a string/],
  [{ nosuch: 1 }, /unknown key 'nosuch'/],
];
for (const [exec, sentence] of wrong)
  test(`[exec]: ${sentence}`, () => {
    assert.throws(
      () => readExecSettings({ exec }, []),
      (error) => error instanceof FluxError && sentence.test(error.message),
    );
  });

test('a barrier: complete, timed, and ended by a shell that ends', () => {
  const agenda = new Agenda();
  const left: string[] = [];
  let missing = '';
  const make = () =>
    new ShellBarrier([3, 4, 7], agenda.clock('barrier'), 10, (pending) => {
      missing = pending.encode();
    });
  const enter = (barrier: ShellBarrier, rank: number) => barrier.enter(rank, (ok) => left.push(`${rank} ${ok}`));
  const barrier = make();
  for (const rank of [4, 3]) enter(barrier, rank);
  assert.throws(() => enter(barrier, 3), /rank 3 is not pending/);
  assert.throws(() => enter(barrier, 5), /rank 5 is not pending/);
  assert.deepEqual(left, []);
  enter(barrier, 7);
  assert.deepEqual(left.splice(0), ['4 true', '3 true', '7 true']);
  // Only the first one has a time limit.
  enter(barrier, 4);
  assert.equal(agenda.nextTime, Number.POSITIVE_INFINITY);
  barrier.shellEnded();
  assert.deepEqual(left.splice(0), ['4 false']);
  enter(barrier, 3);
  assert.deepEqual(left.splice(0), ['3 false']);
  const slow = make();
  enter(slow, 4);
  agenda.step();
  assert.equal(missing, IdSet.parse('3,7').encode());
});

test('a shell that is a program of the configuration', async () => {
  const world = await JobWorld.start({ config: { exec: { 'job-shell': '/bin/my-shell' } } });
  try {
    const matchtag = world.startJob(1n);
    await world.until(() => world.asked.some(({ topic }) => topic === 'rexec.exec'));
    const { payload } = world.asked.find(({ topic }) => topic === 'rexec.exec')!;
    const { cmd } = payload as { readonly cmd: JsonObject };
    assert.deepEqual(cmd.cmdline, ['/bin/my-shell', '1']);
    assert.equal((cmd.env as JsonObject).FLUX_KVS_NAMESPACE, 'job-1');
    assert.equal((cmd.env as JsonObject).BROKER, 'yes');
    world.tellOfProgram({ type: 'started', pid: 7 });
    world.tellOfProgram({ type: 'output', pid: 7, io: { stream: 'stderr', rank: '0', data: 'oh\n' } });
    await world.until(() => world.said(matchtag).length === 1);
    assert.equal((await world.ask('job-exec.shell-barrier', { id: 1, rank: 0 })).errno, '');
    world.tellOfProgram({ type: 'finished', status: 512 });
    world.tellOfProgram(undefined);
    assert.deepEqual(await world.whenReleased(matchtag), [
      'start',
      'finish {"status":512}',
      'release {"ranks":"all","final":true}',
    ]);
    assert.deepEqual(world.events(1n, 'exec.eventlog'), [
      'init',
      'starting',
      'log {"component":"flux-shell","stream":"stderr","rank":"0","data":"oh\\n"}',
      'shell-exit {"rank":0,"wait_status":512}',
      'complete {"status":512}',
      'done',
    ]);
  } finally {
    world.close();
  }
});
