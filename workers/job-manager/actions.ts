/** What a job's state wants done (RFC 21), whenever an event of the job has had its effect. */

import { JobState } from '../../core/formats/job-state.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Alloc } from './alloc.ts';
import type { Events } from './events.ts';
import type { Job, StateName } from './job.ts';
import { isToStart, type Start } from './start.ts';
import { stateName } from './state-machine.ts';

export interface ActionHost {
  readonly events: Events;
  readonly alloc: Pick<Alloc, 'enqueue' | 'dequeue' | 'cancel' | 'recalculate'>;
  readonly start: Pick<Start, 'start'>;
  /** A job's resources are not its own any more. */
  release(job: Job, R: JsonObject): void;
  /** The job is over. */
  retire(job: Job): void;
}

const actions: Readonly<Record<StateName, (job: Job, host: ActionHost) => void>> = {
  new() {},

  depend(job, { events }) {
    // Events may have to wait, so the job may be in this state still when it was told to leave it.
    if (job.dependencies.size || job.isQueued('dependency-add') || job.isDependPosted) return;
    job.isDependPosted = true;
    events.post(job, 'depend');
  },

  priority(job, { alloc }) {
    alloc.cancel(job, false);
    alloc.dequeue(job);
  },

  sched(job, { alloc }) {
    alloc.enqueue(job);
    alloc.recalculate();
  },

  run(job, { start }) {
    if (isToStart(job)) start.start(job);
  },

  cleanup(job, host) {
    const { alloc, events } = host;
    alloc.cancel(job, true);
    alloc.dequeue(job);
    const isBusy = job.perilogs > 0 || job.isStartPending || job.isQueued('epilog-start');
    if (isBusy) return;
    if (job.hasResources) {
      if (job.isFreePosted) return;
      job.isFreePosted = true;
      if (job.R && !job.bypassesAlloc) host.release(job, job.R);
      events.post(job, 'free');
    } else if (!job.isQueued('clean')) events.post(job, 'clean');
  },

  inactive(job, host) {
    job.isReadOnly = true;
    host.retire(job);
  },
};

/** Does what the state of a job wants. Doing it again changes nothing. */
export function act(job: Job, host: ActionHost): void {
  if (job.state !== JobState.inactive || !job.isReadOnly) actions[stateName(job.state)](job, host);
}
