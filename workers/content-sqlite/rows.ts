/** Blobs as rows: from 256 bytes on they are LZ4 blocks, as flux-core has them, where that makes them smaller. */

import { FluxError } from '../../core/errno.ts';
import type { BlobRow } from './blob-database.ts';

/** The package's blocks have their size in front, four bytes, the lowest first. */
export interface Lz4 {
  compress(bytes: Uint8Array): Uint8Array;
  /** Throws when the block is damaged. */
  decompress(block: Uint8Array): Uint8Array;
}

const COMPRESSION_THRESHOLD = 256;
/** What the compressor takes for a larger blob it never gives back, so that is compressed only if it must be. */
const COMPRESSION_MAX = 64 * 1024 * 1024;
/** SQLite's limit for a row, less than what else is in it. */
const ROW_BYTES_MAX = 999_999_000;
const SIZE_BYTES = 4;
/** A byte of an LZ4 block stands for at most this many. */
const LZ4_RATIO_MAX = 255;

export function packRow(lz4: Lz4, bytes: Uint8Array): BlobRow {
  if (isWorthCompressing(bytes.length)) {
    const object = lz4.compress(bytes).subarray(SIZE_BYTES);
    if (object.length < bytes.length) return { object, size: bytes.length };
  }
  return { object: bytes, size: -1 };
}

function isWorthCompressing(size: number): boolean {
  return size >= COMPRESSION_THRESHOLD && (size <= COMPRESSION_MAX || size > ROW_BYTES_MAX);
}

/** @throws FluxError EBADMSG: the row is damaged */
export function unpackRow(lz4: Lz4, { object, size }: BlobRow): Uint8Array {
  if (size === -1) return object;
  if (size < 0 || size > object.length * LZ4_RATIO_MAX)
    throw new FluxError('EBADMSG', `${object.length} compressed bytes cannot stand for ${size}`);
  const block = Buffer.allocUnsafe(SIZE_BYTES + object.length);
  block.writeUInt32LE(size);
  block.set(object, SIZE_BYTES);
  let bytes: Uint8Array;
  try {
    bytes = lz4.decompress(block);
  } catch (error) {
    throw new FluxError('EBADMSG', `LZ4: ${error}`);
  }
  if (bytes.length !== size) throw new FluxError('EBADMSG', `it has ${bytes.length} bytes, not ${size}`);
  return bytes;
}
