// Events between processes: once each, in order, without gaps, whatever is lost, doubled or late on the way.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { EventFeed } from '../../../core/overlay/event-feed.ts';
import { encodeEventFrame, eventSequence } from '../../../core/overlay/node-frames.ts';

/** A feed with a clock that is turned by hand. */
class Feed {
  readonly got: number[] = [];
  readonly asked: [number, number][] = [];
  #timers: (() => void)[] = [];
  readonly feed = new EventFeed({
    clock: {
      now: () => 0,
      monotonic: () => 0,
      after: (_, callback) => {
        this.#timers.push(callback);
        return { cancel: () => (this.#timers = this.#timers.filter((each) => each !== callback)) };
      },
    },
    deliver: (frame) => this.got.push(eventSequence(frame)),
    ask: (...range) => this.asked.push(range),
  });

  receive(sequence: number): void {
    this.feed.receive(sequence, frame(sequence));
  }

  get waits(): boolean {
    return this.#timers.length > 0;
  }

  /** Time passes. */
  turn(): void {
    for (const callback of this.#timers.splice(0)) callback();
  }
}

const frame = (sequence: number, bytes = 3) => encodeEventFrame(sequence, Buffer.alloc(bytes));
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

test('what is missing is asked for, again until it comes', () => {
  const feed = new Feed();
  for (const sequence of [1, 4, 4, 3]) feed.receive(sequence);
  assert.deepEqual([feed.got, feed.asked], [[1], []]);
  feed.turn();
  feed.turn();
  assert.deepEqual(feed.asked, [
    [2, 3],
    [2, 3],
  ]);
  feed.receive(2);
  assert.deepEqual([feed.got, feed.waits], [[1, 2, 3, 4], false]);
  feed.receive(2);
  assert.deepEqual(feed.got, [1, 2, 3, 4]);
});

test('an event that others have seen is asked for, though none follows', () => {
  const feed = new Feed();
  feed.feed.start(10);
  feed.feed.want(10);
  assert.equal(feed.waits, false);
  feed.feed.want(12);
  feed.turn();
  assert.deepEqual(feed.asked, [[11, 12]]);
});

test('a process joins after an event, or goes on where it was', () => {
  const feed = new Feed();
  feed.feed.start(5);
  feed.receive(5);
  feed.receive(6);
  feed.feed.start(9);
  assert.equal(feed.feed.sequence, 6);
  feed.turn();
  assert.deepEqual([feed.got, feed.asked], [[6], [[7, 9]]]);
});

test('the last events are kept, and who asks for older ones learns that they are not', () => {
  const feed = new Feed();
  for (const sequence of upTo(20_000)) feed.receive(sequence);
  assert.equal(feed.feed.again(1, 5), undefined);
  const sequences = (first: number, last: number) => feed.feed.again(first, last)?.map(eventSequence);
  assert.deepEqual(sequences(19_999, 0xffffffff), [19_999, 20_000]);
  assert.deepEqual(sequences(19_998, 19_998), [19_998]);
  assert.deepEqual(sequences(20_001, 20_005), []);
});

test('large events are not kept by the thousand', () => {
  const feed = new Feed();
  for (const sequence of upTo(100)) feed.feed.receive(sequence, frame(sequence, 1_000_000));
  assert.equal(feed.feed.again(1, 100), undefined);
  assert.ok(feed.feed.again(95, 100)?.length);
});

test('whatever is lost, doubled or late, all are handed on in order', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 60 }), fc.array(fc.integer({ min: 1, max: 60 })), (count, arrivals) => {
      const feed = new Feed();
      for (const sequence of arrivals) if (sequence <= count) feed.receive(sequence);
      feed.feed.want(count);
      for (let i = 0; feed.waits && i < count; i++) {
        feed.turn();
        const [first, last] = feed.asked.at(-1)!;
        for (let sequence = first; sequence <= last; sequence += 2) feed.receive(sequence);
      }
      assert.deepEqual(feed.got, upTo(count));
    }),
  );
});
