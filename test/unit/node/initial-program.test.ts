// What a command line makes of the initial program.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { initialProgram } from '../../../core/node/initial-program.ts';
import { throwsCode } from '../../errors.ts';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'flux-initial-program-'));
after(() => fs.rmSync(folder, { recursive: true }));
const script = path.join(folder, 'script');
fs.writeFileSync(script, '#!/bin/sh\n', { mode: 0o755 });
const text = path.join(folder, 'text');
fs.writeFileSync(text, 'echo\n', { mode: 0o644 });
const spaced = path.join(folder, 'with space');
fs.copyFileSync(script, spaced);

const SHELL = '/opt/my-shell';

for (const [what, command, argv] of [
  ['a file that can be run is run', [script], [script]],
  ['one word that is no file is a command line for the shell', ['nosuch'], [SHELL, '-c', 'nosuch']],
  ['a folder is one, too', [folder], [SHELL, '-c', folder]],
  ['a file that cannot be run is one, too', [text], [SHELL, '-c', text]],
  ['words in one are a command line, whatever files there are', [spaced], [SHELL, '-c', spaced]],
  ['a program of the search path is looked for by the shell', ['true'], [SHELL, '-c', 'true']],
  ['an empty word is an empty command line', [''], [SHELL, '-c', '']],
  ['more words are a program and its arguments', ['nosuch', '-a', 'b c'], ['nosuch', '-a', 'b c']],
  ['a shell with arguments is no shell to type into', ['bash', '-c', 'x'], ['bash', '-c', 'x']],
] as [string, string[], string[]][]) {
  test(`${what}: ${JSON.stringify(command.map((word) => word.replace(folder, '…')))}`, () => {
    for (const isTerminal of [false, true]) {
      const program = initialProgram(command, SHELL, isTerminal, true);
      assert.deepEqual(program.argv, argv);
      assert.equal(program.passThrough, true);
      assert.ok(!program.interactive);
      assert.equal(program.text, argv[0] === SHELL ? command[0] : undefined);
    }
  });
}

for (const command of [[], ['bash'], ['sh'], ['/bin/sh'], ['zsh'], ['tcsh']]) {
  const what = command[0] ?? 'no command';
  test(`${what} is a shell to type into, in the group of the terminal, and wants a terminal`, () => {
    assert.deepEqual(initialProgram(command, SHELL, true, false), {
      argv: [command[0] ?? SHELL],
      passThrough: true,
      interactive: true,
      sameGroup: true,
    });
    throwsCode(() => initialProgram(command, SHELL, false, false), 'EINVAL', /not a tty/);
  });
}

test('a program stays in the group of its broker when that is wanted', () => {
  for (const command of [['a', 'b'], ['a']])
    for (const sameGroup of [false, true])
      assert.equal(initialProgram(command, SHELL, false, sameGroup).sameGroup, sameGroup);
});
