/**
 * Messages on a UNIX stream socket (RFC 3, Message Framing, as flux-core sends them).
 *
 *     +-----------------+--------------------+---------
 *     | 12 00 ee ff     | length, big-endian | message
 *     | 4 bytes         | 4 bytes            | length bytes
 *     +-----------------+--------------------+---------
 *
 * The magic is 0xffee0012 in the byte order of the host; the length does not count these eight bytes.
 */

import { FluxError } from '../errno.ts';
import { encodedLength, encodeInto, HEADER_BYTES } from './codec.ts';
import type { Message } from './message.ts';

const MAGIC_LE = 0xffee0012;
export const FRAME_HEADER_BYTES = 8;

/** The largest message taken from a socket: a blob of 1 GiB and what goes with it. */
export const MESSAGE_BYTES_MAX = 2 ** 30 + 2 ** 20;

/** Writes a frame header and returns the offset behind it. */
export function writeFrameHeader(target: Buffer, offset: number, messageBytes: number): number {
  target.writeUInt32LE(MAGIC_LE, offset);
  return target.writeUInt32BE(messageBytes, offset + 4);
}

/** A message as one frame. */
export function encodeFrame(message: Message): Buffer {
  const length = encodedLength(message);
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + length);
  encodeInto(message, frame, writeFrameHeader(frame, 0, length));
  return frame;
}

/** Takes the message in `source[start … end)`; the bytes are the receiver's to keep. */
export type FrameSink = (source: Buffer, start: number, end: number) => void;

/**
 * Cuts a stream of bytes into frames.
 *
 * Memory grows with the bytes that came, never with the length that a peer claims.
 */
export class FrameReader {
  readonly #bytesMax: number;
  #chunks: Buffer[] = [];
  #buffered = 0;
  #wanted = FRAME_HEADER_BYTES;

  constructor(bytesMax = MESSAGE_BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes of a frame that has not come whole. */
  get bufferedBytes(): number {
    return this.#buffered;
  }

  /**
   * Takes what came from the stream and hands each whole message to `sink`.
   *
   * @throws FluxError EPROTO: no frame, or one that is longer or shorter than a message can be
   */
  push(chunk: Buffer, sink: FrameSink): void {
    let source = chunk;
    if (this.#buffered) {
      this.#chunks.push(chunk);
      this.#buffered += chunk.length;
      if (this.#buffered < this.#wanted) return;
      source = Buffer.concat(this.#chunks, this.#buffered);
      this.#chunks = [];
      this.#buffered = 0;
    }
    this.#wanted = FRAME_HEADER_BYTES;
    let at = 0;
    while (at + FRAME_HEADER_BYTES <= source.length) {
      const end = at + FRAME_HEADER_BYTES + this.#messageLength(source, at);
      if (end > source.length) {
        this.#wanted = end - at;
        break;
      }
      sink(source, at + FRAME_HEADER_BYTES, end);
      at = end;
    }
    if (at < source.length) {
      this.#chunks = [at ? source.subarray(at) : source];
      this.#buffered = source.length - at;
    }
  }

  #messageLength(source: Buffer, at: number): number {
    if (source.readUInt32LE(at) !== MAGIC_LE) throw new FluxError('EPROTO', 'bad magic in a frame header');
    const length = source.readUInt32BE(at + 4);
    if (length <= HEADER_BYTES) throw new FluxError('EPROTO', `frame of ${length} bytes is no message`);
    if (length > this.#bytesMax)
      throw new FluxError('EPROTO', `frame of ${length} bytes exceeds the limit of ${this.#bytesMax}`);
    return length;
  }
}
