/** `flux broker` as the processes of a program that some launcher starts: one instance. */

import assert from 'node:assert/strict';
import os from 'node:os';
import { test } from 'node:test';
import { flux } from './instance.ts';
import { type LaunchOptions, launchProgram } from './pmi-program.ts';

const launch = (size: number, args: readonly string[], options?: LaunchOptions) =>
  launchProgram(size, flux, ['broker', ...args], options);

const exits = (ended: readonly { readonly exit: number | null }[]) => ended.map(({ exit }) => exit);

test('each process is a rank, and rank 0 runs the program', async () => {
  const script =
    'flux getattr size; flux getattr hostlist; flux getattr broker.boot-method; flux exec -r all -l flux getattr rank';
  const { ended } = await launch(3, ['sh', '-c', script]);
  const { stdout, stderr } = ended[0]!;
  const host = os.hostname();
  const [size, hosts, method, ...ranks] = stdout.trimEnd().split('\n');
  assert.deepEqual([size, hosts, method, stderr], ['3', [host, host, host].join(), 'simple', '']);
  assert.deepEqual(ranks.sort(), ['0: 0', '1: 1', '2: 2']);
  assert.deepEqual(exits(ended), [0, 0, 0]);
  assert.deepEqual(
    ended.slice(1).map((each) => each.stdout + each.stderr),
    ['', ''],
  );
});

test('the exit code of the program is that of rank 0', async () => {
  const { ended } = await launch(2, ['sh', '-c', 'exit 3']);
  assert.deepEqual(exits(ended), [3, 0]);
});

test('who signals all processes ends the instance in order', async () => {
  const { ended } = await launch(2, ['sh', '-c', 'echo started; exec sleep 60'], {
    started: (processes) =>
      processes[0]!.stdout!.once('data', () => {
        for (const each of processes) each.kill('SIGTERM');
      }),
  });
  assert.deepEqual(exits(ended), [128 + 1, 0]);
});

test('when the process that hosts all ranks is killed, the others fail', async () => {
  let program = 0;
  const { ended } = await launch(2, ['sh', '-c', 'echo $$; exec sleep 60 >&- 2>&-'], {
    started: ([first]) =>
      first!.stdout!.once('data', (text) => {
        program = Number(text);
        first!.kill('SIGKILL');
      }),
  });
  process.kill(program);
  assert.deepEqual(exits(ended), [null, 1]);
  assert.match(ended[1]!.stderr, /flux-broker: the instance is gone/);
});

test('what keeps the instance from starting ends all processes', async () => {
  const { ended, aborts } = await launch(2, ['-Srundir=/no/such/folder', 'true']);
  assert.match(ended[0]!.stderr, /^flux-broker: rundir: /);
  assert.match(aborts.join(), /^0 1 rundir: /);
  assert.notEqual(ended[1]!.exit, 0);
});

test('a job needs the instance that it is a job of', async () => {
  const values = { 'flux.instance-level': '1' };
  const [one] = (await launch(1, ['true'], { values })).ended;
  assert.deepEqual(
    [one!.exit, one!.stderr],
    [1, 'flux-broker: FLUX_URI of the enclosing instance is not in the environment\n'],
  );
  const env = { FLUX_URI: 'local:///no/such/socket' };
  const [other] = (await launch(1, ['true'], { name: 'ƒA', values, env })).ended;
  assert.equal(other!.exit, 1);
  assert.match(other!.stderr, /cannot connect to local:\/\/\/no\/such\/socket/);
});
