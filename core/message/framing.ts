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

/** Where frames that come in part have room. */
export interface FrameRoom {
  take(bytes: number): Buffer;
  /** It is not used any more. */
  give(room: Buffer): void;
}

/** Each has its own, which is the sink's to keep. */
const ownRoom: FrameRoom = { take: (bytes) => Buffer.allocUnsafe(bytes), give() {} };

/** How much the room for a frame that came in part grows each time it is full. */
const GROWTH = 8;
const NOTHING = Buffer.alloc(0);

/**
 * Cuts a stream of bytes into frames.
 *
 * Memory grows with the bytes that came, never with the length that a peer claims.
 */
export class FrameReader {
  readonly #room: FrameRoom;
  // The frame that came in part; its first `#buffered` bytes are there.
  #partial: Buffer = NOTHING;
  #buffered = 0;

  /** A frame that came in part comes to the sink in room taken from `room`, for the sink to give back. */
  constructor(room = ownRoom) {
    this.#room = room;
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
    let at = this.#buffered ? this.#finishPartial(chunk, sink) : 0;
    while (at + FRAME_HEADER_BYTES <= chunk.length) {
      const end = at + FRAME_HEADER_BYTES + this.#messageLength(chunk, at);
      if (end > chunk.length) break;
      sink(chunk, at + FRAME_HEADER_BYTES, end);
      at = end;
    }
    if (at < chunk.length) this.#keep(chunk, at, chunk.length);
  }

  /** Adds to the frame that came in part; returns where in the chunk that ends. */
  #finishPartial(chunk: Buffer, sink: FrameSink): number {
    let at = 0;
    if (this.#buffered < FRAME_HEADER_BYTES) {
      at = Math.min(FRAME_HEADER_BYTES - this.#buffered, chunk.length);
      this.#keep(chunk, 0, at);
      if (this.#buffered < FRAME_HEADER_BYTES) return at;
    }
    const frameBytes = FRAME_HEADER_BYTES + this.#messageLength(this.#partial, 0);
    const end = Math.min(at + frameBytes - this.#buffered, chunk.length);
    this.#keep(chunk, at, end);
    if (this.#buffered < frameBytes) return end;
    const frame = this.#partial;
    this.#partial = NOTHING;
    this.#buffered = 0;
    sink(frame, FRAME_HEADER_BYTES, frameBytes);
    return end;
  }

  #keep(chunk: Buffer, start: number, end: number): void {
    const needed = this.#buffered + end - start;
    if (needed > this.#partial.length) this.#grow(needed);
    chunk.copy(this.#partial, this.#buffered, start, end);
    this.#buffered = needed;
  }

  #grow(needed: number): void {
    const wanted =
      this.#buffered < FRAME_HEADER_BYTES ? needed : FRAME_HEADER_BYTES + this.#messageLength(this.#partial, 0);
    const grown = this.#room.take(Math.min(wanted, Math.max(needed, this.#partial.length) * GROWTH));
    this.#partial.copy(grown, 0, 0, this.#buffered);
    this.#room.give(this.#partial);
    this.#partial = grown;
  }

  #messageLength(source: Buffer, at: number): number {
    if (source.readUInt32LE(at) !== MAGIC_LE) throw new FluxError('EPROTO', 'bad magic in a frame header');
    const length = source.readUInt32BE(at + 4);
    if (length <= HEADER_BYTES) throw new FluxError('EPROTO', `frame of ${length} bytes is no message`);
    if (length > MESSAGE_BYTES_MAX)
      throw new FluxError('EPROTO', `frame of ${length} bytes exceeds the limit of ${MESSAGE_BYTES_MAX}`);
    return length;
  }
}
