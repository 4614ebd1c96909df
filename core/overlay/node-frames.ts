/**
 * What processes of an instance say to each other over ZeroMQ, one frame a message.
 *
 *     hello, welcome, note, goodbye   type u32, then JSON
 *     records                         type u32, sequence u32, taken u32, then records
 *     event                           type u32, sequence u32, then the message
 *     resend                          type u32, first u32, last u32
 *
 * A record is `length u32, to u32, from u32` and the message (RFC 3), from rank to rank. `sequence` is that of the last
 * event that the sender had handed on, `taken` how many bytes of records it has taken of the receiver, modulo 2^32. All
 * integers are little-endian.
 */

import { FluxError } from '../errno.ts';
import { type JsonObject, parseJson, stringifyJson } from '../json.ts';
import { isObject } from '../message/unpack.ts';

export const FrameType = { hello: 1, welcome: 2, note: 3, goodbye: 4, records: 5, event: 6, resend: 7 } as const;

const WORD = 4;
export const RECORDS_HEADER_BYTES = 3 * WORD;
export const RECORD_HEADER_BYTES = 3 * WORD;
const EVENT_HEADER_BYTES = 2 * WORD;

/** The type of a frame; 0 for what is none. */
export function frameType(frame: Buffer): number {
  return frame.length >= WORD ? frame.readUInt32LE(0) : 0;
}

/** A frame that is a JSON object. */
export function encodeJsonFrame(type: number, value: JsonObject): Buffer {
  const text = Buffer.from(stringifyJson(value));
  const frame = Buffer.allocUnsafe(WORD + text.length);
  frame.writeUInt32LE(type, 0);
  text.copy(frame, WORD);
  return frame;
}

/** @throws FluxError EPROTO: it is no JSON object */
export function decodeJsonFrame(frame: Buffer): JsonObject {
  let value: unknown;
  try {
    value = parseJson(frame.toString('utf8', WORD));
  } catch (error) {
    throw new FluxError('EPROTO', 'a frame between processes is not JSON', { cause: error });
  }
  if (!isObject(value as JsonObject)) throw new FluxError('EPROTO', 'a frame between processes is not a JSON object');
  return value as JsonObject;
}

/** A message on its way from rank to rank. */
export interface OutgoingRecord {
  readonly to: number;
  readonly from: number;
  readonly source: Buffer;
  readonly start: number;
  readonly end: number;
}

/**
 * A frame of records, in which `taken` is still to be set.
 *
 * @param bytes of all the messages
 */
export function encodeRecords(sequence: number, records: readonly OutgoingRecord[], bytes: number): Buffer {
  const frame = Buffer.allocUnsafeSlow(RECORDS_HEADER_BYTES + records.length * RECORD_HEADER_BYTES + bytes);
  frame.writeUInt32LE(FrameType.records, 0);
  frame.writeUInt32LE(sequence, WORD);
  let at = RECORDS_HEADER_BYTES;
  for (const { to, from, source, start, end } of records) {
    frame.writeUInt32LE(end - start, at);
    frame.writeUInt32LE(to, at + WORD);
    frame.writeUInt32LE(from, at + 2 * WORD);
    source.copy(frame, at + RECORD_HEADER_BYTES, start, end);
    at += RECORD_HEADER_BYTES + end - start;
  }
  return frame;
}

/** Says how much was taken, modulo 2^32: when the frame leaves. */
export function setTaken(frame: Buffer, taken: number): void {
  frame.writeInt32LE(taken | 0, 2 * WORD);
}

/** @throws FluxError EPROTO: it is too short */
export function recordsHeader(frame: Buffer): { readonly sequence: number; readonly taken: number } {
  if (frame.length < RECORDS_HEADER_BYTES) throw new FluxError('EPROTO', 'a frame of records without header');
  return { sequence: frame.readUInt32LE(WORD), taken: frame.readUInt32LE(2 * WORD) };
}

/**
 * Hands each record to `sink`.
 *
 * @throws FluxError EPROTO: one runs past the end; those before it are handed over
 */
export function forEachRecord(
  frame: Buffer,
  sink: (to: number, from: number, source: Buffer, start: number, end: number) => void,
): void {
  for (let at = RECORDS_HEADER_BYTES; at < frame.length; ) {
    const start = at + RECORD_HEADER_BYTES;
    const end = start <= frame.length ? start + frame.readUInt32LE(at) : start;
    if (end > frame.length) throw new FluxError('EPROTO', 'a record runs past the end of its frame');
    sink(frame.readUInt32LE(at + WORD), frame.readUInt32LE(at + 2 * WORD), frame, start, end);
    at = end;
  }
}

/** An event's frame, of which the message is `frame.subarray(eventStart)`. */
export function encodeEventFrame(sequence: number, source: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafeSlow(EVENT_HEADER_BYTES + source.length);
  frame.writeUInt32LE(FrameType.event, 0);
  frame.writeUInt32LE(sequence, WORD);
  frame.set(source, EVENT_HEADER_BYTES);
  return frame;
}

export const eventStart = EVENT_HEADER_BYTES;

/** @throws FluxError EPROTO: it is too short */
export function eventSequence(frame: Buffer): number {
  if (frame.length < EVENT_HEADER_BYTES) throw new FluxError('EPROTO', 'a frame of an event without header');
  return frame.readUInt32LE(WORD);
}

export function encodeResend(first: number, last: number): Buffer {
  const frame = Buffer.allocUnsafe(3 * WORD);
  frame.writeUInt32LE(FrameType.resend, 0);
  frame.writeUInt32LE(first, WORD);
  frame.writeUInt32LE(last, 2 * WORD);
  return frame;
}

/** @throws FluxError EPROTO: it is too short */
export function decodeResend(frame: Buffer): { readonly first: number; readonly last: number } {
  if (frame.length < 3 * WORD) throw new FluxError('EPROTO', 'a request for events without their numbers');
  return { first: frame.readUInt32LE(WORD), last: frame.readUInt32LE(2 * WORD) };
}
