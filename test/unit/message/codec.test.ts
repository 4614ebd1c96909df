// Every message and every body of the vectors, both ways, whole and in pieces; then random messages and random bytes.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { FluxError } from '../../../core/errno.ts';
import {
  decodeFrames,
  decodeMessage,
  encodedLength,
  encodeFrames,
  encodeMessage,
  encodePieces,
} from '../../../core/message/codec.ts';
import { encodeFrame, FrameReader } from '../../../core/message/framing.ts';
import { Flag, Message, MessageType } from '../../../core/message/message.ts';
import { RouteStack } from '../../../core/message/routes.ts';
import { LargeBuffers } from '../../../core/ring/large-buffers.ts';
import { golden } from '../../golden.ts';

interface MessageRow {
  n: number;
  note: string;
  type: keyof typeof MessageType;
  topic: string | null;
  flags: number;
  userid: number;
  rolemask: number;
  nodeid?: number;
  errnum?: number;
  sequence?: number;
  control_type?: number;
  matchtag?: number;
  control_status?: number;
  routes_pushed?: string[];
  routes_on_wire?: string[];
  route_string?: string;
  payload_size: number | null;
  payload_hex?: string;
  body_size: number;
  framed_hex?: string;
  framed_sha1?: string;
}
interface DecodeRow {
  note: string;
  body_hex: string;
  ok: boolean;
  errno?: number;
  reencoded_hex?: string;
}
const vectors = golden<{ messages: MessageRow[]; decode: DecodeRow[] }>('vectors/message.json');

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

function payloadOf(row: MessageRow): Buffer | undefined {
  if (row.payload_size === null) return undefined;
  if (row.payload_hex !== undefined) return Buffer.from(row.payload_hex, 'hex');
  return Buffer.from(Array.from({ length: row.payload_size }, (_, i) => (31 * i + 7) & 255));
}

function messageOf(row: MessageRow): Message {
  const word1 = row.nodeid ?? row.errnum ?? row.sequence ?? row.control_type ?? 0;
  const word2 = row.matchtag ?? row.control_status ?? 0;
  const message = new Message(
    MessageType[row.type],
    row.flags,
    row,
    word1,
    word2,
    row.topic ?? undefined,
    new RouteStack(),
  );
  for (const id of row.routes_pushed ?? []) message.routes.push(id);
  message.setPayload(payloadOf(row));
  return message;
}

/** The frames' messages when the bytes come in pieces of these sizes, over and over, each to the same place. */
function decodeInPieces(bytes: Buffer, sizes: number[]): Message[] {
  const room = new LargeBuffers();
  const reader = new FrameReader(room);
  const incoming = Buffer.alloc(Math.max(...sizes));
  const messages: Message[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const end = at + sizes[i % sizes.length]!;
    const count = bytes.copy(incoming, 0, at, end);
    reader.push(incoming.subarray(0, count), (source, start, stop) => {
      messages.push(decodeMessage(Buffer.from(source.subarray(start, stop))));
      room.give(source);
    });
    at = end;
  }
  assert.equal(reader.bufferedBytes, 0);
  return messages;
}

describe('messages of the vectors', () => {
  for (const row of vectors.messages) {
    test(`${row.n} ${row.note}`, () => {
      const message = messageOf(row);
      const frame = encodeFrame(message);
      if (row.framed_hex) assert.equal(hex(frame), row.framed_hex);
      else assert.equal(createHash('sha1').update(frame).digest('hex'), row.framed_sha1);
      assert.equal(encodedLength(message), row.body_size);
      assert.equal(hex(Buffer.concat(encodePieces(message))), hex(encodeMessage(message)));
      if (row.route_string !== undefined) assert.equal(message.routes.toString(), row.route_string);

      const ways = row.body_size > 70000 ? [[frame.length], [65536, 3]] : [[frame.length], [1], [7, 1, 20]];
      for (const sizes of ways) {
        const [back, ...more] = decodeInPieces(frame, sizes);
        assert.equal(more.length, 0);
        assert.equal(hex(encodeFrame(back!)), hex(frame));
        assert.equal(back!.topic, row.topic ?? undefined);
        assert.deepEqual([back!.userid, back!.rolemask, back!.flags], [row.userid, row.rolemask, row.flags]);
        assert.deepEqual(back!.routes.ids(), row.routes_pushed ?? []);
      }
      assert.equal(hex(encodeMessage(decodeFrames(encodeFrames(message)))), hex(frame.subarray(8)));
    });
  }
});

describe('bodies of the vectors', () => {
  for (const row of vectors.decode) {
    test(row.note, () => {
      const body = Buffer.from(row.body_hex, 'hex');
      if (row.ok) assert.equal(hex(encodeMessage(decodeMessage(body))), row.reencoded_hex);
      else
        assert.throws(
          () => decodeMessage(body),
          (error: FluxError) => error.errno === (row.errno ?? 71),
        );
    });
  }
});

test('a pushed route lies above those that came from the wire', () => {
  const message = Message.request({ topic: 'a.b' });
  message.routes.push('one');
  message.routes.push('two');
  const there = decodeMessage(encodeMessage(message));
  there.routes.push('three');
  const back = decodeMessage(encodeMessage(there));
  assert.equal(back.routes.sender, 'one');
  assert.deepEqual(back.routes.ids(), ['one', 'two', 'three']);
  assert.equal(back.routes.top, 'three');
  assert.deepEqual(
    [back.routes.pop(), back.routes.pop(), back.routes.pop(), back.routes.pop()],
    ['three', 'two', 'one', undefined],
  );
  assert.ok(back.routes.isEmpty);
});

