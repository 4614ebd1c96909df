// Room that is used again: only once it was given back, only what was taken here, and no more of it than is wise.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LargeBuffers } from '../../../core/ring/large-buffers.ts';

const MIB = 1024 * 1024;

for (const [bytes, again, isUsedAgain] of [
  [MIB, MIB, true],
  [MIB - 5, MIB, true],
  [MIB, 600_000, true],
  [MIB, MIB + 1, false],
  [MIB, 1000, false],
  [10_000, 10_000, false],
  [16 * MIB, 16 * MIB, false],
] as const) {
  test(`room of ${bytes} bytes ${isUsedAgain ? 'serves' : 'does not serve'} ${again} bytes later`, () => {
    const buffers = new LargeBuffers();
    const first = buffers.take(bytes);
    assert.equal(first.length, bytes);
    buffers.give(first);
    const second = buffers.take(again);
    assert.equal(second.length, again);
    assert.equal(second.buffer === first.buffer, isUsedAgain);
  });
}

test('room that is in use is nobody else’s, however often it is given back', () => {
  const buffers = new LargeBuffers();
  const first = buffers.take(MIB);
  assert.ok(buffers.isLent(first.subarray(5, 10)));
  assert.notEqual(buffers.take(MIB).buffer, first.buffer);
  buffers.give(first);
  buffers.give(first.subarray(8));
  assert.ok(!buffers.isLent(first));
  const [second, third] = [buffers.take(MIB), buffers.take(MIB)];
  assert.equal(second.buffer, first.buffer);
  assert.notEqual(third.buffer, first.buffer);
});

test('room of another kind is not taken', () => {
  const buffers = new LargeBuffers();
  const other = Buffer.alloc(MIB);
  assert.ok(!buffers.isLent(other));
  buffers.give(other);
  assert.notEqual(buffers.take(MIB).buffer, other.buffer);
});

test('no more is kept than 32 MiB', () => {
  const buffers = new LargeBuffers();
  const taken = Array.from({ length: 50 }, () => buffers.take(MIB));
  for (const each of taken) buffers.give(each);
  const known = new Set(taken.map(({ buffer }) => buffer));
  const again = Array.from({ length: 50 }, () => buffers.take(MIB));
  assert.equal(again.filter(({ buffer }) => known.has(buffer)).length, 32);
});
