/**
 * What a thread sends and receives through: its doorbell, a ring from every thread that ever wrote to it, and a ring to
 * every thread it ever wrote to, each made on first use.
 *
 * Messages for a ring that is full wait in a queue of their own, in order. While a queue is longer than a mark the
 * mailbox is congested: it takes nothing from the threads named as sources until the queue is short again, so that what
 * comes into the engine is slowed down and never what is already inside. No two threads wait for each other: only a
 * source is ever left waiting, and sources (the main thread) always take what they are sent.
 */

import type { Message } from '../message/message.ts';
import { type RecordSink, RingConsumer } from './consumer.ts';
import { Doorbell } from './doorbell.ts';
import { threadOf } from './endpoint.ts';
import type { LargeBuffers } from './large-buffers.ts';
import { createRing } from './layout.ts';
import { Outbox } from './outbox.ts';
import { Patience } from './patience.ts';

export interface MailboxOptions {
  /** Index of this thread. */
  readonly thread: number;
  readonly doorbells: SharedArrayBuffer;
  readonly ringBytes: number;
  /** Queued bytes to one thread from which on the mailbox is congested. */
  readonly queueBytesMark: number;
  /** Threads that are left waiting while this mailbox is congested. */
  readonly sources: readonly number[];
  /** Microseconds to look for work before going to sleep; see `Patience`. */
  readonly spinMicroseconds: number;
  /** Lets others run on the processor of a thread that looks; nobody is let where it is absent. */
  readonly letOthers?: () => void;
  /**
   * When to look: a thread that only serves its rings does when they are empty; one that has sockets to serve must go back
   * to them, and does so only for `awaitAnswer`.
   */
  readonly spins: 'when idle' | 'when asked';
  /** Hands a new ring to the thread that reads it. */
  readonly connect: (thread: number, memory: SharedArrayBuffer) => void;
  /** On a thread that only passes messages on: where large ones have room that is used again. */
  readonly buffers?: LargeBuffers;
  /** Called after a round in which messages were handed out. */
  readonly onRoundEnd?: () => void;
  /** Whether a thread that does not keep up makes the mailbox congested; all do when absent. */
  readonly holdsUp?: (thread: number) => boolean;
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
/** What is sent while much is done in one go is published after so long, looked at every so many messages. */
const LATE_MS = 1;
const LOOK_EVERY = 4;

interface Inbox {
  readonly thread: number;
  readonly consumer: RingConsumer;
  readonly doorbell: Doorbell;
}

export class Mailbox {
  readonly thread: number;
  readonly #options: MailboxOptions;
  readonly #doorbell: Doorbell;
  #outboxes: Outbox[] = [];
  readonly #outboxByThread: (Outbox | undefined)[] = [];
  #inboxes: Inbox[] = [];
  #congested = 0;
  #flushing = false;
  #running = false;
  // Whether the loop is handing out messages now; it publishes after each round.
  #delivering = false;
  #atRoundEnd: (() => void)[] = [];
  // Since sleepers were last woken.
  #takenBytes = 0;
  // Messages sent, and since when there may be some that are not published.
  #sent = 0;
  #unpublishedSince = 0;
  readonly #patience: Patience;
  // Answers that are awaited from this turn of the event loop on.
  #awaited = 0;

  constructor(options: MailboxOptions) {
    this.thread = options.thread;
    this.#options = options;
    this.#doorbell = new Doorbell(options.doorbells, options.thread);
    this.#patience = new Patience(options.spinMicroseconds, options.letOthers ?? (() => {}));
  }

  /** Sends a message, encoded straight into the ring. */
  send(to: number, from: number, message: Message): void {
    this.#outbox(threadOf(to)).send(to, from, message);
    this.#scheduleFlush();
  }

  /**
   * Sends the encoded message in `source[start … end)`. With `buffers`, what was taken there goes back there, and what else
   * has to wait is copied; without, the source must not be written to afterwards.
   */
  sendBytes(to: number, from: number, source: Buffer, start: number, end: number): void {
    this.#outbox(threadOf(to)).sendBytes(to, from, source, start, end);
    this.#scheduleFlush();
  }

  /** Reads a ring that another thread made to write to this one. */
  addRing(thread: number, memory: SharedArrayBuffer): void {
    this.#inboxes.push({
      thread,
      consumer: new RingConsumer(memory, this.#options.buffers),
      doorbell: new Doorbell(this.#options.doorbells, thread),
    });
    this.#doorbell.ring();
  }