test('responses repeat topic and matchtag, keep routes of their own, drop noresponse and payload', () => {
  const request = Message.request({
    topic: 'a.b',
    payload: { x: 1 },
    matchtag: 7,
    flags: Flag.streaming | Flag.upstream,
  });
  request.routes.push('client');
  const first = request.respond({ ok: true }, { userid: 5, rolemask: 1 });
  const second = request.respondError(61, undefined, { userid: 5, rolemask: 1 });
  assert.equal(first.routes.pop(), 'client');
  assert.equal(second.routes.pop(), 'client');
  assert.deepEqual(
    [first.topic, first.matchtag, first.errnum, first.flags],
    ['a.b', 7, 0, Flag.topic | Flag.payload | Flag.route | Flag.streaming | Flag.upstream],
  );
  assert.equal(first.isLastResponse, false);
  assert.deepEqual([second.errnum, second.hasPayload, second.isLastResponse], [61, false, true]);
  assert.equal(request.respondError(22, 'no', { userid: 5, rolemask: 1 }).error().message, 'no');
});

const arbitraryRoute = fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 300 });
const arbitraryMessage = fc
  .record({
    type: fc.constantFrom(1, 2, 4, 8) as fc.Arbitrary<MessageType>,
    flags: fc.integer({ min: 0, max: 255 }),
    userid: fc.nat(),
    rolemask: fc.nat(),
    word1: fc.integer({ min: 0, max: 0xffffffff }),
    word2: fc.integer({ min: 0, max: 0xffffffff }),
    topic: fc.string({ unit: 'grapheme', maxLength: 300 }).map((topic) => topic.replaceAll('\0', '')),
    payload: fc.uint8Array({ maxLength: 600 }),
    routes: fc.array(arbitraryRoute, { maxLength: 5 }),
  })
  .map((row) => {
    const message = new Message(
      row.type,
      row.flags,
      row,
      row.word1,
      row.word2,
      row.flags & Flag.topic ? row.topic : undefined,
      new RouteStack(),
    );
    if (row.flags & Flag.route) for (const id of row.routes) message.routes.push(id);
    if (row.flags & Flag.payload) message.setBytes(row.payload);
    return message;
  });

test('decode(encode(message)) is the message', () => {
  fc.assert(
    fc.property(arbitraryMessage, (message) => {
      const bytes = encodeMessage(message);
      assert.equal(bytes.length, encodedLength(message));
      const back = decodeMessage(bytes);
      assert.deepEqual(
        [
          back.type,
          back.flags,
          back.userid,
          back.rolemask,
          back.word1,
          back.word2,
          back.topic,
          back.routes.ids(),
          back.bytes && hex(back.bytes),
        ],
        [
          message.type,
          message.flags,
          message.userid,
          message.rolemask,
          message.word1,
          message.word2,
          message.topic,
          message.routes.ids(),
          message.bytes && hex(message.bytes),
        ],
      );
    }),
  );
});

test('no bytes crash the decoder or lead it past their end', () => {
  const guarded = (bytes: Uint8Array) => {
    // What lies behind the message is a header that must never be taken for the message's own.
    const source = Buffer.concat([bytes, encodeMessage(Message.control(1, 2))]);
    try {
      const message = decodeMessage(source, 0, bytes.length);
      encodeMessage(message);
    } catch (error) {
      assert.ok(error instanceof FluxError && (error.code === 'EPROTO' || error.code === 'EINVAL'), String(error));
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), guarded));
  fc.assert(
    fc.property(arbitraryMessage, fc.nat(), fc.integer({ min: 0, max: 255 }), fc.nat(), (message, where, byte, cut) => {
      const bytes = encodeMessage(message);
      bytes[where % bytes.length] = byte;
      guarded(bytes.subarray(0, cut % (bytes.length + 1)));
    }),
  );
});

test('any cut of a stream of frames gives the same messages', () => {
  fc.assert(
    fc.property(
      fc.array(arbitraryMessage, { minLength: 1, maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 8 }),
      (messages, sizes) => {
        const stream = Buffer.concat(messages.map(encodeFrame));
        assert.deepEqual(
          decodeInPieces(stream, sizes).map((m) => hex(encodeMessage(m))),
          messages.map((m) => hex(encodeMessage(m))),
        );
      },
    ),
  );
});

const frameHeader = (magic: string, length: number) => {
  const bytes = Buffer.from(`${magic}00000000`, 'hex');
  bytes.writeUInt32BE(length, 4);
  return bytes;
};

for (const [note, bytes, text] of [
  ['wrong magic', frameHeader('deadbeef', 40), /bad magic/],
  ['magic in the byte order of the RFC', frameHeader('ffee0012', 40), /bad magic/],
  ['empty frame', frameHeader('1200eeff', 0), /no message/],
  ['frame that only holds a header without its size', frameHeader('1200eeff', 20), /no message/],
  ['length of 4 GiB', frameHeader('1200eeff', 0xffffffff), /exceeds the limit/],
] as const) {
  test(`frame refused: ${note}`, () => {
    assert.throws(
      () => new FrameReader().push(bytes, () => assert.fail()),
      (error: FluxError) => error.code === 'EPROTO' && text.test(error.message),
    );
  });
}

test('a claimed length of 1 GiB costs nothing until bytes come', () => {
  const reader = new FrameReader();
  const before = process.memoryUsage().arrayBuffers;
  reader.push(frameHeader('1200eeff', 2 ** 30), () => assert.fail());
  reader.push(Buffer.alloc(1000), () => assert.fail());
  assert.equal(reader.bufferedBytes, 1008);
  assert.ok(process.memoryUsage().arrayBuffers - before < 10_000_000);
});
