/**
 * What one thread sends to another: a ring, and a queue in front of it for what the ring has no room for.
 *
 * Once something is queued all goes through the queue, so that messages keep their order.
 */

import { encodedLength, encodeInto, encodeMessage } from '../message/codec.ts';
import type { Message } from '../message/message.ts';
import type { Doorbell } from './doorbell.ts';
import { TOTAL_BYTES } from './layout.ts';
import { RingProducer } from './producer.ts';

interface Queued {
  readonly bytes: Buffer;
  sent: number;
  readonly to: number;
  readonly from: number;
}

/** Not seen by the receiver before `publish`, and told to it by `ring`. */
export class Outbox {
  readonly thread: number;
  readonly producer: RingProducer;
  readonly doorbell: Doorbell;
  readonly queue: Queued[] = [];
  queuedBytes = 0;
  congested = false;
  #isToRing = false;

  constructor(thread: number, memory: SharedArrayBuffer, doorbell: Doorbell) {
    this.thread = thread;
    this.producer = new RingProducer(memory);
    this.doorbell = doorbell;
  }

  send(to: number, from: number, message: Message): void {
    const length = encodedLength(message);
    const offset = this.#claim(length);
    if (offset < 0) {
      this.#enqueue(encodeMessage(message), to, from);
      return;
    }
    encodeInto(message, this.producer.data, offset);
    this.producer.commit(to, from);
  }

  /** Sends the encoded message in `source[start … end)`. */
  sendBytes(to: number, from: number, source: Buffer, start: number, end: number): void {
    const offset = this.#claim(end - start);
    if (offset < 0) {
      const bytes = source.subarray(start, end);
      // A small message is copied, so that it does not keep all of a large source.
      this.#enqueue(bytes.length * 2 < source.length ? Buffer.from(bytes) : bytes, to, from);
      return;
    }
    source.copy(this.producer.data, offset, start, end);
    this.producer.commit(to, from);
  }

  #claim(bytes: number): number {
    if (this.queue.length || bytes > this.producer.recordBytesMax) return -1;
    return this.producer.claim(bytes);
  }

  #enqueue(bytes: Buffer, to: number, from: number): void {
    this.queue.push({ bytes, sent: 0, to, from });
    this.queuedBytes += bytes.length;
    this.drain();
  }

  /** Moves what waits into the ring as far as there is room; when that is not all, asks to be told of room. */
  drain(): void {
    this.#moveQueued();
    if (this.queue.length === 0) return;
    this.producer.starve();
    // Room that came before STARVED was set would never be told of.
    this.#moveQueued();
  }

  #moveQueued(): void {
    let done = 0;
    while (done < this.queue.length && this.#sendQueued(this.queue[done]!)) done++;
    this.queue.splice(0, done);
  }

  /** Puts a message into the ring, or as many fragments of it as there is room for; false when that is not all. */
  #sendQueued(item: Queued): boolean {
    const { bytes, to, from } = item;
    const { data, recordBytesMax } = this.producer;
    const isWhole = bytes.length <= recordBytesMax;
    while (item.sent < bytes.length) {
      const front = item.sent > 0 || isWhole ? 0 : TOTAL_BYTES;
      const length = Math.min(bytes.length - item.sent, recordBytesMax - front);
      const offset = this.producer.claim(front + length);
      if (offset < 0) return false;
      if (front) data.writeUInt32LE(bytes.length, offset);
      bytes.copy(data, offset + front, item.sent, item.sent + length);
      item.sent += length;
      this.queuedBytes -= length;
      this.producer.commit(to, from, item.sent < bytes.length);
    }
    return true;
  }

  publish(): void {
    if (this.queue.length) this.drain();
    if (!this.producer.hasUnpublished) return;
    this.producer.publish();
    this.#isToRing = true;
  }

  /** Wakes the receiver when it sleeps and something was published since the last call. */
  ring(): void {
    if (!this.#isToRing) return;
    this.#isToRing = false;
    this.doorbell.ring();
  }
}
