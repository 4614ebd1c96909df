/**
 * I/O objects (RFC 24, Data Event): bytes of a stream as UTF-8 text where they are some, else as base64.
 */

import { isUtf8 } from 'node:buffer';
import { FluxError } from '../../core/errno.ts';
import type { JsonObject } from '../../core/message/json.ts';
import { unpack } from '../../core/message/unpack.ts';

export interface IoData {
  readonly stream: string;
  readonly data: Buffer;
  readonly eof: boolean;
}

/** Output of a rank; no bytes stand for the end of the stream. */
export function encodeIo(stream: string, rank: number, data: Buffer | null): JsonObject {
  const source = { stream, rank: String(rank) };
  if (data === null) return { ...source, eof: true };
  return isUtf8(data)
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

const NEWLINE = 10;
/** Bytes without a newline that are kept back waiting for one. */
const LINE_BYTES_MAX = 64 * 1024;
/** Lines that came at once and go out one by one; more go out together. */
const LINES_MAX = 32;

/** Cuts output into lines, keeping back what has no end yet. */
export class LineCutter {
  #rest: Buffer[] = [];
  #restBytes = 0;

  /** The whole lines that are there now: each for itself, or all in one piece when they are many. */
  push(chunk: Buffer): Buffer[] {
    const last = chunk.lastIndexOf(NEWLINE);
    if (last < 0) {
      this.#keep(chunk);
      return this.#restBytes > LINE_BYTES_MAX ? this.end() : [];
    }
    const lines = Buffer.concat([...this.#rest, chunk.subarray(0, last + 1)]);
    this.#rest = [];
    this.#restBytes = 0;
    if (last + 1 < chunk.length) this.#keep(chunk.subarray(last + 1));
    return cut(lines);
  }

  #keep(bytes: Buffer): void {
    this.#rest.push(bytes);
    this.#restBytes += bytes.length;
  }

  /** What is left without a newline. */
  end(): Buffer[] {
    const rest = this.#rest;
    this.#rest = [];
    this.#restBytes = 0;
    return rest.length ? [Buffer.concat(rest)] : [];
  }
}

function cut(lines: Buffer): Buffer[] {
  const pieces: Buffer[] = [];
  for (let start = 0; start < lines.length; ) {
    const end = lines.indexOf(NEWLINE, start) + 1;
    pieces.push(lines.subarray(start, end));
    if (pieces.length > LINES_MAX) return [lines];
    start = end;
  }
  return pieces;
}
