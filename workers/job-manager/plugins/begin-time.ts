/** Dependency `begin-time`: a job waits until a time (RFC 26). */

import type { Timer } from '../../../core/broker/service.ts';
import { FluxError } from '../../../core/errno.ts';
import { formatFixed } from '../../../core/formats/printf.ts';
import type { ActiveJob } from '../job.ts';
import type { JobtapPlugin } from '../plugin.ts';
import { isDone } from './dependency.ts';

/** Seconds since the epoch, as strtod(3) reads them. */
function parseTime(text: string): number {
  const time = /^\s*\+?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text) ? Number(text) : NaN;
  if (!Number.isFinite(time)) throw new FluxError('EINVAL', `Invalid begin-time=${text}`);
  return time;
}

export const beginTime: JobtapPlugin = {
  name: '.begin-time',
  start(context) {
    const { clock } = context.service;
    // By job, and by the description of the dependency.
    const timers = new Map<ActiveJob, Map<string, Timer>>();

    function wait(job: ActiveJob, time: number, description: string): void {
      const timersOfJob = timers.get(job) ?? new Map<string, Timer>();
      timers.set(job, timersOfJob);
      const timer = clock.after(time - clock.now(), () => {
        // The clock may have been put back meanwhile.
        if (clock.now() < time) return wait(job, time, description);
        timersOfJob.delete(description);
        if (timersOfJob.size === 0) timers.delete(job);
        context.removeDependency(job, description);
      });
      timersOfJob.set(description, timer);
    }

    function forget(job: ActiveJob): void {
      for (const timer of timers.get(job)?.values() ?? []) timer.cancel();
      timers.delete(job);
    }

    return {
      dependency: {
        'begin-time'(job, { value }) {
          if (typeof value !== 'string') throw new FluxError('EINVAL', 'begin-time: the value is not a string');
          const time = parseTime(value);
          const description = `begin-time=${formatFixed(time, 3)}`;
          if (isDone(job, description) || timers.get(job)?.has(description)) return;
          context.addDependency(job, description);
          wait(job, time, description);
        },
      },
      destroy: forget,
      stop() {
        for (const job of [...timers.keys()]) forget(job);
      },
    };
  },
};
