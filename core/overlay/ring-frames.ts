/**
 * What processes of an instance say to each other over the debug ring, beside the JSON frames of a greeting.
 *
 *     message  type, flags, to, from, id, hops, turned, turned there, errnum, at; then a message (RFC 3)
 *     beat     type, taken
 *
 * All are u32, little-endian. `to` and `from` are ranks. `turned` is the process that turned the frame round, if one has;
 * flags tell a response from a request, and which way round each goes. A response tells in `turned there`, and a flag, how
 * the request came to where it is answered. It has an errnum, and no message, when process `at` got the request no further.
 * `taken` says how many messages the sender of the beat has taken of this wire, modulo 2^32.
 */

import { FluxError } from '../errno.ts';
import type { Way } from './ring-way.ts';

/** Apart from the types of the tree's frames. */
export const RingFrameType = { hello: 16, welcome: 17, goodbye: 18, message: 19, beat: 20 } as const;

const WORD = 4;
const HEADER_BYTES = 10 * WORD;
const BEAT_BYTES = 2 * WORD;
/** A process that is none. */
const NONE = 0xffffffff;

const RingFlag = { response: 1, previous: 2, previousThere: 4 } as const;
const KNOWN_FLAGS = RingFlag.response | RingFlag.previous | RingFlag.previousThere;

export interface RingHeader {
  readonly kind: 'request' | 'response';
  /** The ranks that it is for and of; those of a response are the request's, turned. */
  readonly to: number;
  readonly from: number;
  /** Tells the requests of a rank apart, and is the same in their responses. */
  readonly id: number;
  /** How many wires it passed. */
  readonly hops: number;
  readonly way: Way;
  /** Of a response: the way of the request at its end. */
  readonly there: Way;
  /** Of a response: 0, or why the request did not reach its rank, and the process that says so. */
  readonly errnum: number;
  readonly at: number;
}

/** Whether the first frame of a connection makes it one of the ring: the tree's has another type. */
export function isRingType(type: number): boolean {
  return type >= RingFrameType.hello && type <= RingFrameType.beat;
}

export function encodeRingMessage(header: RingHeader, message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafeSlow(HEADER_BYTES + message.length);
  writeRingHeader(frame, header);
  frame.set(message, HEADER_BYTES);
  return frame;
}

/** Writes a header in the place of the one that the frame of a message has. */
export function writeRingHeader(frame: Buffer, header: RingHeader): void {
  const { kind, to, from, id, hops, way, there, errnum, at } = header;
  const flags =
    (kind === 'response' ? RingFlag.response : 0) |
    (way.heading === 'previous' ? RingFlag.previous : 0) |
    (there.heading === 'previous' ? RingFlag.previousThere : 0);
  const words = [RingFrameType.message, flags, to, from, id, hops, way.turnedAt ?? NONE, there.turnedAt ?? NONE];
  for (const [index, word] of [...words, errnum, at].entries()) frame.writeUInt32LE(word, index * WORD);
}

/** @throws FluxError EPROTO: it is too short, or of another version */
export function readRingHeader(frame: Buffer): RingHeader {
  if (frame.length < HEADER_BYTES) throw new FluxError('EPROTO', 'a message of the ring without header');
  const word = (index: number) => frame.readUInt32LE(index * WORD);
  const process = (index: number) => (word(index) === NONE ? undefined : word(index));
  const flags = word(1);
  if (flags & ~KNOWN_FLAGS) throw new FluxError('EPROTO', `a message of the ring with flags ${flags}`);
  return {
    kind: flags & RingFlag.response ? 'response' : 'request',
    to: word(2),
    from: word(3),
    id: word(4),
    hops: word(5),
    way: { heading: flags & RingFlag.previous ? 'previous' : 'next', turnedAt: process(6) },
    there: { heading: flags & RingFlag.previousThere ? 'previous' : 'next', turnedAt: process(7) },
    errnum: word(8),
    at: word(9),
  };
}

/** The message behind the header of a frame. */
export function ringMessage(frame: Buffer): Buffer {
  return frame.subarray(HEADER_BYTES);
}

export function encodeBeat(taken: number): Buffer {
  const frame = Buffer.allocUnsafe(BEAT_BYTES);
  frame.writeUInt32LE(RingFrameType.beat, 0);
  frame.writeUInt32LE(taken >>> 0, WORD);
  return frame;
}

/** @throws FluxError EPROTO: it is too short */
export function decodeBeat(frame: Buffer): number {
  if (frame.length < BEAT_BYTES) throw new FluxError('EPROTO', 'a beat of the ring that does not say what was taken');
  return frame.readUInt32LE(WORD);
}
