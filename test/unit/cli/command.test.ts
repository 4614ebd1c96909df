// What every command has in common: exit codes, sentences on stderr, values of options, colours.

import assert from 'node:assert/strict';
import { mock, type TestContext, test } from 'node:test';
import {
  count,
  Exit,
  increase,
  integer,
  rank,
  refuseOption,
  runCommand,
  runsAnother,
  subcommand,
} from '../../../cli/command.ts';
import { type NestedCommand, runNested } from '../../../cli/nested.ts';
import { colorOption, painter } from '../../../cli/terminal.ts';
import { FluxError } from '../../../core/errno.ts';

/** What is written while `action` runs. */
async function written(action: () => Promise<number>): Promise<{ stdout: string; stderr: string; exit: number }> {
  const texts = { stdout: '', stderr: '' };
  const mocks = (['stdout', 'stderr'] as const).map((name) =>
    mock.method(process[name], 'write', (text: string) => {
      texts[name] += text;
      return true;
    }),
  );
  try {
    return { exit: await action(), ...texts };
  } finally {
    for (const each of mocks) each.mock.restore();
  }
}

type Values = Record<string, unknown>;

/** A command with an option of each kind; resolves to what it was given. */
async function parsed(
  args: readonly string[],
): Promise<{ words: string[]; options: Values; stderr: string; exit: number }> {
  let given: { words: string[]; options: Values } = { words: [], options: {} };
  const command = colorOption(
    refuseOption(subcommand('probe it', 'Probe.'), '--wrap [ARGS]', 'there is nothing to wrap'),
  )
    .argument('[words...]')
    .option('-n, --number <N>', 'a count', count)
    .option('-i, --integer <N>', 'an integer', integer)
    .option('-r, --rank <N>', 'a rank', rank)
    .option('-v, --verbose', 'more', increase, 0)
    .action((words: string[], options: Values) => {
      given = { words, options };
    });
  const { stderr, exit } = await written(() => runCommand(command, args, 3));
  return { ...given, stderr, exit };
}

test('options are read, and a value that may be left out comes only behind =', async () => {
  const rows: readonly (readonly [line: string, words: readonly string[], options: Values])[] = [
    ['', [], {}],
    ['-n 3 a b', ['a', 'b'], { number: 3 }],
    ['-i -0x10', [], { integer: -16 }],
    ['--rank=07', [], { rank: 7 }],
    ['-vv', [], { verbose: 2 }],
    ['-L never', ['never'], { color: 'always' }],
    ['--color never', ['never'], { color: 'always' }],
    ['--color=never x', ['x'], { color: 'never' }],
    ['-- -L', ['-L'], {}],
  ];
  for (const [line, words, options] of rows) {
    const { exit, stderr, ...given } = await parsed(line.split(' ').filter(Boolean));
    assert.deepEqual({ exit, stderr }, { exit: 0, stderr: '' }, line);
    assert.deepEqual(given, { words, options: { verbose: 0, ...options } }, line);
  }
});

