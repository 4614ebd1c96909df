// Mailboxes of several threads, all on one: what a thread that takes nothing does to the others, and what its end does.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeMessage, encodeMessage } from '../../../core/message/codec.ts';
import { Message } from '../../../core/message/message.ts';
import { createDoorbells } from '../../../core/ring/doorbell.ts';
import { endpoint } from '../../../core/ring/endpoint.ts';
import { LargeBuffers } from '../../../core/ring/large-buffers.ts';
import { Mailbox, type MailboxOptions } from '../../../core/ring/mailbox.ts';

const [source, middle, sink] = [0, 1, 2];
const RING_BYTES = 4096;
const MARK = 20_000;

/** Threads by index; rings go straight to the one they are for, or nowhere when it is not there. */
function makeThreads() {
  const doorbells = createDoorbells(3);
  const mailboxes = new Map<number, Mailbox>();
  const add = (thread: number, more: Partial<MailboxOptions> = {}): Mailbox => {
    const mailbox = new Mailbox({
      thread,
      doorbells,
      ringBytes: RING_BYTES,
      queueBytesMark: MARK,
      sources: [source],
      spinMicroseconds: 0,
      spins: 'when idle',
      connect: (to, memory) => mailboxes.get(to)?.addRing(thread, memory),
      ...more,
    });
    mailboxes.set(thread, mailbox);
    return mailbox;
  };
  return {
    add,
    stop: () => {
      for (const mailbox of mailboxes.values()) mailbox.stop();
    },
  };
}

/** Runs a mailbox; resolves when it has been handed so many topics. */
function take(mailbox: Mailbox, count: number): Promise<string[]> {
  const topics: string[] = [];
  return new Promise((resolve) => {
    void mailbox.run((bytes, start, end) => {
      topics.push(decodeMessage(bytes, start, end).topic ?? '');
      if (topics.length === count) resolve(topics);
    });
  });
}

function send(from: Mailbox, to: number, topics: readonly string[]): void {
  const payload = Buffer.alloc(1000);
  for (const topic of topics) from.send(endpoint(to, 1), endpoint(from.thread, 1), Message.request({ topic, payload }));
}

const names = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => `${prefix}.${i}`);

/** Lets all that can go on in this turn and the next few do so. */
async function turns(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** A thread in the middle that has sent more than its receiver takes; `congestion` tells what was told of that. */
async function congest(more: Partial<MailboxOptions> = {}) {
  const threads = makeThreads();
  const congestion: [number, boolean][] = [];
  const from = threads.add(source);
  const between = threads.add(middle, { onCongestion: (...what) => congestion.push(what), ...more });
  const to = threads.add(sink);
  let received: string[] | undefined;
  void take(between, 3).then((topics) => {
    received = topics;
  });
  send(between, sink, names('old', 100));
  await turns();
  send(from, middle, names('new', 3));
  await turns();
  return { threads, congestion, from, between, to, received: () => received };
}

test('a thread that takes nothing holds up the sources of those who send to it, until it does', async () => {
  const { threads, congestion, from, between, to, received } = await congest();
  from.flush();
  await turns();
  assert.deepEqual(congestion, [[sink, true]]);
  assert.equal(received(), undefined);
  assert.deepEqual(await take(to, 100), names('old', 100));
  await turns();
  assert.deepEqual(received(), names('new', 3));
  assert.deepEqual(congestion, [
    [sink, true],
    [sink, false],
  ]);
  assert.equal(between.queuedBytes(sink), 0);
  threads.stop();
});

test('one that may not hold up others does not', async () => {
  const { threads, congestion, between, received } = await congest({ holdsUp: (thread) => thread !== sink });
  assert.deepEqual(received(), names('new', 3));
  assert.deepEqual(congestion, []);
  assert.ok(between.queuedBytes(sink) > MARK);
  threads.stop();
});

test('one that is gone holds up nobody, and the next of its index gets only what is sent from then on', async () => {
  const { threads, congestion, between, received } = await congest();
  between.disconnect(sink);
  assert.equal(between.queuedBytes(sink), 0);
  await turns();
  assert.deepEqual(congestion, [
    [sink, true],
    [sink, false],
  ]);
  const next = threads.add(sink);
  send(between, sink, names('next', 3));
  assert.deepEqual(await take(next, 3), names('next', 3));
  await turns();
  assert.deepEqual(received(), names('new', 3));
  threads.stop();
});

test('large messages pass through room that is used again, and are whole', async () => {
  const threads = makeThreads();
  const buffers = new LargeBuffers();
  const from = threads.add(source, { buffers });
  const to = threads.add(middle);
  const lengths = Array.from({ length: 200 }, (_, i) => [3, 300_000, 700, 5000, 70_000][i % 5]! + i);
  const payload = (i: number) => Buffer.alloc(lengths[i]!, String.fromCharCode(65 + (i % 26)));
  void to.run((bytes, start, end) =>
    to.send(endpoint(source, 1), endpoint(middle, 1), decodeMessage(bytes, start, end)),
  );
  const rooms = new Set<ArrayBufferLike>();
  let returned = 0;
  const allReturned = new Promise<void>((resolve) => {
    void from.run((bytes, start, end) => {
      assert.ok(payload(returned).equals(decodeMessage(bytes, start, end).bytes!), `message ${returned}`);
      if (buffers.isLent(bytes)) rooms.add(bytes.buffer);
      buffers.give(bytes);
      if (++returned === lengths.length) resolve();
    });
  });
  const incoming = Buffer.alloc(400_000);
  for (let i = 0; i < lengths.length; i++) {
    const message = encodeMessage(Message.request({ topic: 'large', payload: payload(i) }));
    // One comes in room of its own, the next where the one after it comes, too.
    const place = i % 2 ? buffers.take(message.length) : incoming;
    message.copy(place);
    from.sendBytes(endpoint(middle, 1), endpoint(source, 1), place, 0, message.length);
    incoming.fill(0);
    while (returned < i - 4) await turns();
  }
  await allReturned;
  assert.ok(rooms.size > 0 && rooms.size < 20, `${rooms.size} rooms`);
  threads.stop();
});

test('what is to come after a round comes once its messages are handed out, and before they are answered', async () => {
  const threads = makeThreads();
  const from = threads.add(source);
  const to = threads.add(middle);
  const seen: string[] = [];
  await new Promise<void>((resolve) => {
    to.afterRound(() => seen.push('between rounds'));
    void to.run((bytes, start, end) => {
      const { topic } = decodeMessage(bytes, start, end);
      seen.push(topic!);
      if (topic === 'new.0') to.afterRound(() => seen.push('after'));
      if (topic === 'new.2') queueMicrotask(resolve);
    });
    for (const topic of names('new', 3))
      from.send(endpoint(middle, 1), endpoint(source, 1), Message.request({ topic }));
  });
  assert.deepEqual(seen, ['between rounds', ...names('new', 3), 'after']);
  threads.stop();
});

test('a thread that looks for work lets promises go on', async () => {
  const threads = makeThreads();
  const [from, to] = [threads.add(source), threads.add(middle, { spinMicroseconds: 60_000_000 })];
  let looked = false;
  await new Promise<void>((resolve) => {
    void to.run(async () => {
      for (let i = 0; i < 10; i++) await undefined;
      looked = true;
      to.stop();
      resolve();
    });
    send(from, middle, ['new']);
  });
  assert.equal(looked, true);
  // It looks until there is work.
  send(from, middle, ['last']);
});
