// One ring, both sides on one thread: what goes in comes out, in order, whatever the sizes; full is an ordinary answer.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RingConsumer } from '../../../core/ring/consumer.ts';
import { endpoint, indexOf, threadOf } from '../../../core/ring/endpoint.ts';
import { createRing, DATA_OFFSET, RECORD_HEADER_BYTES, ringStats, Word } from '../../../core/ring/layout.ts';
import { RingProducer } from '../../../core/ring/producer.ts';

interface Record {
  bytes: string;
  to: number;
  from: number;
}

function put(producer: RingProducer, record: Record, more = false): boolean {
  const bytes = Buffer.from(record.bytes, 'latin1');
  const offset = producer.claim(bytes.length);
  if (offset < 0) return false;
  bytes.copy(producer.data, offset);
  producer.commit(record.to, record.from, more);
  return true;
}

function takeAll(consumer: RingConsumer, bytesMax = 1 << 20): Record[] {
  const out: Record[] = [];
  while (
    consumer.poll(
      (source, start, end, to, from) => out.push({ bytes: source.toString('latin1', start, end), to, from }),
      bytesMax,
    )
  );
  return out;
}

const record = (length: number, n: number): Record => ({
  bytes: String.fromCharCode(65 + (n % 26)).repeat(length),
  to: endpoint(1, n),
  from: endpoint(0, n),
});

test('records come out as they went in, any number at a time', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 52 })),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
      fc.integer({ min: 1, max: 300 }),
      (lengths, batches, bytesMax) => {
        const memory = createRing(512);
        const [producer, consumer] = [new RingProducer(memory), new RingConsumer(memory)];
        const sent: Record[] = [];
        const got: Record[] = [];
        for (let i = 0, b = 0; i < lengths.length; b++) {
          for (let k = 0; k < batches[b % batches.length]! && i < lengths.length; k++) {
            const next = record(lengths[i]!, i);
            if (!put(producer, next)) break;
            sent.push(next);
            i++;
          }
          assert.deepEqual(takeAll(consumer), [], 'nothing is visible before it is published');
          producer.publish();
          got.push(...takeAll(consumer, bytesMax));
        }
        assert.deepEqual(got, sent);
        assert.equal(ringStats(memory).depth, 0);
      },
    ),
  );
});

test('a full ring says so, loses nothing, and has room again after a poll', () => {
  const memory = createRing(256);
  const [producer, consumer] = [new RingProducer(memory), new RingConsumer(memory)];
  let n = 0;
  while (put(producer, record(20, n))) n++;
  assert.equal(n, 8);
  assert.equal(put(producer, record(20, n)), false);
  producer.publish();
  assert.equal(ringStats(memory).depth, 256);
  assert.equal(takeAll(consumer).length, 8);
  assert.equal(put(producer, record(20, n)), true);
});

test('an aborted claim leaves no trace', () => {
  const memory = createRing(512);
  const [producer, consumer] = [new RingProducer(memory), new RingConsumer(memory)];
  for (let i = 0; i < 20; i++) {
    assert.ok(producer.claim(30) >= 0);
    producer.abort();
    assert.ok(put(producer, record(30, i)));
    producer.publish();
    assert.deepEqual(takeAll(consumer), [record(30, i)]);
  }
});

test('an empty record, the longest record, and one byte more', () => {
  const memory = createRing(1024);
  const [producer, consumer] = [new RingProducer(memory), new RingConsumer(memory)];
  for (let round = 0; round < 10; round++) {
    assert.ok(put(producer, record(0, 1)));
    assert.ok(put(producer, record(producer.recordBytesMax, 2)));
    producer.publish();
    assert.deepEqual(
      takeAll(consumer, 1).map((r) => r.bytes.length),
      [0, producer.recordBytesMax],
    );
  }
  assert.throws(() => producer.claim(producer.recordBytesMax + 1), RangeError);
});

test('fragments are joined into one message, with room for a header in front', () => {
  const memory = createRing(256);
  const [producer, consumer] = [new RingProducer(memory), new RingConsumer(memory)];
  const seen: [string, number][] = [];
  const sink = (source: Buffer, start: number, end: number) =>
    seen.push([source.toString('latin1', start, end), start]);
  for (const [bytes, more] of [
    ['before', false],
    // The first begins with the length of the whole.
    ['\u000d\0\0\0one ', true],
    ['two ', true],
    ['three', false],
    ['after', false],
  ] as const) {
    put(producer, { bytes, to: 1, from: 2 }, more);
    producer.publish();
    consumer.poll(sink, 1000);
  }
  assert.deepEqual(
    seen.map(([bytes]) => bytes),
    ['before', 'one two three', 'after'],
  );
  assert.ok(seen.every(([, start]) => start >= RECORD_HEADER_BYTES));
});

test('positions go on past 2^31 and 2^32', () => {
  for (const edge of [2 ** 31, 2 ** 32]) {
    const memory = createRing(512);
    const words = new Int32Array(memory, 0, DATA_OFFSET / 4);
    words[Word.tail] = words[Word.head] = edge - 1024;
    const [producer, consumer] = [new RingProducer(memory), new RingConsumer(memory)];
    for (let i = 0; i < 100; i++) {
      for (let k = 0; k < 3; k++) assert.ok(put(producer, record((i + k) % 50, i)));
      producer.publish();
      assert.deepEqual(
        takeAll(consumer),
        [0, 1, 2].map((k) => record((i + k) % 50, i)),
      );
    }
    assert.ok(ringStats(memory).bytes !== edge - 1024 && ringStats(memory).depth === 0);
  }
});

for (const capacity of [0, 128, 300, 2 ** 31]) {
  test(`no ring of ${capacity} bytes`, () => assert.throws(() => createRing(capacity), RangeError));
}

test('endpoints', () => {
  for (const [thread, index] of [
    [0, 0],
    [1, 5],
    [255, 0xffffff],
  ] as const)
    assert.deepEqual([threadOf(endpoint(thread, index)), indexOf(endpoint(thread, index))], [thread, index]);
});