test('wrong command lines are told in a sentence and a hint', async () => {
  const rows: readonly (readonly [line: string, sentence: RegExp])[] = [
    ['--nosuch', /^flux-probe it: unknown option '--nosuch'/],
    ['-n x', /'x' is not a count/],
    ['-n -1', /'-1' is not a count/],
    ['-i 1.5', /'1\.5' is not an integer/],
    ['-i 1e5', /'1e5' is not an integer/],
    ['-i abc', /'abc' is not an integer/],
    ['-i 9007199254740993', /is not an integer/],
    ['-r 1-2', /'1-2' is not a rank/],
    ['--color=some', /Allowed choices are always, never, auto/],
    ['-n', /argument missing/],
  ];
  for (const [line, sentence] of rows) {
    const { exit, stderr } = await parsed(line.split(' '));
    assert.equal(exit, 3, line);
    assert.match(stderr, sentence);
    assert.match(stderr, /\nTry `flux probe it --help' for more information\.\n$/);
  }
  const refusal = await parsed(['--wrap=gdb']);
  assert.deepEqual(refusal.stderr, 'flux-probe it: --wrap: there is nothing to wrap\n');
  assert.equal(refusal.exit, 1);
});

test('what an action throws is its exit code and a sentence', async () => {
  const rows: readonly (readonly [thrown: unknown, exit: number, stderr: string])[] = [
    [new Exit(7), 7, ''],
    [new FluxError('EINVAL', 'x is wrong'), 1, 'flux-x: x is wrong\n'],
    [new FluxError('ENOENT'), 1, 'flux-x: No such file or directory\n'],
    [
      Object.assign(new Error('ENOENT: no such'), { code: 'ENOENT', syscall: 'open', path: '/a' }),
      1,
      'flux-x: /a: No such file or directory\n',
    ],
    [new TypeError('a bug'), 1, 'flux-x: a bug\n'],
  ];
  for (const [thrown, exit, stderr] of rows) {
    const command = subcommand('x', 'Fail.').action(() => Promise.reject(thrown));
    assert.deepEqual(await written(() => runCommand(command, [])), { stdout: '', stderr, exit });
  }
});

test('help is asked for on stdout, and ends well', async () => {
  const { stdout, stderr, exit } = await written(() => runCommand(subcommand('x', 'Do it.'), ['--help'], 2));
  assert.match(stdout, /^Usage: flux x .*\n\nDo it\.\n/);
  assert.deepEqual({ stderr, exit }, { stderr: '', exit: 0 });
});

test('options behind the first word are those of the program that is run', async () => {
  let words: string[] = [];
  const command = runsAnother(subcommand('x', 'Run.').argument('[command...]').option('-n', 'an option')).action(
    (given: string[]) => {
      words = given;
    },
  );
  assert.equal(await runCommand(command, ['-n', 'ls', '-l', '--', '-n']), 0);
  assert.deepEqual(words, ['ls', '-l', '--', '-n']);
});

test('commands of a command are found, listed, and refused', async () => {
  const seen: string[] = [];
  const commands: Record<string, NestedCommand> = {
    list: {
      summary: 'List them',
      define: (command) => command.argument('[word]').action((word: string) => void seen.push(word)),
    },
  };
  const nested = (...args: string[]) => written(() => runNested('thing', 'Things.', commands, args, 2));
  const usage = /^Usage: flux thing COMMAND \[OPTIONS\] \.\.\.\n\nThings\.\n\nCommands:\n {2}list {2}List them\n/;
  assert.equal((await nested('list', 'a')).exit, 0);
  assert.deepEqual(seen, ['a']);
  const rows: readonly (readonly [args: string[], exit: number, stdout: RegExp, stderr: RegExp])[] = [
    [[], 2, /^$/, usage],
    [['--help'], 0, usage, /^$/],
    [['-h'], 0, usage, /^$/],
    [['nosuch'], 2, /^$/, /^flux-thing: there is no command 'nosuch'\nTry `flux thing --help'/],
    [['toString'], 2, /^$/, /there is no command 'toString'/],
    [['--nosuch'], 2, /^$/, /unrecognized option '--nosuch'/],
    [['list', '--nosuch'], 2, /^$/, /^flux-thing list: unknown option '--nosuch'/],
    [['list', '--help'], 0, /^Usage: flux thing list .*\n\nList them\.\n/, /^$/],
  ];
  for (const [args, exit, stdout, stderr] of rows) {
    const outcome = await nested(...args);
    assert.equal(outcome.exit, exit, args.join(' '));
    assert.match(outcome.stdout, stdout);
    assert.match(outcome.stderr, stderr);
  }
});

test('colours are for terminals, unless somebody says otherwise', (t: TestContext) => {
  const { isTTY } = process.stdout;
  const { NO_COLOR } = process.env;
  t.after(() => {
    process.stdout.isTTY = isTTY;
    if (NO_COLOR === undefined) delete process.env.NO_COLOR;
    else process.env.NO_COLOR = NO_COLOR;
  });
  const rows: readonly (readonly [
    isTTY: boolean,
    NO_COLOR: string,
    option: 'always' | 'never' | 'auto' | undefined,
    colored: boolean,
  ])[] = [
    [true, '', undefined, true],
    [false, '', undefined, false],
    [true, '1', undefined, false],
    [true, '1', 'auto', true],
    [false, '1', 'always', true],
    [true, '', 'never', false],
    [false, '', 'auto', false],
  ];
  for (const [terminal, noColor, option, colored] of rows) {
    process.stdout.isTTY = terminal;
    process.env.NO_COLOR = noColor;
    const paint = painter(option);
    assert.equal(paint('red', 'x'), colored ? '\x1b[31mx\x1b[0m' : 'x', JSON.stringify([terminal, noColor, option]));
    assert.equal(paint(undefined, 'x'), 'x');
  }
});
