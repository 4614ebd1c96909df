/**
 * Gives memory back when a thread has little to do. V8 collects garbage as a thread allocates: one that has worked much, and
 * waits now, would keep for hours what it needs no more.
 */

import v8 from 'node:v8';
import vm from 'node:vm';
import { trimMemory } from '../native/index.ts';

/** Milliseconds between two looks at what a thread has done. */
const PERIOD_MS = 10_000;
/** A thread that works for a smaller part of a period is idle. */
const IDLE = 0.02;
/** Idle periods after which is collected: soon, and again when caches have let go of what is old. */
const COLLECT_AFTER = [1, 12];
/** Bytes of a process for which it is not worth while. */
const BYTES_MIN = 192 * 1024 * 1024;

/** Decides when; its owner looks each period. */
export class IdlePeriods {
  #count = 0;

  /**
   * Whether to collect now.
   *
   * @param utilization part of the period in which the thread has worked, 0 to 1
   * @param bytes of memory that its process has
   */
  isTime(utilization: number, bytes: number): boolean {
    this.#count = utilization < IDLE ? this.#count + 1 : 0;
    return COLLECT_AFTER.includes(this.#count) && bytes >= BYTES_MIN;
  }
}

/** Watches the thread that calls this. */
export function collectWhenIdle(): void {
  const periods = new IdlePeriods();
  let last = performance.eventLoopUtilization();
  setInterval(() => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    if (periods.isTime(utilization, process.memoryUsage.rss())) collect();
  }, PERIOD_MS).unref();
}

let gc: (() => void) | undefined;

/** Takes some tenths of a second for a large heap. */
export function collect(): void {
  if (!gc) {
    // A context that is made after this has the function.
    v8.setFlagsFromString('--expose-gc');
    gc = vm.runInNewContext('gc') as () => void;
  }
  gc();
  trimMemory();
}
