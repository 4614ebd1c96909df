// I/O objects: bytes come back as they went, and what is none is refused.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeIo, encodeIo } from '../../../core/formats/io.ts';
import type { JsonObject } from '../../../core/json.ts';
import { throwsCode } from '../../errors.ts';

test('bytes are text where they are some, else base64', () => {
  const rows: readonly (readonly [data: Buffer | null, io: JsonObject])[] = [
    [Buffer.from('héllo\n'), { stream: 'stdout', rank: '3', data: 'héllo\n' }],
    [Buffer.from([0xff, 0xfe]), { stream: 'stdout', rank: '3', encoding: 'base64', data: '//4=' }],
    [Buffer.from('a\0b'), { stream: 'stdout', rank: '3', encoding: 'base64', data: 'YQBi' }],
    [Buffer.from('é').subarray(0, 1), { stream: 'stdout', rank: '3', encoding: 'base64', data: 'ww==' }],
    [Buffer.alloc(0), { stream: 'stdout', rank: '3', data: '' }],
    [null, { stream: 'stdout', rank: '3', eof: true }],
  ];
  for (const [data, io] of rows) {
    assert.deepEqual(encodeIo('stdout', 3, data), io);
    assert.deepEqual(decodeIo(io), { stream: 'stdout', data: data ?? Buffer.alloc(0), eof: data === null });
  }
});

test('any bytes come back', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.nat(), (bytes, rank) => {
      const data = Buffer.from(bytes);
      assert.deepEqual(decodeIo(encodeIo('x', rank, data)), { stream: 'x', data, eof: false });
    }),
  );
});

test('what is no I/O object is refused', () => {
  const rows: readonly (readonly [io: JsonObject, sentence: RegExp])[] = [
    [{ stream: 'stdin', rank: '0' }, /neither data nor eof/],
    [{ stream: 'stdin', rank: '0', data: 'x', encoding: 'rot13' }, /'rot13'/],
    [{ rank: '0', data: 'x' }, /stream/],
    [{ stream: 'stdin', data: 1 }, /data/],
    [{ stream: 'stdin', eof: 'yes' }, /eof/],
  ];
  for (const [io, sentence] of rows) throwsCode(() => decodeIo(io), 'EPROTO', sentence);
});
