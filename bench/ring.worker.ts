/** The receiving end of the ring benchmarks. */

import { parentPort, workerData } from 'node:worker_threads';
import { RingBuffer } from 'ringbuf.js';
import { Mailbox } from '../core/ring/mailbox.ts';
import { yieldProcessor } from '../native/index.ts';

/** How messages come: by mailbox, by a ring of the package ringbuf.js, or by MessagePort. */
export type Way = 'mailbox' | 'ringbuf' | 'port';

export interface Receiver {
  readonly way: Way;
  readonly doorbells: SharedArrayBuffer;
  readonly ringBytes: number;
  /** Memory of the ringbuf.js ring. */
  readonly ring: SharedArrayBuffer;
  readonly messageBytes: number;
  /** Messages after which it says so. */
  readonly count: number;
}

const { way, doorbells, ringBytes, ring, messageBytes, count } = workerData as Receiver;
let received = 0;
const took = (messages: number): void => {
  received += messages;
  if (received < count) return;
  received -= count;
  parentPort!.postMessage('done');
};

if (way === 'mailbox') {
  const mailbox = new Mailbox({
    thread: 1,
    doorbells,
    ringBytes,
    queueBytesMark: Infinity,
    sources: [],
    spinMicroseconds: 40,
    letOthers: yieldProcessor,
    spins: 'when idle',
    connect: () => {},
  });
  parentPort!.on('message', (memory: SharedArrayBuffer) => mailbox.addRing(0, memory));
  void mailbox.run(() => took(1));
} else if (way === 'port') {
  parentPort!.on('message', () => took(1));
} else {
  const buffer = new RingBuffer(ring, Uint8Array);
  const message = new Uint8Array(messageBytes);
  // It has no way to wait: whoever uses it asks again and again.
  const poll = (): void => {
    let messages = 0;
    while (messages < 1000 && buffer.available_read() >= messageBytes) {
      buffer.pop(message);
      messages++;
    }
    if (messages) took(messages);
    setImmediate(poll);
  };
  poll();
}
