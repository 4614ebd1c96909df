/** What goes to and from a pseudo terminal of a job, as its messages carry it: text where it is some, else base64. */

import { isUtf8 } from 'node:buffer';
import { FluxError } from '../errno.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import { unpack } from '../message/unpack.ts';

export function encodePtyData(data: Buffer): JsonObject {
  if (isUtf8(data) && !data.includes(0)) return { type: 'data', data: data.toString() };
  return { type: 'data', encoding: 'base64', data: data.toString('base64') };
}

/**
 * The bytes of a message of data.
 *
 * @throws FluxError EPROTO: no data, an unknown encoding
 */
export function decodePtyData(payload: JsonValue | undefined): Buffer {
  const { data, encoding } = unpack(payload, { data: 's', encoding: 's?' });
  if (encoding !== undefined && encoding !== 'base64')
    throw new FluxError('EPROTO', `invalid pty data encoding: ${encoding}`);
  return Buffer.from(data, encoding ?? 'utf8');
}
