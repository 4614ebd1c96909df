/**
 * What one thread sends to another: a ring, and a queue in front of it for what the ring has no room for.
 *
 * Once something is queued all goes through the queue, so that messages keep their order.
 */

import { encodedLength, encodeInto, encodeMessage, encodePieces } from '../message/codec.ts';
import type { Message } from '../message/message.ts';
import { copyBytes } from './copy.ts';
import type { Doorbell } from './doorbell.ts';
import type { LargeBuffers } from './large-buffers.ts';
import { TOTAL_BYTES } from './layout.ts';
import { RingProducer } from './producer.ts';

/** A message in pieces, and how far it is sent: the next byte is at `at` in `pieces[piece]`. */
interface Queued {
  readonly pieces: readonly Buffer[];
  readonly length: number;
  sent: number;
  piece: number;
  at: number;
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
  readonly #buffers: LargeBuffers | undefined;

  /** `buffers` get back what was taken there and is sent. */
  constructor(thread: number, memory: SharedArrayBuffer, doorbell: Doorbell, buffers?: LargeBuffers) {
    this.thread = thread;
    this.producer = new RingProducer(memory);
    this.doorbell = doorbell;
    this.#buffers = buffers;
  }

  send(to: number, from: number, message: Message): void {
    const length = encodedLength(message);
    const offset = this.#claim(length);
    if (offset < 0) {
      // A small one is copied, so that it does not keep all that its payload came with.
      const isLarge = length > this.producer.recordBytesMax;
      this.#enqueue(isLarge ? encodePieces(message) : [encodeMessage(message)], length, to, from);
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
      this.#enqueue([this.#mayKeep(bytes, source) ? bytes : Buffer.from(bytes)], bytes.length, to, from);
      return;
    }
    copyBytes(source, start, end, this.producer.data, offset);
    this.producer.commit(to, from);
    this.#buffers?.give(source);
  }

  #mayKeep(bytes: Buffer, source: Buffer): boolean {
    if (this.#buffers) return this.#buffers.isLent(source);
    // A small message does not keep all of a large source.
    return bytes.length * 2 >= source.length;
  }

  #claim(bytes: number): number {
    if (this.queue.length || bytes > this.producer.recordBytesMax) return -1;
    return this.producer.claim(bytes);
  }

  #enqueue(pieces: readonly Buffer[], length: number, to: number, from: number): void {
    this.queue.push({ pieces, length, sent: 0, piece: 0, at: 0, to, from });
    this.queuedBytes += length;
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
    const { to, from } = item;
    const { data, recordBytesMax } = this.producer;
    const isWhole = item.length <= recordBytesMax;
    while (item.sent < item.length) {
      const front = item.sent > 0 || isWhole ? 0 : TOTAL_BYTES;
      const length = Math.min(item.length - item.sent, recordBytesMax - front);
      const offset = this.producer.claim(front + length);
      if (offset < 0) return false;
      if (front) data.writeUInt32LE(item.length, offset);
      this.#copyNext(item, offset + front, length);
      this.queuedBytes -= length;
      this.producer.commit(to, from, item.sent < item.length);
    }
    return true;
  }

  #copyNext(item: Queued, offset: number, length: number): void {
    for (const end = item.sent + length; item.sent < end; ) {
      const piece = item.pieces[item.piece]!;
      const last = Math.min(piece.length, item.at + end - item.sent);
      copyBytes(piece, item.at, last, this.producer.data, offset);
      offset += last - item.at;
      item.sent += last - item.at;
      item.at = last;
      if (last < piece.length) return;
      item.piece++;
      item.at = 0;
      this.#buffers?.give(piece);
    }
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
