/**
 * How instances end: by signals in each phase of their life, by their initial program, by a kill. None hangs, and each has
 * the exit code that says why.
 */

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { Handle } from '../../core/handle/handle.ts';
import { flux, startInstance } from './instance.ts';
import { type RunningProgram, startProgram, temporaryFolder, until } from './support.ts';

const folder = temporaryFolder();
let starts = 0;

interface Started extends RunningProgram {
  readonly uri: string;
  readonly rundir: string;
}

/** Starts `flux start ARGS…` with a run directory of its own. */
function start(args: readonly string[]): Started {
  const rundir = path.join(folder, `run-${++starts}`);
  const program = startProgram(flux, ['start', `-Srundir=${rundir}`, ...args], { TMPDIR: folder });
  return { ...program, rundir, uri: `local://${rundir}/local-0` };
}

/** Waits until rank 0 is in a state. */
async function untilState(instance: Started, state: string): Promise<void> {
  let handle: Handle | undefined;
  await until(async () => {
    handle = await Handle.open(instance.uri).catch(() => undefined);
    return handle !== undefined;
  }, 'somebody answers');
  await until(
    async () => (await handle!.rpc<{ state: string }>('state-machine.get')).state === state,
    `rank 0 is in state ${state}`,
  );
  await handle!.close();
}

/** The exit of an instance that is to end now, without a trace in its folders. */
async function exitOf(instance: Started): Promise<number | NodeJS.Signals> {
  const timer = setTimeout(() => instance.child.kill('SIGKILL'), 10_000);
  const exit = await instance.exited;
  clearTimeout(timer);
  assert.ok(!fs.existsSync(instance.rundir), `the run directory is still there; stderr: ${instance.stderr()}`);
  return exit;
}

const sleep = ['sleep', '60'];

interface Phase {
  readonly state: string;
  readonly args: readonly string[];
  readonly exit: number;
}

/** How an instance gets into each phase and stays there, and what it exits with when a signal comes. */
const phases: Phase[] = [
  { state: 'init', args: ['-Sbroker.rc1_path=exec sleep 60', 'true'], exit: 129 },
  { state: 'quorum', args: ['-s2', '--test-start-mode=leader', 'true'], exit: 0 },
  { state: 'run', args: sleep, exit: 129 },
  { state: 'run', args: ['-s3', ...sleep], exit: 129 },
  {
    state: 'cleanup',
    args: ['bash', '-c', 'echo "exec sleep 60" | flux admin cleanup-push'],
    exit: 129,
  },
  { state: 'finalize', args: ['-Sbroker.rc3_path=exec sleep 60', 'true'], exit: 129 },
];

describe('a signal ends an instance', { concurrency: 3 }, () => {
  for (const { state, args, exit } of phases) {
    for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) {
      test(`${signal} in state ${state} of ${args.join(' ')}`, async () => {
        const instance = start(args);
        await untilState(instance, state);
        instance.child.kill(signal);
        assert.equal(await exitOf(instance), exit, instance.stderr());
      });
    }
  }

  test('a second signal ends what the first did not', async () => {
    const script = 'trap "echo once; trap - HUP" HUP; echo ready; while :; do sleep 0.01; done';
    const instance = start(['bash', '-c', script]);
    await until(() => instance.stdout().includes('ready'), 'the program runs');
    instance.child.kill('SIGTERM');
    await until(() => instance.stdout().includes('once'), 'the program was told');
    instance.child.kill('SIGTERM');
    assert.equal(await exitOf(instance), 129);
  });

  test('many signals end it as one does', async () => {
    const instance = start(['-s4', ...sleep]);
    await untilState(instance, 'run');
    for (let i = 0; i < 20; i++) instance.child.kill(i % 2 ? 'SIGTERM' : 'SIGHUP');
    assert.equal(await exitOf(instance), 129);
  });

  test('a signal right after the start ends it, too', async () => {
    const codes = await Promise.all(
      [0, 50, 100, 150, 200].map(async (delayMs) => {
        const instance = start(['-s2', ...sleep]);
        await new Promise((resolve) => setTimeout(resolve, delayMs));
        instance.child.kill('SIGTERM');
        return exitOf(instance);
      }),
    );
    // Node itself, before there is an instance, or while it starts; and the program that the signal ends.
    for (const code of codes) assert.ok(['SIGTERM', 0, 129].includes(code), `${codes}`);
  });

  test('a follower whose rc3 does not end does not keep it from ending', async () => {
    const rc3 = 'if test $(flux getattr rank) = 1; then exec sleep 60; fi';
    const instance = start(['-s2', `-Sbroker.rc3_path=${rc3}`, ...sleep]);
    await untilState(instance, 'run');
    instance.child.kill('SIGTERM');
    await untilState(instance, 'shutdown');
    instance.child.kill('SIGTERM');
    assert.equal(await exitOf(instance), 129);
  });
});

const programs: [script: string, exit: number][] = [
  ['exit 0', 0],
  ['exit 3', 3],
  ['kill -KILL $$', 137],
  ['kill -SEGV $$', 139],
  ['flux shutdown --background; exec sleep 60', 129],
];

describe('the exit code is that of the initial program', { concurrency: 3 }, () => {
  for (const [script, exit] of programs) {
    test(script, async () => {
      const instance = start(['-s2', 'bash', '-c', script]);
      assert.equal(await exitOf(instance), exit, instance.stderr());
    });
  }

  test('when somebody else kills it', async () => {
    const instance = start(['bash', '-c', 'echo $$; exec sleep 60']);
    await until(() => instance.stdout().endsWith('\n'), 'the program runs');
    process.kill(Number(instance.stdout()), 'SIGKILL');
    assert.equal(await exitOf(instance), 137);
  });

  test('that of the first rank that fails when rc1 does', async () => {
    const instance = start(['-s2', '-Sbroker.rc1_path=exit 7', 'true']);
    assert.equal(await exitOf(instance), 7);
    assert.match(instance.stderr(), /rc1\.0: exit 7 Exited \(rc=7\)/);
  });

  test('that of rc3 when it fails', async () => {
    const instance = start(['-Sbroker.rc3_path=exit 8', 'true']);
    assert.equal(await exitOf(instance), 8);
  });
});

test('clients of an instance that is killed learn it at once', async () => {
  const instance = await startInstance(2);
  const handle = await Handle.open(instance.uri);
  const answer = handle.rpc('state-machine.monitor', {}, { flags: 64 }).then(() => handle.rpc('groups.get', {}));
  process.kill(instance.pid, 'SIGKILL');
  assert.equal((await handle.closed)?.code, 'ECONNRESET');
  await assert.rejects(answer);
  await instance.stop();
});

test('a program whose stdout is a slow pipe loses nothing', async () => {
  const instance = start(['bash', '-c', 'echo begin >&2; seq 200000']);
  instance.child.stdout.pause();
  await until(() => instance.stderr().includes('begin'), 'the program runs');
  await new Promise((resolve) => setTimeout(resolve, 200));
  instance.child.stdout.resume();
  assert.equal(await exitOf(instance), 0, instance.stderr());
  assert.ok(instance.stdout().endsWith('\n199999\n200000\n'));
});

test('a program reads the stdin of flux start, when it comes', async () => {
  const instance = start(['bash', '-c', 'echo begin; cat']);
  await until(() => instance.stdout().includes('begin'), 'the program runs');
  instance.child.stdin.end('some text\n');
  assert.equal(await exitOf(instance), 0, instance.stderr());
  assert.equal(instance.stdout(), 'begin\nsome text\n');
});
