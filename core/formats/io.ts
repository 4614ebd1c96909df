/**
 * I/O objects (RFC 24, Data Event): bytes of a stream as UTF-8 text where they are some, else as base64.
 */

import { isUtf8 } from 'node:buffer';
import { FluxError } from '../errno.ts';
import type { JsonObject } from '../json.ts';
import { unpack } from '../message/unpack.ts';

export interface IoData {
  readonly stream: string;
  readonly data: Buffer;
  readonly eof: boolean;
}

/**
 * Bytes from or for a rank; null stands for the end of the stream.
 *
 * Bytes with a NUL are no text to anyone: C clients refuse it in JSON, and escaping would take six bytes for it.
 */
export function encodeIo(stream: string, rank: number, data: Buffer | null): JsonObject {
  const source = { stream, rank: String(rank) };
  if (data === null) return { ...source, eof: true };
  return isUtf8(data) && !data.includes(0)
    ? { ...source, data: data.toString() }
    : { ...source, encoding: 'base64', data: data.toString('base64') };
}

/**
 * Reads an I/O object.
 *
 * @throws FluxError EPROTO: malformed, an unknown encoding, neither data nor end
 */
export function decodeIo(io: JsonObject): IoData {
  const {
    stream,
    data,
    eof = false,
    encoding = 'UTF-8',
  } = unpack(io, { stream: 's', data: 's?', eof: 'b?', encoding: 's?' });
  if (data === undefined && !eof) throw new FluxError('EPROTO', 'an I/O object has neither data nor eof');
  if (encoding !== 'UTF-8' && encoding !== 'base64')
    throw new FluxError('EPROTO', `unknown encoding '${encoding}' of an I/O object`);
  return { stream, data: Buffer.from(data ?? '', encoding === 'base64' ? 'base64' : 'utf8'), eof };
}
