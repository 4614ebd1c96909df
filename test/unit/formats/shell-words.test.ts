// Lines split into words: what Python's shlex makes of each, as flux-core uses it for directives.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { quoteShellWord, splitShellWords } from '../../../core/formats/shell-words.ts';

test('lines split into words', () => {
  const rows: readonly (readonly [text: string, words: readonly string[] | undefined])[] = [
    ['', []],
    ['  \t\n', []],
    ['-N4 --exclusive', ['-N4', '--exclusive']],
    ['--job-name="my job" # comment', ['--job-name=my job']],
    ["'a\\'b' c", ["a'b", 'c']],
    ['"a\\"b\\\\c\\d"', ['a"b\\c\\d']],
    ['a\\ b', ['a b']],
    ['""', ['']],
    ["a''b", ['ab']],
    ['a#b c', ['a']],
    ['a\\#b', ['a#b']],
    ["'#'", ['#']],
    ['a;b && c', ['a', ';', 'b', '&&', 'c']],
    ['--x=(1)', ['--x=', '(', '1', ')']],
    ['"a\nb" # x\nc', ['a\nb', 'c']],
    ['"a', undefined],
    ["'a", undefined],
    ['a\\', undefined],
    ['"a\\', undefined],
  ];
  for (const [text, words] of rows) {
    if (words) assert.deepEqual(splitShellWords(text), words, text);
    else assert.throws(() => splitShellWords(text), { code: 'EINVAL' }, text);
  }
});

test('a quoted word reads back', () => {
  for (const word of ['', 'a', 'a b', "it's", '"', 'a\nb', '#', "'''", '$x'])
    assert.deepEqual(splitShellWords(quoteShellWord(word)), [word], word);
});
