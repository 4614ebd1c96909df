/** Time and chance as the system has them. */

import { randomUUID } from 'node:crypto';
import type { Clock, Random, Timer } from '../broker/service.ts';

/** What setTimeout can wait for; anything longer would come at once. */
const TIMEOUT_MAX = 2 ** 31 - 1;

/** A timer for any time, that may never come. */
function longTimer(milliseconds: number, callback: () => void): Timer {
  let left = milliseconds;
  let timer: NodeJS.Timeout;
  const wait = () => {
    const part = Math.min(left, TIMEOUT_MAX);
    left -= part;
    timer = setTimeout(left > 0 ? wait : callback, part);
  };
  wait();
  return { cancel: () => clearTimeout(timer) };
}

/** When `performance.now()` was 0 by the wall clock, in milliseconds. */
let origin = performance.timeOrigin;
/** How far the two clocks part before somebody has set the one: Date.now() has no fractions, and reading both takes time. */
const CLOCK_SET_MS = 50;

/** Seconds since the epoch, with fractions that Date.now() does not have; never back, unless the clock was set. */
function now(): number {
  const elapsed = performance.now();
  const behind = Date.now() - (origin + elapsed);
  if (Math.abs(behind) > CLOCK_SET_MS) origin += behind;
  return (origin + elapsed) / 1000;
}

export const clock: Clock = {
  now,
  monotonic: () => performance.now() / 1000,
  after(seconds, callback) {
    if (seconds <= 0) {
      const immediate = setImmediate(callback);
      return { cancel: () => clearImmediate(immediate) };
    }
    return longTimer(seconds * 1000, callback);
  },
};

// randomUUID() returns a tree of twenty strings; a copy is one, and there are many that live long.
const uuid = () => Buffer.from(randomUUID(), 'latin1').toString('latin1');
export const random: Random = { uuid, number: () => Math.random() };
