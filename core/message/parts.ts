/**
 * The size-prefixed parts that a message consists of on a stream (RFC 3, Message Framing).
 *
 * A part's size is one byte, or 255 and four bytes big-endian when it is 255 or more.
 */

import { FluxError } from '../errno.ts';

/** Bytes of a part with its size in front. */
export function partLength(size: number): number {
  return size < 255 ? size + 1 : size + 5;
}

/**
 * Reads the size at `at`: [offset of the part's first byte, its size].
 *
 * @throws FluxError EINVAL when size or part run past `end`
 */
export function readPartSize(source: Buffer, at: number, end: number): readonly [number, number] {
  let size = source[at]!;
  let offset = at + 1;
  if (size === 255) {
    if (offset + 4 > end) throw new FluxError('EINVAL', 'message cut off within the size of a part');
    size = source.readUInt32BE(offset);
    offset += 4;
  }
  if (offset + size > end)
    throw new FluxError('EINVAL', `message part of ${size} bytes runs past the end of the message`);
  return [offset, size];
}

/** Writes a size and returns the offset behind it. */
export function writePartSize(target: Buffer, offset: number, size: number): number {
  if (size < 255) {
    target[offset] = size;
    return offset + 1;
  }
  target[offset] = 255;
  return target.writeUInt32BE(size, offset + 1);
}

/** Writes a part of ASCII text and returns the offset behind it. */
export function writePart(target: Buffer, offset: number, text: string): number {
  const start = writePartSize(target, offset, text.length);
  return start + target.write(text, start, 'latin1');
}
