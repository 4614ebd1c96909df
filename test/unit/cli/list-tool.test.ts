// What flux hostlist and flux idset share: positions, results, and lines of standard input.

import assert from 'node:assert/strict';
import { PassThrough, Readable } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import { positionsOf, readLines } from '../../../cli/list-tool.ts';
import { refused, throwsCode } from '../../errors.ts';

const options = { delimiter: ' ' };

test('positions are counted from the beginning or from the end', () => {
  const rows: readonly (readonly [length: number, nth: string | undefined, limit: number | undefined, at: unknown])[] =
    [
      [4, undefined, undefined, undefined],
      [4, '0', undefined, [0]],
      [4, '1-2', undefined, [1, 2]],
      [4, '-1', undefined, [3]],
      [4, '-1-2', undefined, [2, 3]],
      [4, undefined, 2, [0, 1]],
      [4, undefined, 9, [0, 1, 2, 3]],
      [4, undefined, -1, [3]],
      [4, undefined, -9, [0, 1, 2, 3]],
      [4, '0', -2, [2]],
      [4, '-1', 2, [1]],
      [0, undefined, 2, []],
    ];
  for (const [length, nth, limit, at] of rows) {
    const more = { ...(nth !== undefined && { nth }), ...(limit !== undefined && { limit }) };
    assert.deepEqual(positionsOf(length, { ...options, ...more }), at, JSON.stringify(more));
  }
  for (const [length, nth] of [
    [4, '4'],
    [4, '-5'],
    [4, '-0'],
    [0, '0'],
  ] as const)
    throwsCode(() => positionsOf(length, { ...options, nth }), 'ENOENT', /--nth/);
});

test('a limit leaves what slice leaves', () => {
  fc.assert(
    fc.property(fc.nat(20), fc.integer({ min: -25, max: 25 }), (length, limit) => {
      const all = Array.from({ length }, (_, index) => index);
      const expected = limit < 0 ? all.slice(limit) : limit > 0 ? all.slice(0, limit) : undefined;
      assert.deepEqual(positionsOf(length, { ...options, limit }), expected);
    }),
  );
});

test('lines are read to the end of input', async () => {
  const chunks = (...texts: string[]) => Readable.from(texts.map((text) => Buffer.from(text)));
  assert.deepEqual(await readLines(chunks('a\nb', 'c\n', '\u00e9')), ['a', 'bc', '\u00e9']);
  assert.deepEqual(await readLines(chunks()), ['']);
  const bytes = Buffer.from('\u00e9');
  assert.deepEqual(await readLines(Readable.from([bytes.subarray(0, 1), bytes.subarray(1)])), ['\u00e9']);
});

test('input that fails, or that never comes, is an error', async () => {
  const failing = new PassThrough();
  failing.destroy(new Error('torn'));
  await assert.rejects(readLines(failing), /torn/);
  process.env.FLUX_HOSTLIST_STDIN_TIMEOUT = '0.01';
  try {
    const silent = new PassThrough();
    await refused(readLines(silent), 'ETIMEDOUT', /nothing came from standard input for 0\.01 seconds/);
    assert.ok(silent.destroyed);
  } finally {
    delete process.env.FLUX_HOSTLIST_STDIN_TIMEOUT;
  }
});
