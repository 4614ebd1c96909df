// Frames of the debug ring, and the ways they go.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FrameType, frameType } from '../../../core/overlay/node-frames.ts';
import {
  decodeBeat,
  encodeBeat,
  encodeRingMessage,
  isRingType,
  RingFrameType,
  type RingHeader,
  readRingHeader,
  ringMessage,
  writeRingHeader,
} from '../../../core/overlay/ring-frames.ts';
import { beside, cutText, opposite, passedBy, shorterWay, type Way } from '../../../core/overlay/ring-way.ts';
import { throwsCode } from '../../errors.ts';

const u32 = fc.integer({ min: 0, max: 0xffffffff });
const way: fc.Arbitrary<Way> = fc.record(
  {
    heading: fc.constantFrom('next' as const, 'previous' as const),
    turnedAt: fc.option(fc.integer({ min: 0, max: 0xfffffffe }), { nil: undefined }),
  },
  { noNullPrototype: true },
);
const header: fc.Arbitrary<RingHeader> = fc.record(
  {
    kind: fc.constantFrom('request' as const, 'response' as const),
    to: u32,
    from: u32,
    id: u32,
    hops: u32,
    way,
    there: way,
    errnum: u32,
    at: u32,
  },
  { noNullPrototype: true },
);

test('a message is what it was, whatever its header; a header that is written over changes nothing else', () => {
  fc.assert(
    fc.property(header, header, fc.uint8Array(), (first, second, message) => {
      const frame = encodeRingMessage(first, message);
      assert.equal(frameType(frame), RingFrameType.message);
      assert.deepEqual(readRingHeader(frame), first);
      writeRingHeader(frame, second);
      assert.deepEqual(readRingHeader(frame), second);
      assert.deepEqual(new Uint8Array(ringMessage(frame)), message);
    }),
  );
});

test('a beat counts modulo 2^32', () => {
  fc.assert(fc.property(u32, (taken) => assert.equal(decodeBeat(encodeBeat(taken)), taken)));
  assert.equal(decodeBeat(encodeBeat(2 ** 32)), 0);
});

test('what is cut off, or of another version, is refused', () => {
  const frame = encodeRingMessage(fc.sample(header, 1)[0]!, Buffer.alloc(0));
  for (let length = 0; length < frame.length; length++)
    throwsCode(() => readRingHeader(frame.subarray(0, length)), 'EPROTO', /without header/);
  frame.writeUInt32LE(8, 4);
  throwsCode(() => readRingHeader(frame), 'EPROTO', /flags 8/);
  throwsCode(() => decodeBeat(encodeBeat(1).subarray(0, 7)), 'EPROTO', /beat/);
});

test('no frame of the tree is taken for one of the ring', () => {
  for (const type of Object.values(FrameType)) assert.ok(!isRingType(type));
  for (const type of Object.values(RingFrameType)) assert.ok(isRingType(type));
});

test('the shorter way leads there, past at most half of the ring', () => {
  const places = fc.integer({ min: 1, max: 50 }).chain((count) => {
    const node = fc.integer({ min: 0, max: count - 1 });
    return fc.tuple(fc.constant(count), node, node, node);
  });
  fc.assert(
    fc.property(places, ([count, from, to, turnedAt]) => {
      const way = shorterWay(from, to, count);
      const passed = passedBy(from, to, way, count);
      assert.deepEqual([passed[0], passed.at(-1)], [from, to]);
      assert.ok(passed.length - 1 <= count / 2);
      for (const [index, node] of passed.slice(1).entries())
        assert.equal(node, beside(passed[index]!, way.heading, count));
      // One that turned round begins the other way.
      const turned = passedBy(from, to, { heading: opposite(way.heading), turnedAt }, count);
      assert.deepEqual([turned[0], turned.at(-1)], [from, to]);
      assert.ok(turned.includes(turnedAt));
    }),
  );
  assert.deepEqual(passedBy(0, 3, { heading: 'previous', turnedAt: 1 }, 6), [0, 1, 0, 5, 4, 3]);
});

test('where the ring is cut is said', () => {
  for (const [way, at, count, text] of [
    [{ heading: 'next' }, 1, 6, 'process 1 lost process 2 while the request was on its way'],
    [{ heading: 'previous', turnedAt: 1 }, 3, 6, 'neither process 1 nor process 3 reaches process 2'],
    [{ heading: 'previous', turnedAt: 1 }, 0, 6, 'process 1 does not reach process 2, and process 0 not process 5'],
    [{ heading: 'previous', turnedAt: 0 }, 0, 6, 'process 0 reaches neither process 1 nor process 5'],
    [{ heading: 'next', turnedAt: 1 }, 1, 2, 'process 1 does not reach process 0'],
  ] as [Way, number, number, string][])
    assert.equal(cutText(way, at, count), text);
});
