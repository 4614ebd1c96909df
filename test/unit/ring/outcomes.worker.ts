import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { RingConsumer } from '../../../core/ring/consumer.ts';
import { createDoorbells, Doorbell } from '../../../core/ring/doorbell.ts';
import { createRing } from '../../../core/ring/layout.ts';
import { RingProducer } from '../../../core/ring/producer.ts';

export type Race = 'sleep' | 'starve';

interface Shared {
  readonly kind: Race;
  readonly rounds: number;
  readonly doorbells: SharedArrayBuffer;
  /** A ring for each round, so that no round sees what another left. */
  readonly rings: SharedArrayBuffer[];
  /** Word 0 counts arrivals at the start of each round, word 1 at its end. */
  readonly barrier: SharedArrayBuffer;
  readonly words: SharedArrayBuffer;
}

const OWNER = 0;
const RINGS = 16;

/** Both threads go on together: whoever comes second lets both loose. */
function meet(words: Int32Array, word: number, round: number): void {
  Atomics.add(words, word, 1);
  while (Atomics.load(words, word) < 2 * (round + 1));
}

function lookedAsleep(doorbells: SharedArrayBuffer): boolean {
  return Atomics.load(new Int32Array(doorbells), OWNER) === 1;
}

/** The owner of the doorbell: goes to sleep, or starves as a producer. */
function owner(shared: Shared): [string, number][] {
  const barrier = new Int32Array(shared.barrier);
  const told = new Int32Array(shared.words);
  const doorbell = new Doorbell(shared.doorbells, OWNER);
  const counts = new Map<string, number>();
  for (let round = 0; round < shared.rounds; round++) {
    const memory = shared.rings[round % RINGS]!;
    let outcome: string;
    if (shared.kind === 'sleep') {
      const consumer = new RingConsumer(memory);
      while (consumer.poll(() => {}, 512));
      doorbell.cancelSleep();
      meet(barrier, 0, round);
      doorbell.prepareSleep();
      const saw = consumer.hasRecords;
      meet(barrier, 1, round);
      outcome = `${saw ? 'saw it' : 'did not see it'}, ${lookedAsleep(shared.doorbells) ? 'was not woken' : 'was woken'}`;
    } else {
      const producer = new RingProducer(memory);
      while (producer.claim(52) >= 0) producer.commit(0, 0);
      producer.publish();
      meet(barrier, 0, round);
      producer.starve();
      const room = producer.claim(52) >= 0;
      meet(barrier, 1, round);
      outcome = `${room ? 'had room' : 'had no room'}, ${Atomics.load(told, 0) ? 'was told' : 'was not told'}`;
    }
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    meet(barrier, 2, round);
    new Uint8Array(memory).fill(0);
    meet(barrier, 3, round);
  }
  return [...counts];
}

/** The other side: publishes and rings, or takes records and looks whether somebody starves. */
function other(shared: Shared): void {
  const barrier = new Int32Array(shared.barrier);
  const told = new Int32Array(shared.words);
  const doorbell = new Doorbell(shared.doorbells, OWNER);
  for (let round = 0; round < shared.rounds; round++) {
    const memory = shared.rings[round % RINGS]!;
    if (shared.kind === 'sleep') {
      const producer = new RingProducer(memory);
      producer.claim(8);
      producer.commit(0, 0);
      meet(barrier, 0, round);
      producer.publish();
      doorbell.ring();
      meet(barrier, 1, round);
    } else {
      const consumer = new RingConsumer(memory);
      meet(barrier, 0, round);
      consumer.poll(() => {}, 512);
      Atomics.store(told, 0, consumer.takeStarved() ? 1 : 0);
      meet(barrier, 1, round);
    }
    meet(barrier, 2, round);
    meet(barrier, 3, round);
  }
}

if (isMainThread) throw new Error('runs on a worker thread');
if (workerData.rings) other(workerData as Shared);
else {
  const shared: Shared = {
    ...workerData,
    doorbells: createDoorbells(1),
    rings: Array.from({ length: RINGS }, () => createRing(512)),
    barrier: new SharedArrayBuffer(16),
    words: new SharedArrayBuffer(4),
  };
  new Worker(new URL(import.meta.url), { workerData: shared });
  parentPort!.postMessage(owner(shared));
}
