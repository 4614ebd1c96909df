/**
 * What a thread sends and receives through: its doorbell, a ring from every thread that ever wrote to it, and a ring to
 * every thread it ever wrote to, each made on first use.
 *
 * Messages for a ring that is full wait in a queue of their own, in order. While a queue is longer than a mark the
 * mailbox is congested: it takes nothing from the threads named as sources until the queue is short again, so that what
 * comes into the engine is slowed down and never what is already inside. No two threads wait for each other: only a
 * source is ever left waiting, and sources (the main thread) always take what they are sent.
 */

import { encodedLength, encodeInto, encodeMessage } from '../message/codec.ts';
import type { Message } from '../message/message.ts';
import { type RecordSink, RingConsumer } from './consumer.ts';
import { Doorbell } from './doorbell.ts';
import { threadOf } from './endpoint.ts';
import { createRing, TOTAL_BYTES } from './layout.ts';
import { RingProducer } from './producer.ts';

export interface MailboxOptions {
  /** Index of this thread. */
  readonly thread: number;
  readonly doorbells: SharedArrayBuffer;
  readonly ringBytes: number;
  /** Queued bytes to one thread from which on the mailbox is congested. */
  readonly queueBytesMark: number;
  /** Threads that are left waiting while this mailbox is congested. */
  readonly sources: readonly number[];
  /** Microseconds to look for work before going to sleep. */
  readonly spinMicroseconds: number;
  /** Hands a new ring to the thread that reads it. */
  readonly connect: (thread: number, memory: SharedArrayBuffer) => void;
  /** Called after a round in which messages were handed out. */
  readonly onRoundEnd?: () => void;
  /** Called when a queue passes the mark and when it is short again. */
  readonly onCongestion?: (thread: number, congested: boolean) => void;
}

/** Bytes taken from one ring before the next has its turn. */
const BATCH_BYTES = 128 * 1024;
/** Rounds over all rings before timers and sockets have their turn. */
const ROUNDS_MAX = 16;
/**
 * Bytes taken before threads that sleep are woken, when there is still more to take. To wake one costs as much as a small
 * message does; what is sent to one that is awake it sees at once.
 */
const WAKE_BYTES = 4096;

interface Queued {
  readonly bytes: Buffer;
  sent: number;
  readonly to: number;
  readonly from: number;
}

class Outbox {
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

interface Inbox {
  readonly thread: number;
  readonly consumer: RingConsumer;
  readonly doorbell: Doorbell;
}

export class Mailbox {
  readonly thread: number;
  readonly #options: MailboxOptions;
  readonly #doorbell: Doorbell;
  readonly #outboxes: Outbox[] = [];
  readonly #outboxByThread: (Outbox | undefined)[] = [];
  readonly #inboxes: Inbox[] = [];
  #congested = 0;
  #flushing = false;
  #running = false;
  // Whether the loop is handing out messages now; it publishes after each round.
  #delivering = false;
  // Since sleepers were last woken.
  #takenBytes = 0;
  /** Times this thread went to sleep, and rounds that found mail. */
  sleeps = 0;
  rounds = 0;

  constructor(options: MailboxOptions) {
    this.thread = options.thread;
    this.#options = options;
    this.#doorbell = new Doorbell(options.doorbells, options.thread);
  }

  /** Sends a message, encoded straight into the ring. */
  send(to: number, from: number, message: Message): void {
    this.#outbox(threadOf(to)).send(to, from, message);
    this.#scheduleFlush();
  }

  /** Sends the encoded message in `source[start … end)`, which must not be written to afterwards. */
  sendBytes(to: number, from: number, source: Buffer, start: number, end: number): void {
    this.#outbox(threadOf(to)).sendBytes(to, from, source, start, end);
    this.#scheduleFlush();
  }

  /** Reads a ring that another thread made to write to this one. */
  addRing(thread: number, memory: SharedArrayBuffer): void {
    this.#inboxes.push({
      thread,
      consumer: new RingConsumer(memory),
      doorbell: new Doorbell(this.#options.doorbells, thread),
    });
    this.#doorbell.ring();
  }

