/**
 * The worker threads of a node: started by the plan, introduced to each other, and watched. A thread that dies is reported
 * with its stack; what follows from that is for its owner to say.
 */

import os from 'node:os';
import { Worker } from 'node:worker_threads';
import { FluxError } from '../errno.ts';
import { type RingStats, ringStats } from '../ring/layout.ts';
import type { Mailbox } from '../ring/mailbox.ts';
import type { WorkerData } from './instance.ts';
import { MAIN, THREADS_MAX } from './plan.ts';

/**
 * Of the plan's threads; a module's has what Node gives a thread, so that it ends before it has taken all memory.
 *
 * Ranks live long: copying them out of a small young generation costs a third of a large start.
 */
const resourceLimits = { maxYoungGenerationSizeMb: 96, maxOldGenerationSizeMb: Math.floor(os.totalmem() / 2 ** 20) };

/** Milliseconds that a thread has to come to its end by itself. */
const END_TIMEOUT = 2000;

interface Thread {
  readonly worker: Worker;
  readonly name: string;
  /** Somebody wants its end; after 'kill' its death is told as any other. */
  ending: 'stop' | 'kill' | undefined;
}

interface RingInfo {
  readonly from: number;
  readonly to: number;
  readonly memory: SharedArrayBuffer;
}

export interface ThreadReport {
  readonly index: number;
  readonly name: string;
  /** Part of the time since the last report that its event loop was busy, 0 to 1. */
  readonly load: number;
}

export interface RingReport extends RingStats {
  readonly from: number;
  readonly to: number;
}

export class WorkerPool {
  readonly #entry: URL;
  readonly #mailbox: () => Mailbox;
  readonly #onDeath: (thread: number, name: string, error: Error | undefined) => void;
  readonly #threads = new Map<number, Thread>();
  #rings: RingInfo[] = [];
  #lastIndex = MAIN;
  #lastLoads = new Map<number, ReturnType<Worker['performance']['eventLoopUtilization']>>();

  /**
   * @param entry the bundle that workers run
   * @param onDeath a thread ended that was not told to, or, without an error, was killed
   */
  constructor(
    entry: URL,
    mailbox: () => Mailbox,
    onDeath: (thread: number, name: string, error: Error | undefined) => void,
  ) {
    this.#entry = entry;
    this.#mailbox = mailbox;
    this.#onDeath = onDeath;
  }

  /** An index that no thread has, nor had of late: what was sent to the last that had it is forgotten by now. */
  nextIndex(): number {
    for (let i = 0; i < THREADS_MAX; i++) {
      this.#lastIndex = (this.#lastIndex + 1) % THREADS_MAX;
      if (this.#lastIndex !== MAIN && !this.#threads.has(this.#lastIndex)) return this.#lastIndex;
    }
    throw new FluxError('EAGAIN', `no more than ${THREADS_MAX} threads`);
  }

  start(name: string, data: WorkerData): void {
    this.#lastIndex = Math.max(this.#lastIndex, data.thread);
    const isPlanned = data.thread in data.plan.threads;
    const limits = isPlanned ? { resourceLimits } : {};
    const worker = new Worker(this.#entry, { workerData: data, name, stdin: false, ...limits });
    const thread: Thread = { worker, name, ending: undefined };
    this.#threads.set(data.thread, thread);
    worker.on('message', ({ ring, to }: { ring: SharedArrayBuffer; to: number }) =>
      this.connect(data.thread, to, ring),
    );
    worker.on('error', (error: Error) => this.#died(data.thread, thread, error));
    worker.on('exit', (code) => this.#died(data.thread, thread, new Error(`thread ended with code ${code}`)));
  }

  #died(index: number, thread: Thread, error: Error): void {
    if (this.#threads.get(index) !== thread) return;
    this.#threads.delete(index);
    this.#rings = this.#rings.filter(({ from, to }) => from !== index && to !== index);
    // Not over the rings: a thread that waits for this one to take what it has sent does not look there.
    for (const { worker } of this.#threads.values()) worker.postMessage({ gone: index });
    if (thread.ending !== 'stop') this.#onDeath(index, thread.name, thread.ending ? undefined : error);
  }

  /** A thread has made a ring to write to another: the other learns of it. */
  connect(from: number, to: number, ring: SharedArrayBuffer): void {
    this.#rings.push({ from, to, memory: ring });
    if (to === MAIN) this.#mailbox().addRing(from, ring);
    else this.#threads.get(to)?.worker.postMessage({ ring, from });
  }

  /**
   * Ends a thread. It is asked to: a native addon that is torn away from its thread in the middle of a call, or while it is
   * loaded, takes the process with it. One that does nothing but compute does not hear that.
   */
  async stop(index: number): Promise<void> {
    const thread = this.#threads.get(index);
    if (!thread) return;
    thread.ending = 'stop';
    const { worker } = thread;
    const timer = setTimeout(() => void worker.terminate(), END_TIMEOUT);
    const over = new Promise((resolve) => worker.once('exit', resolve));
    worker.postMessage({ end: true });
    await over;
    clearTimeout(timer);
  }

  /** Ends a thread as if it had died, only that this is no failure. */
  kill(index: number): void {
    const thread = this.#threads.get(index);
    if (!thread) return;
    thread.ending = 'kill';
    void thread.worker.terminate();
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.#threads.keys()].map((index) => this.stop(index)));
  }

  /** What each thread does, since the last time somebody asked. */
  threads(): ThreadReport[] {
    const main = performance.eventLoopUtilization();
    const reports = [{ index: MAIN, name: 'main', load: this.#load(MAIN, main) }];
    for (const [index, { worker, name }] of this.#threads)
      reports.push({ index, name, load: this.#load(index, worker.performance.eventLoopUtilization()) });
    return reports;
  }

  #load(index: number, now: ReturnType<Worker['performance']['eventLoopUtilization']>): number {
    const last = this.#lastLoads.get(index);
    this.#lastLoads.set(index, now);
    const active = now.active - (last?.active ?? 0);
    const idle = now.idle - (last?.idle ?? 0);
    return active + idle > 0 ? active / (active + idle) : 0;
  }

  rings(): RingReport[] {
    return this.#rings.map(({ from, to, memory }) => ({ from, to, ...ringStats(memory) }));
  }
}
