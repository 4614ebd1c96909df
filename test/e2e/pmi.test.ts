/** `flux pmi` as the processes of a program. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flux } from './instance.ts';
import { launchProgram } from './pmi-program.ts';

const launch = (size: number, ...args: readonly string[]) => launchProgram(size, flux, ['pmi', ...args]);

test('processes meet at barriers, and rank 0 tells of it', async () => {
  const { ended } = await launch(3, 'barrier', '--test-count=2');
  const line = '0: completed pmi barrier on 3 tasks\n';
  assert.deepEqual(
    ended,
    [line + line, '', ''].map((stdout) => ({ exit: 0, stdout, stderr: '' })),
  );
});

test('each gets what each has given', async () => {
  const { ended } = await launch(4, 'exchange', '--count=2');
  assert.match(ended[0]!.stdout, /^(0: completed pmi exchange on 4 tasks in \d\.\d{3}s\.\n){2}$/);
  assert.deepEqual(
    ended.map(({ exit, stderr }) => [exit, stderr]),
    ended.map(() => [0, '']),
  );
});

test('keys that are there are printed where that is wanted, and others are an error', async () => {
  const { ended } = await launch(2, 'get', '--ranks=1', 'flux.taskmap');
  assert.deepEqual(
    ended.map(({ stdout }) => stdout),
    ['', '[[0,1,1,1]]\n'],
  );
  const [one] = (await launch(1, 'get', 'nope')).ended;
  assert.deepEqual([one!.exit, one!.stderr], [1, 'flux-pmi get: get nope: get failed: key_not_found\n']);
});

test('one process has all ended', async () => {
  const { aborts, ended } = await launch(2, 'barrier', '--test-abort=1');
  assert.deepEqual(aborts, ['1 1 flux-pmi: rank 1 is aborting']);
  assert.equal(ended[0]!.exit, null);
});

test('what takes too long fails, and what cannot be is said', async () => {
  const { ended } = await launch(1, '-t', '0.1s', 'barrier', '--test-count=1000000');
  assert.deepEqual(
    [ended[0]!.exit, ended[0]!.stderr],
    [1, 'flux-pmi: timeout expired before PMI operation completed\n'],
  );
  const [wrong] = (await launch(1, '--method=nope', 'barrier')).ended;
  assert.deepEqual([wrong!.exit, /no PMI method 'nope'/.test(wrong!.stderr)], [1, true]);
});
