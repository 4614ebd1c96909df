/**
 * Messages to bytes and back (RFC 3), for both ways of travelling: one run of size-prefixed parts on a stream or in a
 * ring, and a list of frames over ZeroMQ.
 *
 *     ids …  delimiter  topic  payload  header        (the first four as the flags say)
 *
 *     header, 20 bytes, integers big-endian
 *     +------+---------+------+-------+--------+----------+-------+-------+
 *     | 0x8e | version | type | flags | userid | rolemask | word1 | word2 |
 *     |  1   |    1    |  1   |   1   |   4    |    4     |   4   |   4   |
 *     +------+---------+------+-------+--------+----------+-------+-------+
 */

import { FluxError } from '../errno.ts';
import { Flag, Message, MessageType } from './message.ts';
import { partLength, readPartSize, writePartSize } from './parts.ts';
import { RouteStack } from './routes.ts';

const MAGIC = 0x8e;
const VERSION = 1;
export const HEADER_BYTES = 20;
/** Offsets of the credentials, counted from the end of an encoded message: the header is its last part. */
export const USERID_FROM_END = 16;
export const ROLEMASK_FROM_END = 12;
/** Offset of an event's sequence number from there. */
export const SEQUENCE_FROM_END = 8;

function writeHeader(message: Message, target: Buffer, offset: number): number {
  target[offset] = MAGIC;
  target[offset + 1] = VERSION;
  target[offset + 2] = message.type;
  target[offset + 3] = message.flags;
  target.writeUInt32BE(message.userid, offset + 4);
  target.writeUInt32BE(message.rolemask, offset + 8);
  target.writeUInt32BE(message.word1, offset + 12);
  return target.writeUInt32BE(message.word2, offset + 16);
}

/**
 * Whether the last bytes of an encoded message are a header that `decodeMessage` would take.
 *
 * It looks at a handful of bytes, so that who only passes messages on can turn away what is none.
 */
export function hasHeader(source: Uint8Array, start: number, end: number): boolean {
  const header = end - HEADER_BYTES;
  if (header - 1 < start || source[header - 1] !== HEADER_BYTES) return false;
  const type = source[header + 2]!;
  return (
    source[header] === MAGIC && source[header + 1] === VERSION && (type === 1 || type === 2 || type === 4 || type === 8)
  );
}

/** Whether an encoded message with a header that `hasHeader` takes is a request that wants an answer. */
export function asksForAnswer(source: Uint8Array, end: number): boolean {
  const header = end - HEADER_BYTES;
  return source[header + 2] === MessageType.request && (source[header + 3]! & Flag.noresponse) === 0;
}

/** Bytes that `encodeInto` writes. */
export function encodedLength(message: Message): number {
  let length = HEADER_BYTES + 1;
  if (message.flags & Flag.route) length += message.routes.encodedLength + 1;
  if (message.flags & Flag.topic) length += partLength(Buffer.byteLength(message.topic!));
  if (message.flags & Flag.payload) length += partLength(message.payloadLength);
  return length;
}

/** Writes a message at `offset` and returns the offset behind it. */
export function encodeInto(message: Message, target: Buffer, offset: number): number {
  let at = encodeFront(message, target, offset);
  if (message.flags & Flag.payload) at = message.writePayload(target, at);
  target[at] = HEADER_BYTES;
  return writeHeader(message, target, at + 1);
}

/** Writes what stands before the payload, its size included. */
function encodeFront(message: Message, target: Buffer, offset: number): number {
  let at = offset;
  if (message.flags & Flag.route) {
    at = message.routes.encodeInto(target, at);
    target[at++] = 0;
  }
  if (message.flags & Flag.topic) {
    const topic = message.topic!;
    at = writePartSize(target, at, Buffer.byteLength(topic));
    at += target.write(topic, at);
  }
  if (message.flags & Flag.payload) at = writePartSize(target, at, message.payloadLength);
  return at;
}

