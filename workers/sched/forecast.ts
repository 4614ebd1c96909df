/**
 * When pending jobs will start, if all run as long as they may and nobody comes before them: the queue is played through
 * on a copy of what is free. With backfilling a job may start sooner.
 */

import type { FreeNodes, Placement } from './free-nodes.ts';
import type { PendingJob } from './jobs.ts';
import { OrderedSet } from './ordered-set.ts';
import type { Scheduler } from './scheduler.ts';

export interface Estimate {
  readonly job: PendingJob;
  /** Seconds since 1970; undefined when it depends on something that has no known end. */
  readonly time: number | undefined;
}

/** Something ends: a running job, or one that is played. */
interface End {
  readonly time: number;
  /** Tells ends of the same time apart. */
  readonly sequence: number;
  readonly placement: Placement;
}

/**
 * The estimates of all pending jobs in the order of the queue. The queue may change meanwhile; who comes later is then
 * passed over or not.
 *
 * @param now seconds since 1970
 */
export function* forecast(scheduler: Scheduler, now: number): Generator<Estimate, void, undefined> {
  const free = scheduler.pool.free.copy();
  const ends = endsOf(scheduler);
  let sequence = ends.size;
  let time: number | undefined = now;
  let job = scheduler.pending.first;
  for (; job; job = scheduler.pending.firstAfter(job)) {
    const { request } = job;
    if (time === undefined || free.obstacle(request) !== undefined) {
      yield { job, time: undefined };
      continue;
    }
    time = advance(free, ends, time, () => free.fits(request));
    yield { job, time };
    const placement = time === undefined ? undefined : free.place(request);
    // Nobody knows when what is behind a job without a known end will start.
    if (time === undefined || !placement || request.duration === 0) {
      time = undefined;
      continue;
    }
    free.take(placement);
    ends.add({ time: time + request.duration, sequence: sequence++, placement });
  }
}

/** Lets things end until a job fits; undefined when that never happens. */
function advance(free: FreeNodes, ends: OrderedSet<End>, from: number, fits: () => boolean): number | undefined {
  let time = from;
  while (!fits()) {
    const next = ends.first;
    if (!next) return undefined;
    time = Math.max(time, next.time);
    for (let end = ends.first; end && end.time <= time; end = ends.first) {
      ends.delete(end);
      free.take(end.placement, -1);
    }
  }
  return time;
}

function endsOf(scheduler: Scheduler): OrderedSet<End> {
  const ends = new OrderedSet<End>((a, b) => a.time - b.time || a.sequence - b.sequence);
  let sequence = 0;
  for (const { end, allocation } of scheduler.ends) {
    if (end === Infinity) break;
    const shares = [...allocation.shares];
    ends.add({
      time: end,
      sequence: sequence++,
      placement: {
        nodes: shares.map(([node]) => node),
        cores: shares.map(([, { coreCount }]) => coreCount),
        gpus: shares.map(([, { gpuCount }]) => gpuCount),
        slots: allocation.slots,
      },
    });
  }
  return ends;
}
