/** Messages from one thread to another: by mailbox, by the package ringbuf.js, and by MessagePort. */

import { Worker } from 'node:worker_threads';
import { RingBuffer } from 'ringbuf.js';
import { encodeMessage } from '../core/message/codec.ts';
import { Message } from '../core/message/message.ts';
import { createDoorbells } from '../core/ring/doorbell.ts';
import { endpoint } from '../core/ring/endpoint.ts';
import { Mailbox } from '../core/ring/mailbox.ts';
import { yieldProcessor } from '../native/index.ts';
import { type Figure, figure } from './figure.ts';
import type { Receiver, Way } from './ring.worker.ts';

const RING_BYTES = 1024 * 1024;
const MESSAGE_BYTES = 128;
/** Messages sent between looks at whether there is room. */
const BATCH = 64;

/** A message that has exactly so many bytes encoded. */
function messageOf(bytes: number): Buffer {
  for (let pad = 1; ; pad++) {
    const encoded = encodeMessage(Message.event('bench.ring', Buffer.alloc(pad)));
    if (encoded.length >= bytes) return encoded.subarray(0, bytes);
  }
}

/** Sends messages as fast as they are taken; `send` takes up to `wanted` and returns how many, or a promise of room. */
type Sender = (wanted: number) => number | Promise<void>;

function mailboxSender(worker: Worker, doorbells: SharedArrayBuffer, message: Buffer): Sender {
  let relieved: (() => void) | undefined;
  let congested = false;
  const mailbox = new Mailbox({
    thread: 0,
    doorbells,
    ringBytes: RING_BYTES,
    queueBytesMark: 0,
    sources: [],
    spinMicroseconds: 40,
    letOthers: yieldProcessor,
    spins: 'when idle',
    connect: (_, memory) => worker.postMessage(memory),
    onCongestion: (_, isCongested) => {
      congested = isCongested;
      if (!congested) relieved?.();
    },
  });
  void mailbox.run(() => {});
  return (wanted) => {
    if (congested) {
      return new Promise((resolve) => {
        relieved = resolve;
      });
    }
    for (let i = 0; i < wanted; i++) mailbox.sendBytes(endpoint(1, 1), endpoint(0, 1), message, 0, message.length);
    mailbox.flush();
    return wanted;
  };
}

function ringbufSender(ring: SharedArrayBuffer, message: Buffer): Sender {
  const buffer = new RingBuffer(ring, Uint8Array);
  return (wanted) => {
    let sent = 0;
    while (sent < wanted && buffer.available_write() >= message.length) {
      buffer.push(message);
      sent++;
    }
    return sent || new Promise((resolve) => setImmediate(resolve));
  };
}

function portSender(worker: Worker, message: Buffer): Sender {
  const bytes = new Uint8Array(message);
  return (wanted) => {
    for (let i = 0; i < wanted; i++) worker.postMessage(bytes);
    return wanted;
  };
}

async function rateOf(way: Way, count: number, rounds: number): Promise<number[]> {
  const doorbells = createDoorbells(2);
  const ring = RingBuffer.getStorageForCapacity(RING_BYTES, Uint8Array) as SharedArrayBuffer;
  const message = messageOf(MESSAGE_BYTES);
  const workerData: Receiver = { way, doorbells, ringBytes: RING_BYTES, ring, messageBytes: MESSAGE_BYTES, count };
  const worker = new Worker(new URL('./ring.worker.js', import.meta.url), { workerData });
  await new Promise((resolve) => worker.once('online', resolve));
  const sender = {
    mailbox: () => mailboxSender(worker, doorbells, message),
    ringbuf: () => ringbufSender(ring, message),
    port: () => portSender(worker, message),
  }[way]();
  const rates: number[] = [];
  // The first round warms up.
  for (let round = 0; round <= rounds; round++) {
    const done = new Promise((resolve) => worker.once('message', resolve));
    const start = performance.now();
    for (let sent = 0; sent < count; ) {
      const result = sender(Math.min(BATCH, count - sent));
      if (typeof result === 'number') sent += result;
      else await result;
    }
    await done;
    if (round) rates.push(count / 1e6 / ((performance.now() - start) / 1000));
  }
  await worker.terminate();
  return rates;
}

/** One way between two threads, messages of 128 bytes. */
export async function ringFigures(count: number, rounds: number): Promise<Figure[]> {
  const names: readonly [Way, string, number][] = [
    ['mailbox', 'ring-128', 1],
    ['ringbuf', 'ring-128.ringbuf.js', 1],
    ['port', 'ring-128.MessagePort', 0.2],
  ];
  const figures: Figure[] = [];
  for (const [way, name, part] of names) {
    const rates = await rateOf(way, Math.ceil(count * part), rounds);
    figures.push(figure(name, 'M messages/s', 'more', rates));
  }
  return figures;
}
