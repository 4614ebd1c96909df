/** Shell patterns: what each matches and what not, and that no pattern takes long. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { globMatcher } from '../../../core/formats/glob.ts';

const rows: [pattern: string, matches: string[], not: string[]][] = [
  ['', [''], ['a']],
  ['kvs.get', ['kvs.get'], ['kvs.getroot', 'akvs.get', 'kvsxget']],
  ['*', ['', 'a', 'a.b'], []],
  ['kvs.*', ['kvs.', 'kvs.get'], ['kvs', 'akvs.get']],
  ['*.ping', ['.ping', 'a.b.ping'], ['a.pings']],
  ['a*b*c', ['abc', 'a-b-b-c', 'abcbc'], ['ab', 'acb']],
  ['**', ['', 'x'], []],
  ['a?c', ['abc', 'a.c'], ['ac', 'abbc']],
  ['[abc].[!d]', ['a.x', 'c.e'], ['d.x', 'a.d', 'a.']],
  ['[^a-c]', ['d', '-'], ['b', '']],
  ['[a-c-]', ['b', '-'], ['d']],
  ['[]a]', [']', 'a'], ['b', ']a']],
  ['[!]a]', ['b'], [']', 'a']],
  ['[z-a]', [], ['z', 'a', 'm']],
  ['[a', ['[a'], ['a']],
  ['[]', ['[]'], ['']],
  ['\\*', ['*'], ['a', '\\*']],
  ['a\\', ['a\\'], ['a']],
  ['(a|b)+.$^{}', ['(a|b)+.$^{}'], ['a']],
];

for (const [pattern, fits, not] of rows) {
  test(`'${pattern}' matches what it should, and nothing else`, () => {
    const matches = globMatcher(pattern);
    for (const text of fits) assert.ok(matches(text), text);
    for (const text of not) assert.ok(!matches(text), text);
  });
}

test('a pattern of many stars, or a very long one, ends soon', () => {
  assert.ok(!globMatcher(`${'*a'.repeat(30)}b`)('a'.repeat(1000)));
  const long = 'x'.repeat(1_000_000);
  assert.ok(globMatcher(long)(long));
});
