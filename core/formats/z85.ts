/** Z85: bytes as printable text, four bytes in five characters (ZeroMQ RFC 32). */

import { FluxError } from '../errno.ts';

const digits = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#';
const BASE = digits.length;

/** @throws FluxError EINVAL: a number of bytes that is no multiple of four */
export function encodeZ85(bytes: Uint8Array): string {
  if (bytes.length % 4) throw new FluxError('EINVAL', `${bytes.length} bytes are no multiple of four`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let text = '';
  for (let offset = 0; offset < bytes.length; offset += 4) {
    let value = view.getUint32(offset);
    let group = '';
    for (let i = 0; i < 5; i++) {
      group = digits[value % BASE]! + group;
      value = Math.floor(value / BASE);
    }
    text += group;
  }
  return text;
}

/** @throws FluxError EINVAL: no Z85 */
export function decodeZ85(text: string): Buffer {
  if (text.length % 5) throw new FluxError('EINVAL', `a Z85 text has ${text.length} characters, no multiple of five`);
  const bytes = Buffer.alloc((text.length / 5) * 4);
  for (let at = 0; at < text.length; at += 5) {
    let value = 0;
    for (const char of text.slice(at, at + 5)) {
      const digit = digits.indexOf(char);
      if (digit < 0) throw new FluxError('EINVAL', `'${char}' is no character of Z85`);
      value = value * BASE + digit;
    }
    if (value > 0xffffffff) throw new FluxError('EINVAL', `'${text.slice(at, at + 5)}' is too large for four bytes`);
    bytes.writeUInt32BE(value, (at / 5) * 4);
  }
  return bytes;
}
