// flux sproc on a real instance: programs are listed, signalled, waited for and followed by their process id and label.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { type Instance, startInstance } from './instance.ts';
import { checkRows } from './rows.ts';

let instance: Instance;
before(async () => {
  instance = await startInstance(2);
});
after(() => instance.stop());

/** Starts a program in the background of rank 1 and resolves to its process id. */
async function start(...words: string[]): Promise<string> {
  const { stdout, stderr } = await instance.flux(['exec', '--bg', '-r1', ...words]);
  assert.equal(stderr, '');
  return /^1: (\d+)\n$/.exec(stdout)![1]!;
}

test('running programs are listed as the format says', async () => {
  assert.deepEqual(
    await instance.flux(['sproc', 'ps', '-r1']),
    { stdout: '      PID ST LABEL        COMMAND\n', stderr: '', exit: 0 },
    'nothing runs',
  );
  const one = await start('--label=one', 'sleep', '60');
  const two = await start('sleep', '61');
  await checkRows(instance, [
    {
      args: ['sproc', 'ps', '--rank=1'],
      stdout: [
        '      PID ST LABEL        COMMAND',
        `${one.padStart(9)} R  one          sleep`,
        `${two.padStart(9)} R  -            sleep`,
        '',
      ].join('\n'),
    },
    { args: ['sproc', 'ps', '-r1', '-n', '-o', '{pid} {rank}'], stdout: `${one} 1\n${two} 1\n` },
    {
      args: ['sproc', 'ps', '-r1', '-o', 'sort:label {label:>5} {cmd:.3}'],
      stdout: 'LABEL COMMAND\n    - sle\n  one sle\n',
    },
    { args: ['sproc', 'ps', '-r1', '-no', 'sort:-label {{{label}}}'], stdout: '{one}\n{-}\n' },
    {
      args: ['sproc', 'ps', '-r1', '--json'],
      stdout: new RegExp(`^\\[{"rank":1,"pid":${one},.*"label":"one".*},{.*"label":"".*}\\]\n$`),
    },
    { args: ['sproc', 'kill', '-r1', '9', two] },
    { args: ['sproc', 'kill', '-r1', 'SIGTERM', 'one'] },
  ]);
});

test('the end of a program can be waited for', async () => {
  await start('--waitable', '--label=three', 'sh', '-c', 'echo out; echo err >&2; exit 3');
  await start('--waitable', '--label=asleep', 'sleep', '60');
  await start('--label=forgotten', 'sleep', '60');
  await checkRows(instance, [
    { args: ['sproc', 'wait', '-r1', 'forgotten'], stderr: /not waitable/, exit: 1 },
    { args: ['sproc', 'wait', '-r1', '--output', 'three'], stdout: 'out\n', stderr: /^err\n$/, exit: 3 },
    { args: ['sproc', 'wait', '-r1', 'three'], stderr: /label three does not belong/, exit: 1 },
    { args: ['sproc', 'kill', '-r1', '--wait', '15', 'asleep'], exit: 143 },
    { args: ['sproc', 'kill', '-r1', '9', 'forgotten'] },
  ]);
});

test('a program can be followed', async () => {
  const file = path.join(os.tmpdir(), `flux-sproc-test-${process.pid}`);
  await start('--label=chatty', 'sh', '-c', `while [ ! -e ${file} ]; do echo late; sleep 0.05; done; exit 4`);
  // Told to end once it is heard.
  const script = `flux sproc attach -r1 chatty | { read line; echo $line; touch ${file}; cat >/dev/null; }; exit \${PIPESTATUS[0]}`;
  const outcome = await instance.shell(script);
  fs.rmSync(file, { force: true });
  assert.deepEqual(outcome, { stdout: 'late\n', stderr: '1: Exit 4\n', exit: 4 });
});

test('wrong command lines end in one sentence', () =>
  checkRows(instance, [
    { args: ['sproc'], stderr: /^Usage: flux sproc COMMAND/, exit: 2 },
    { args: ['sproc', 'frob'], stderr: /there is no command 'frob'/, exit: 2 },
    { args: ['sproc', 'kill', '15', 'nosuch'], stderr: /kill: label nosuch does not belong/, exit: 1 },
    { args: ['sproc', 'kill', '15', '999999999'], stderr: /pid 999999999 does not belong/, exit: 1 },
    { args: ['sproc', 'kill', 'SIGNOSUCH', '1'], stderr: /'SIGNOSUCH' is not a signal/, exit: 1 },
    { args: ['sproc', 'kill', '--wait', '15', 'nosuch'], stderr: /kill: label nosuch/, exit: 1 },
    { args: ['sproc', 'wait', 'nosuch'], stderr: /label nosuch does not belong/, exit: 1 },
    { args: ['sproc', 'attach', 'nosuch'], stderr: /^flux-sproc: Error: rank 0: label nosuch/, exit: 127 },
    { args: ['sproc', 'ps', '-r9'], stderr: /ps: rank 9: No route to host/, exit: 1 },
    { args: ['sproc', 'ps', '-s', 'nosuch'], stderr: /nosuch/, exit: 1 },
    { args: ['sproc', 'ps', '-o', '{nosuch}'], stderr: /no field 'nosuch'.*pid, state, label/, exit: 1 },
    { args: ['sproc', 'ps', '-o', '{pid'], stderr: /a single '{'/, exit: 1 },
    { args: ['sproc', 'ps', '-o', '{pid:zz}'], stderr: /'zz' is no format specification/, exit: 1 },
    { args: ['sproc', 'ps', '-o', 'sort:nosuch {pid}'], stderr: /no field 'nosuch' to sort by/, exit: 1 },
    { args: ['sproc', 'ps', '-r', 'x'], stderr: /'x' is not a rank/, exit: 2 },
    { args: ['sproc', 'wait', '-r9', 'x'], stderr: /wait: rank 9: No route to host/, exit: 1 },
    { args: ['sproc', 'kill', '-r9', '15', 'x'], stderr: /rank 9: No route to host/, exit: 1 },
  ]));
