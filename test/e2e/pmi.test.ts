/** `flux pmi` as the processes of a program, with a server that each has at its own file descriptor, as launchers do it. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { PmiServer } from '../../core/pmi/simple-server.ts';
import { PmiLines } from '../../core/pmi/wire.ts';
import { flux } from './instance.ts';

interface Ended {
  readonly exit: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program of so many processes `flux pmi ARGS…`; an abort kills them. */
async function launch(size: number, ...args: readonly string[]): Promise<{ ended: Ended[]; aborts: string[] }> {
  const aborts: string[] = [];
  const processes = Array.from({ length: size }, (_, rank) =>
    spawn(flux, ['pmi', ...args], {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, PMI_FD: '3', PMI_RANK: String(rank), PMI_SIZE: String(size) },
    }),
  );
  const server = new PmiServer({
    name: 'program',
    size,
    values: { 'flux.taskmap': '[[0,1,1,1]]' },
    send: (rank, line) => void (processes[rank]!.stdio[3] as Duplex).write(line),
    abort: (rank, exitCode, message) => {
      aborts.push(`${rank} ${exitCode} ${message}`);
      for (const each of processes) each.kill();
    },
  });
  const ended = await Promise.all(
    processes.map(async (each, rank) => {
      const lines = new PmiLines();
      const own = each.stdio[3] as Duplex;
      own.on('data', (bytes) => {
        for (const line of lines.take(String(bytes))) server.receive(rank, line);
      });
      // One that ends does not read all that it was told.
      own.on('error', () => {});
      const [[exit], stdout, stderr] = await Promise.all([once(each, 'exit'), text(each.stdout!), text(each.stderr!)]);
      return { exit: exit as number | null, stdout, stderr };
    }),
  );
  return { ended, aborts };
}

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