  /** A thread is gone: forgets its rings, and what waits in them. The next thread of its index gets new ones. */
  disconnect(thread: number): void {
    const outbox = this.#outboxByThread[thread];
    this.#outboxByThread[thread] = undefined;
    this.#outboxes = this.#outboxes.filter((each) => each !== outbox);
    this.#inboxes = this.#inboxes.filter((each) => each.thread !== thread);
    if (!outbox?.congested) return;
    this.#setCongested(outbox, false);
    // There may be mail that was left waiting.
    this.#doorbell.ring();
  }

  /** Calls back once the messages of this round are handed out, before anything is published; or soon, between rounds. */
  afterRound(callback: () => void): void {
    if (this.#delivering) this.#atRoundEnd.push(callback);
    else queueMicrotask(callback);
  }

  /** Bytes that wait for room in the ring to a thread. */
  queuedBytes(thread: number): number {
    return this.#outboxByThread[thread]?.queuedBytes ?? 0;
  }

  #outbox(thread: number): Outbox {
    const known = this.#outboxByThread[thread];
    if (known) return known;
    const memory = createRing(this.#options.ringBytes);
    const { doorbells, buffers } = this.#options;
    const outbox = new Outbox(thread, memory, new Doorbell(doorbells, thread), buffers);
    this.#outboxes.push(outbox);
    this.#outboxByThread[thread] = outbox;
    this.#options.connect(thread, memory);
    return outbox;
  }

  #scheduleFlush(): void {
    if (this.#delivering || this.#flushing) {
      if (++this.#sent % LOOK_EVERY === 0) this.#flushWhenLate();
      return;
    }
    this.#flushing = true;
    this.#unpublishedSince = performance.now();
    queueMicrotask(() => {
      this.#flushing = false;
      this.flush();
    });
  }

  #flushWhenLate(): void {
    const now = performance.now();
    if (now - this.#unpublishedSince < LATE_MS) return;
    this.#unpublishedSince = now;
    this.flush();
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
    if (congested === outbox.congested || this.#options.holdsUp?.(outbox.thread) === false) return;
    this.#setCongested(outbox, congested);
  }

  #setCongested(outbox: Outbox, congested: boolean): void {
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
    this.#unpublishedSince = performance.now();
    try {
      for (const inbox of this.#inboxes) {
        if (!this.#mayRead(inbox)) continue;
        const taken = inbox.consumer.poll(sink, BATCH_BYTES);
        bytes += taken;
        if (taken && inbox.consumer.takeStarved()) inbox.doorbell.ring();
      }
      for (const callback of this.#atRoundEnd.splice(0)) callback();
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
  readonly #hasWork = (): boolean => {
    for (const inbox of this.#inboxes) if (this.#mayRead(inbox) && inbox.consumer.hasRecords) return true;
    for (const outbox of this.#outboxes) if (outbox.queue.length && !outbox.producer.isStarving) return true;
    return false;
  };

  async #spin(): Promise<boolean> {
    this.#patience.begin();
    const found = await this.#patience.lookBetween(this.#hasWork);
    if (found) this.#patience.end();
    return found;
  }

  /**
   * Tells that a request was sent on, whose answer may be there sooner than this thread could sleep and wake: it looks for
   * that answer for a while, unless there were more requests in this turn of the event loop.
   */
  awaitAnswer(): void {
    if (this.#options.spinMicroseconds > 0 && this.#awaited++ === 0) setImmediate(this.#lookForAnswer);
  }

  readonly #lookForAnswer = (): void => {
    const awaited = this.#awaited;
    this.#awaited = 0;
    if (awaited !== 1 || !this.#doorbell.isSleeping) return;
    this.#patience.begin();
    // Who sends now need not ring.
    this.#doorbell.cancelSleep();
    if (!this.#patience.look(this.#hasWork)) {
      this.#doorbell.prepareSleep();
      if (!this.#hasWork()) return;
    }
    // Sockets first: to answer a client that has gone means to lose what it sent before.
    setImmediate(() => this.#doorbell.wake());
  };

  /** Hands every message that comes to `sink`, until `stop`. A sink that throws ends the loop with its error. */
  async run(sink: RecordSink): Promise<void> {
    this.#running = true;
    while (this.#running) {
      let rounds = 0;
      while (rounds < ROUNDS_MAX && this.#poll(sink)) rounds++;
      if (rounds === ROUNDS_MAX) {
        this.#ring();
        await nextTurn();
        continue;
      }
      if (this.#options.spins === 'when idle' && (await this.#spin())) continue;
      this.#doorbell.prepareSleep();
      if (this.#hasWork()) {
        this.#doorbell.cancelSleep();
        continue;
      }
      await this.#doorbell.sleep();
      this.#patience.end();
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
