// What words of command lines mean: KEY=VALUE of jobtap and events, changes of jobspecs, the lines of multi-prog.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseKeyValues } from '../../../cli/key-values.ts';
import { MultiProg } from '../../../cli/multi-prog-file.ts';
import { jobspecKey, readUpdates } from '../../../cli/update-values.ts';
import { encodePythonJson } from '../../../core/formats/python-json.ts';
import { quoteShellWord, splitShellWords } from '../../../core/formats/shell-words.ts';
import { real, stringifyJson } from '../../../core/json.ts';
import { refused, throwsCode } from '../../errors.ts';

test('KEY=VALUE makes an object', () => {
  const rows: readonly (readonly [words: readonly string[], json: string | undefined])[] = [
    [[], undefined],
    [['a=1'], '{"a":1}'],
    [['a=1.0', 'b=x=y', 'c=', 'd="q"', 'e=[1]'], '{"a":1.0,"b":"x=y","c":"","d":"q","e":[1]}'],
    [['a.b=1', 'a.c.d=2'], '{"a":{"b":1,"c":{"d":2}}}'],
    [['a={"b":1}', 'a.c=2'], '{"a":{"b":1,"c":2}}'],
    [['a=1', 'a=2'], '{"a":2}'],
    [['__proto__.x=1'], '{"__proto__":{"x":1}}'],
  ];
  for (const [words, json] of rows) {
    const value = parseKeyValues(words);
    assert.equal(value && stringifyJson(value), json);
  }
  throwsCode(() => parseKeyValues(['a']), 'EINVAL', /'a' is not of the form KEY=VALUE/);
  throwsCode(() => parseKeyValues(['a=1', 'a.b=2']), 'EINVAL', /'a' is not an object/);
  throwsCode(() => parseKeyValues(['a=[]', 'a.b=2']), 'EINVAL', /'a' is not an object/);
});

test('keys of updates are paths in a jobspec', () => {
  const rows = [
    ['duration', 'attributes.system.duration'],
    ['name', 'attributes.system.job.name'],
    ['attributes.user.x', 'attributes.user.x'],
    ['resources.y', 'resources.y'],
    ['tasks', 'attributes.system.tasks'],
    ['toString', 'attributes.system.toString'],
  ] as const;
  for (const [key, path] of rows) assert.equal(jobspecKey(key), path);
});

test('a duration is set, or changed by a difference', async () => {
  const rows: readonly (readonly [value: string, before: number, after: number | RegExp])[] = [
    ['1h', 600, 3600],
    ['90', 0, 90],
    ['inf', 600, 0],
    ['+30s', 600, 630],
    ['-1m', 600, 540],
    ['+inf', 600, 0],
    ['-10m', 600, /may run for 10m, which cannot be 10m less/],
    ['-inf', 600, /cannot be inf less/],
    ['+1', 0, /without an end/],
    ['', 600, /duration=: invalid/],
    ['+x', 600, /duration=\+x: invalid/],
    ['--1', 600, /invalid/],
  ];
  for (const [value, before, after] of rows) {
    const updates = readUpdates([`duration=${value}`], async () => before);
    if (after instanceof RegExp) await refused(updates, 'EINVAL', after);
    else assert.deepEqual(await updates, { 'attributes.system.duration': real(after) }, value);
  }
});

test('JSON is written as Python does', () => {
  const value = { a: real(2), b: ['é', '😀', '\n'], c: { d: null, e: true }, f: 1e-7, g: undefined, h: 2n ** 60n };
  assert.equal(
    encodePythonJson(value, true),
    '{"a": 2.0, "b": ["\\u00e9", "\\ud83d\\ude00", "\\n"], "c": {"d": null, "e": true}, "f": 1e-07, "h": 1152921504606846976}',
  );
});

test('lines are split into words', () => {
  const rows: readonly (readonly [line: string, words: readonly string[] | RegExp])[] = [
    ['', []],
    [' \t\n', []],
    ['# nothing', []],
    ['a b#c d\n', ['a', 'b']],
    [`a 'b c' "d e"f ''`, ['a', 'b c', 'd ef', '']],
    ['a\\ b \\"', ['a b', '"']],
    [`"a\\"b" 'it\\'s' "\\n\\\\"`, ['a"b', "it's", '\\n\\']],
    ['a;b&&c >d (e)', ['a', ';', 'b', '&&', 'c', '>', 'd', '(', 'e', ')']],
    ['a "b', /quote " is not closed/],
    ["'", /quote ' is not closed/],
    ['a \\', /behind a backslash/],
  ];
  for (const [line, words] of rows) {
    if (words instanceof RegExp) throwsCode(() => splitShellWords(line), 'EINVAL', words);
    else assert.deepEqual(splitShellWords(line), words, line);
  }
  assert.deepEqual(['a-b', '', 'a b', "it's", 'é'].map(quoteShellWord), ['a-b', "''", "'a b'", `'it'"'"'s'`, "'é'"]);
});

test('a rank runs the program of the first line that has it', () => {
  const file = MultiProg.parse('# none\n0,2-3 a %t.%o\n\n3-4 b "%o %t"\n* c %o\n* d %t%o%%t\n9\n');
  const rows = [
    [0, 'a 0.0'],
    [1, 'd 10%1'],
    [3, 'a 3.2'],
    [4, 'b 1 4'],
    [9, 'd 90%9'],
  ] as const;
  for (const [rank, words] of rows) assert.equal(file.wordsOf(rank).join(' '), words);
  throwsCode(() => MultiProg.parse('1 a\n').wordsOf(0), 'ENOENT', /no line is for rank 0/);
  throwsCode(() => MultiProg.parse('1 a\nx b\n'), 'EINVAL', /^line 2: /);
  throwsCode(() => MultiProg.parse("1 'a\n"), 'EINVAL', /^line 1: a quote/);
});
