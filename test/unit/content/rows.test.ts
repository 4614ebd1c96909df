// Rows of the backing store: which blobs are compressed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { packRow, unpackRow } from '../../../workers/content-sqlite/rows.ts';

/** Makes all blocks one byte long, or longer than the blob. */
const compressor = (shrinks: boolean) => ({
  compress: (bytes: Uint8Array) => new Uint8Array(4 + (shrinks ? 1 : bytes.length)),
  decompress: () => new Uint8Array(),
});

test('blobs are compressed from 256 bytes to 64 MiB, and where they would not fit a row', () => {
  const mebibytes = 64 * 1024 * 1024;
  for (const [size, isCompressed] of [
    [0, false],
    [255, false],
    [256, true],
    [mebibytes, true],
    [mebibytes + 1, false],
    [900_000_000, false],
    [1024 * 1024 * 1024, true],
  ] as const) {
    const bytes = new Uint8Array(size);
    const row = packRow(compressor(true), bytes);
    assert.deepEqual([row.size, row.object.length], isCompressed ? [size, 1] : [-1, size], `${size} bytes`);
  }
});

test('a blob that does not shrink is stored as it is', () => {
  const bytes = new Uint8Array(1000);
  assert.deepEqual(packRow(compressor(false), bytes), { object: bytes, size: -1 });
  assert.equal(unpackRow(compressor(false), { object: bytes, size: -1 }), bytes);
});