/** A message in pieces, of which the payload is no copy. */
export function encodePieces(message: Message): Buffer[] {
  const { bytes } = message;
  if (!bytes) return [encodeMessage(message)];
  const ends = Buffer.allocUnsafe(encodedLength(message) - bytes.length);
  const front = encodeFront(message, ends, 0);
  ends[front] = HEADER_BYTES;
  writeHeader(message, ends, front + 1);
  return [ends.subarray(0, front), Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), ends.subarray(front)];
}

/** A message as bytes of its own. */
export function encodeMessage(message: Message): Buffer {
  const bytes = Buffer.allocUnsafe(encodedLength(message));
  encodeInto(message, bytes, 0);
  return bytes;
}

/** A message as ZeroMQ frames: the same parts, without their sizes. */
export function encodeFrames(message: Message): Buffer[] {
  const body = encodeMessage(message);
  const frames: Buffer[] = [];
  for (let at = 0; at < body.length; ) {
    const [offset, size] = readPartSize(body, at, body.length);
    frames.push(body.subarray(offset, offset + size));
    at = offset + size;
  }
  return frames;
}

// Offsets and sizes of the parts of the message being decoded; decoding is synchronous and does not nest.
const offsets: number[] = [];
const sizes: number[] = [];

/**
 * Reads the message in `source[start … end)`; its payload and routes are views on `source`.
 *
 * @throws FluxError EINVAL: a part runs past the end; EPROTO: what is there is no message of this version
 */
export function decodeMessage(source: Buffer, start = 0, end = source.length): Message {
  let count = 0;
  for (let at = start; at < end; count++) {
    const [offset, size] = readPartSize(source, at, end);
    offsets[count] = offset;
    sizes[count] = size;
    at = offset + size;
  }
  if (count === 0) throw new FluxError('EPROTO', 'message without header');
  return fromParts(source, start, count);
}

/** Reads the message in a list of ZeroMQ frames. Errors: see `decodeMessage`. */
export function decodeFrames(frames: readonly Uint8Array[]): Message {
  const length = frames.reduce((sum, frame) => sum + partLength(frame.length), 0);
  const body = Buffer.allocUnsafe(length);
  let at = 0;
  for (const frame of frames) {
    at = writePartSize(body, at, frame.length);
    body.set(frame, at);
    at += frame.length;
  }
  return decodeMessage(body);
}

function fromParts(source: Buffer, start: number, count: number): Message {
  const last = count - 1;
  const header = offsets[last]!;
  if (sizes[last] !== HEADER_BYTES) throw new FluxError('EPROTO', `message header of ${sizes[last]} bytes`);
  if (!hasHeader(source, start, header + HEADER_BYTES))
    throw new FluxError('EPROTO', 'bad magic, version or type in a message header');
  const type = source[header + 2] as MessageType;
  const flags = source[header + 3]!;

  let part = 0;
  let routes: RouteStack;
  if (flags & Flag.route) {
    while (part < last && sizes[part] !== 0) part++;
    if (part === last) throw new FluxError('EPROTO', 'message with routes but no delimiter');
    routes = new RouteStack(source, start, offsets[part]! - 1);
    part++;
  } else routes = new RouteStack();

  let topic: string | undefined;
  if (flags & Flag.topic) {
    if (part === last) throw new FluxError('EPROTO', 'message lacks its topic');
    topic = readTopic(source, offsets[part]!, sizes[part]!);
    part++;
  }
  const credentials = { userid: source.readUInt32BE(header + 4), rolemask: source.readUInt32BE(header + 8) };
  const message = new Message(
    type,
    flags,
    credentials,
    source.readUInt32BE(header + 12),
    source.readUInt32BE(header + 16),
    topic,
    routes,
  );
  if (flags & Flag.payload) {
    if (part === last) throw new FluxError('EPROTO', 'message lacks its payload');
    message.setBytes(source.subarray(offsets[part]!, offsets[part]! + sizes[part]!));
  }
  return message;
}

/** C strings end at a NUL, so a topic does. */
function readTopic(source: Buffer, offset: number, size: number): string {
  const topic = source.toString('utf8', offset, offset + size);
  const nul = topic.indexOf('\0');
  return nul < 0 ? topic : topic.slice(0, nul);
}
