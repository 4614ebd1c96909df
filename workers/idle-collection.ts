/**
 * Gives memory back when a thread has little to do. V8 collects garbage as a thread allocates: one that has worked much, and
 * waits now, would keep for hours what it needs no more.
 */

import v8 from 'node:v8';
import vm from 'node:vm';

/** Milliseconds between two looks at what a thread has done. */
const PERIOD_MS = 10_000;
/** A thread that works for a smaller part of a period is idle. */
const IDLE = 0.02;
/** Idle periods after which is collected: soon, and again when caches have let go of what is old. */
const COLLECT_AFTER = [1, 12];
/** Bytes for which it is not worth while. */
const BYTES_MIN = 64 * 1024 * 1024;

/** Watches the thread that calls this. */
export function collectWhenIdle(): void {
  let last = performance.eventLoopUtilization();
  let idlePeriods = 0;
  setInterval(() => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    idlePeriods = utilization < IDLE ? idlePeriods + 1 : 0;
    if (COLLECT_AFTER.includes(idlePeriods) && usedBytes() >= BYTES_MIN) collect();
  }, PERIOD_MS).unref();
}

function usedBytes(): number {
  const { total_heap_size, external_memory } = v8.getHeapStatistics();
  return total_heap_size + external_memory;
}

let gc: (() => void) | undefined;

function collect(): void {
  if (!gc) {
    v8.setFlagsFromString('--expose-gc');
    gc = vm.runInNewContext('gc') as () => void;
  }
  gc();
}
