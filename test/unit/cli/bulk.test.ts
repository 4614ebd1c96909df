// The inputs of flux bulksubmit, what stands for them, and times of --begin-time.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTime } from '../../../cli/begin-time.ts';
import { formatLine, type Methods } from '../../../cli/bulk-format.ts';
import { parseSeparator, readTemplate } from '../../../cli/bulk-inputs.ts';
import type { BulkOptions } from '../../../cli/bulk-options.ts';

const options: BulkOptions = {
  urgency: '16',
  setopt: [],
  setattr: [],
  addFile: [],
  dependency: [],
  requires: [],
  env: [],
  rlimit: [],
  flags: [],
  verbose: 0,
};

test('replacements', () => {
  const methods: Methods = new Map<string, (input: string) => number | string[]>([
    ['two', (input: string) => 2 * Number(input)],
    ['words', (input: string) => input.split(',')],
  ]);
  const rows: readonly (readonly [word: string, inputs: readonly string[], words: readonly string[] | undefined])[] = [
    ['{}', ['a'], ['a']],
    ['{}{}', ['a', 'b'], ['ab']],
    ['{1}{0}', ['a', 'b'], ['ba']],
    ['{.%}', ['/a/b.c'], ['/a/b']],
    ['{0./}', ['/a/b.c'], ['b.c']],
    ['{.//}', ['/a//b.c'], ['/a']],
    ['{./%}', ['/a/b.tar.gz'], ['b.tar']],
    ['{.%}', ['..y'], ['..y']],
    ['{.%}', ['a.b/c'], ['a.b/c']],
    ['{.//}', ['x'], ['']],
    ['{seq}-{seq1:03d}', [], ['4-005']],
    ['{cc}', [], ['{cc}']],
    ['{{id}}{}', ['a'], ['{{id}}a']],
    ['{.two}', ['4'], ['8']],
    ['{.words}', ['a,b'], ['a', 'b']],
    ['{}', [], undefined],
    ['{2}', ['a'], undefined],
    ['{nope}', ['a'], undefined],
    ['{toString}', ['a'], undefined],
    ['{.nope}', ['a'], undefined],
    ['{', ['a'], undefined],
    ['}', ['a'], undefined],
  ];
  for (const [word, inputs, words] of rows) {
    const format = () =>
      formatLine(
        { words: [word], options, changed: new Set() },
        { inputs, methods, named: { seq: 4, seq1: 5, cc: '{cc}' } },
      );
    if (words) assert.deepEqual(format().words, words, word);
    else assert.throws(format, { code: 'EINVAL' }, word);
  }
});

test('inputs of the command line', () => {
  const rows: readonly (readonly [line: string, words: string, inputs: readonly string[] | undefined])[] = [
    ['echo {} ::: 1 2', 'echo {}', ['1', '2']],
    ['::: 1', '{}', ['1']],
    ['x ::: 1 2 ::: 3 4', 'x', ['1 3', '1 4', '2 3', '2 4']],
    ['x ::: 1 2 3 :::+ a b', 'x', ['1 a', '2 b', '3 a']],
    ['x ::: 1 2 :::+ a ::: 3 4', 'x', ['1 a 3', '1 a 4', '2 a 3', '2 a 4']],
    ['x ::: 1 :::+', 'x', undefined],
    ['x :::: a b', 'x', undefined],
    ['x ::::', 'x', undefined],
    ['x :::: /none/at/all', 'x', undefined],
  ];
  for (const [line, words, inputs] of rows) {
    const read = () => readTemplate(line.split(' '), '\n');
    if (!inputs) assert.throws(read, line);
    else {
      assert.equal(read().words.join(' '), words, line);
      assert.deepEqual(
        read().inputs.map((row) => row.join(' ')),
        inputs,
        line,
      );
    }
  }
});

test('separators', () => {
  const rows: readonly (readonly [text: string, separator: string | undefined])[] = [
    ['\\n', '\n'],
    ['\n', '\n'],
    ['\\t', '\t'],
    [',', ','],
    ['\\x2c', ','],
    ['None', undefined],
  ];
  for (const [text, separator] of rows) assert.equal(parseSeparator(text), separator, text);
  assert.throws(() => parseSeparator(''), { code: 'EINVAL' });
});

test('times', () => {
  // A Saturday.
  const now = new Date(2026, 10, 21, 12, 30, 15);
  const rows: readonly (readonly [text: string, date: Date | undefined])[] = [
    ['now', now],
    ['+1h', new Date(2026, 10, 21, 13, 30, 15)],
    ['-30s', new Date(2026, 10, 21, 12, 29, 45)],
    ['3pm', new Date(2026, 10, 21, 15)],
    ['12am', new Date(2026, 10, 22, 0)],
    ['15:30', new Date(2026, 10, 21, 15, 30)],
    ['8:30', new Date(2026, 10, 22, 8, 30)],
    ['noon', new Date(2026, 10, 22, 12)],
    ['tomorrow', new Date(2026, 10, 22)],
    ['tomorrow 8am', new Date(2026, 10, 22, 8)],
    ['8:15 pm tomorrow', new Date(2026, 10, 22, 20, 15)],
    ['2037-01-01 00:00', new Date(2037, 0, 1)],
    ['2037-01-02T03:04:05', new Date(2037, 0, 2, 3, 4, 5)],
    ['1/2/2037', new Date(2037, 0, 2)],
    ['Jan 5 2037 10:00', new Date(2037, 0, 5, 10)],
    ['in 5 minutes', new Date(2026, 10, 21, 12, 35, 15)],
    ['friday', new Date(2026, 10, 27)],
    ['next monday at 9am', new Date(2026, 10, 23, 9)],
    ['foo', undefined],
    ['', undefined],
    ['25:00', undefined],
    ['13pm', undefined],
    ['2037-13-01', undefined],
    ['2037-02-30', undefined],
    ['+x', undefined],
    ['8am foo', undefined],
  ];
  for (const [text, date] of rows) {
    if (date) assert.equal(parseTime(text, now), date.getTime() / 1000, text);
    else assert.throws(() => parseTime(text, now), { code: 'EINVAL' }, text);
  }
});