  /** Bytes that wait for room in the ring to a thread. */
  queuedBytes(thread: number): number {
    return this.#outboxByThread[thread]?.queuedBytes ?? 0;
  }

  #outbox(thread: number): Outbox {
    const known = this.#outboxByThread[thread];
    if (known) return known;
    const memory = createRing(this.#options.ringBytes);
    const outbox = new Outbox(thread, memory, new Doorbell(this.#options.doorbells, thread));
    this.#outboxes.push(outbox);
    this.#outboxByThread[thread] = outbox;
    this.#options.connect(thread, memory);
    return outbox;
  }

  #scheduleFlush(): void {
    if (this.#delivering || this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      this.flush();
    });
  }

  /** Publishes what was sent since the last flush and wakes its receivers. */
  flush(): void {
    this.#publish();
    this.#ring();
  }

  #publish(): void {
    for (const outbox of this.#outboxes) {
      outbox.publish();
      this.#noteCongestion(outbox);
    }
  }

  #ring(): void {
    this.#takenBytes = 0;
    for (const outbox of this.#outboxes) outbox.ring();
  }

  #noteCongestion(outbox: Outbox): void {
    const mark = this.#options.queueBytesMark;
    // Relieved at half the mark, so that it does not flicker.
    const congested = outbox.queuedBytes > (outbox.congested ? mark / 2 : mark);
    if (congested === outbox.congested) return;
    outbox.congested = congested;
    this.#congested += congested ? 1 : -1;
    this.#options.onCongestion?.(outbox.thread, congested);
  }

  #mayRead(inbox: Inbox): boolean {
    return this.#congested === 0 || !this.#options.sources.includes(inbox.thread);
  }

  /** One round over the rings; false when nothing was there, and then nobody is left asleep. */
  #poll(sink: RecordSink): boolean {
    let bytes = 0;
    this.#delivering = true;
    try {
      for (const inbox of this.#inboxes) {
        if (!this.#mayRead(inbox)) continue;
        const taken = inbox.consumer.poll(sink, BATCH_BYTES);
        bytes += taken;
        if (taken && inbox.consumer.takeStarved()) inbox.doorbell.ring();
      }
    } finally {
      this.#delivering = false;
    }
    if (bytes) this.#options.onRoundEnd?.();
    this.#publish();
    this.#takenBytes += bytes;
    if (bytes === 0 || this.#takenBytes >= WAKE_BYTES) this.#ring();
    return bytes > 0;
  }

  /** Whether there is something to do: records to take, or room for what is queued. */
  get #hasWork(): boolean {
    for (const inbox of this.#inboxes) if (this.#mayRead(inbox) && inbox.consumer.hasRecords) return true;
    for (const outbox of this.#outboxes) if (outbox.queue.length && !outbox.producer.isStarving) return true;
    return false;
  }

  #spin(): boolean {
    if (this.#options.spinMicroseconds === 0) return false;
    const until = performance.now() + this.#options.spinMicroseconds / 1000;
    do if (this.#hasWork) return true;
    while (performance.now() < until);
    return false;
  }

  /** Hands every message that comes to `sink`, until `stop`. A sink that throws ends the loop with its error. */
  async run(sink: RecordSink): Promise<void> {
    this.#running = true;
    while (this.#running) {
      let rounds = 0;
      while (rounds < ROUNDS_MAX && this.#poll(sink)) rounds++;
      this.rounds += rounds;
      if (rounds === ROUNDS_MAX) {
        this.#ring();
        await nextTurn();
        continue;
      }
      if (this.#spin()) continue;
      this.#doorbell.prepareSleep();
      if (this.#hasWork) {
        this.#doorbell.cancelSleep();
        continue;
      }
      this.sleeps++;
      await this.#doorbell.sleep();
    }
  }

  /** Ends `run` once it is awake. */
  stop(): void {
    this.#running = false;
    this.#doorbell.ring();
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
