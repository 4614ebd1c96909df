import { parentPort, workerData } from 'node:worker_threads';
import { decodeMessage } from '../../../core/message/codec.ts';
import { Message } from '../../../core/message/message.ts';
import { endpoint, threadOf } from '../../../core/ring/endpoint.ts';
import { Mailbox } from '../../../core/ring/mailbox.ts';
import { yieldProcessor } from '../../../native/index.ts';

export interface StressThread {
  readonly thread: number;
  readonly threads: number;
  readonly doorbells: SharedArrayBuffer;
  /** Messages to each other thread. */
  readonly messages: number;
  readonly ringBytes: number;
  readonly sizeMax: number;
  /** Goes back to the event loop after so many messages; 0: only when congested. */
  readonly pauseEvery: number;
  /** 0: sleeps at once; else threads look for work first, by turns when idle and when asked. */
  readonly spinMicroseconds: number;
  readonly seed: number;
}

export interface StressReport {
  readonly received: number;
  readonly errors: string[];
}

const { thread, threads, doorbells, messages, ringBytes, sizeMax, pauseEvery, spinMicroseconds, seed } =
  workerData as StressThread;

/** Mulberry32: small, seeded, good enough to vary sizes. */
let state = seed;
function random(below: number): number {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) % below;
}

/** Bytes that are wrong when any of them is exchanged with another's. */
function fill(length: number, salt: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 131 + salt * 17 + (i >> 8)) & 255;
  return bytes;
}

const errors: string[] = [];
const next = new Array<number>(threads).fill(1);
let received = 0;
const congested = new Set<number>();
let relieved: (() => void) | undefined;

const mailbox = new Mailbox({
  thread,
  doorbells,
  ringBytes,
  queueBytesMark: 16 * ringBytes,
  sources: [],
  spinMicroseconds,
  letOthers: yieldProcessor,
  spins: thread % 2 ? 'when idle' : 'when asked',
  connect: (to, memory) => parentPort!.postMessage({ to, memory }),
  onCongestion: (to, isCongested) => {
    if (isCongested) congested.add(to);
    else if (congested.delete(to) && congested.size === 0) relieved?.();
  },
});
parentPort!.on('message', (ring) => mailbox.addRing(ring.thread, ring.memory));

void mailbox.run((source, start, end, to, from) => {
  const message = decodeMessage(source, start, end);
  const sender = threadOf(from);
  const number = message.matchtag;
  if (threadOf(to) !== thread || number !== next[sender])
    errors.push(`from ${sender}: message ${number} instead of ${next[sender]}`);
  next[sender] = number + 1;
  const bytes = message.bytes ?? Buffer.alloc(0);
  if (!fill(bytes.length, number).equals(bytes))
    errors.push(`from ${sender}: message ${number} of ${bytes.length} bytes is damaged`);
  received++;
  reportWhenDone();
});

let allSent = false;
function reportWhenDone(): void {
  if (allSent && received === messages * (threads - 1))
    parentPort!.postMessage({ received, errors } satisfies StressReport);
}

for (let number = 1; number <= messages; number++) {
  for (let to = 0; to < threads; to++) {
    if (to === thread) continue;
    const message = Message.request({ topic: 'stress.test', matchtag: number, payload: fill(random(sizeMax), number) });
    mailbox.send(endpoint(to, 0), endpoint(thread, 0), message);
    mailbox.awaitAnswer();
  }
  if (number % 10 === 0) mailbox.flush();
  if (congested.size) {
    await new Promise<void>((resolve) => {
      relieved = resolve;
    });
  } else if (pauseEvery && number % pauseEvery === 0) await new Promise((resolve) => setTimeout(resolve, random(2)));
}
allSent = true;
reportWhenDone();
