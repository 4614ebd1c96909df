/** Priorities of jobs: what plugins make of urgencies, and what urgencies force (RFC 30). */

import type { ServiceContext } from '../../core/broker/service.ts';
import { FluxError } from '../../core/errno.ts';
import { JobState } from '../../core/formats/job-state.ts';
import type { Methods, Request } from '../../core/handle/methods.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import { Role } from '../../core/message/credentials.ts';
import type { Alloc } from './alloc.ts';
import type { Events } from './events.ts';
import { type Job, Priority, Urgency } from './job.ts';
import { authorize, type Jobs } from './jobs.ts';

export interface PrioritiesHost {
  readonly context: ServiceContext;
  readonly jobs: Jobs;
  readonly events: Events;
  readonly alloc: Alloc;
  /** What the plugins say a job's priority is; undefined when it is to stay. */
  priorityOf(job: Job): number | undefined;
}

export class Priorities {
  readonly #host: PrioritiesHost;

  readonly methods: Methods = {
    urgency: { allow: Role.user, handler: (request) => this.#urgency(request) },
  };

  constructor(host: PrioritiesHost) {
    this.#host = host;
  }

  /** Gives a job another priority; one that does not wait for a priority or for resources is let be. */
  set(job: Job, priority: number): void {
    if (!(job.state & (JobState.priority | JobState.sched))) return;
    if (!this.#change(job, priority)) return;
    const { alloc } = this.#host;
    if (job.isAllocPending && job.priority !== Priority.min) this.#tellScheduler([[job.id, job.priority]]);
    alloc.reorder(job);
  }

  /** Asks the plugins about every job that waits for a priority or for resources. */
  setAll(): void {
    const changed: JsonValue[] = [];
    for (const job of [...this.#host.jobs.active.values()]) {
      if (!(job.state & (JobState.priority | JobState.sched))) continue;
      const priority = this.#host.priorityOf(job);
      if (priority === undefined || priority < 0 || priority === job.priority) continue;
      if (!this.#change(job, priority)) continue;
      if (job.isAllocPending && job.priority > Priority.min) changed.push([job.id, job.priority]);
      this.#host.alloc.reorder(job);
    }
    this.#tellScheduler(changed);
  }

  /** Returns whether anything has changed. */
  #change(job: Job, wanted: number): boolean {
    const priority = forced(job.urgency) ?? wanted;
    // Where a job waits for its priority, the event moves it on even if the priority is the same.
    if (priority === job.priority && job.state === JobState.sched) return false;
    this.#host.events.post(job, 'priority', { priority });
    // The event may have to wait, but queues are to be in order now.
    job.priority = priority;
    if (job.isAllocPending && priority === Priority.min) this.#host.alloc.cancel(job, false);
    return true;
  }

  #tellScheduler(jobs: readonly JsonValue[]): void {
    if (jobs.length) this.#host.context.notify('sched.prioritize', { jobs });
  }

  #urgency(request: Request): JsonObject {
    const { id, urgency } = request.unpack({ id: 'I', urgency: 'i' });
    if (urgency < Urgency.min || urgency > Urgency.max) throw new FluxError('EINVAL', 'urgency value is out of range');
    const job = this.#host.jobs.activeOr(id, {
      unknown: ['EINVAL', 'unknown job'],
      inactive: ['EINVAL', 'job is inactive'],
    });
    authorize(request, job.userid, 'guests can only reprioritize their own jobs');
    const old_urgency = job.urgency;
    if (!request.isOwner && urgency > Math.max(Urgency.default, old_urgency))
      throw new FluxError('EPERM', 'guests can only adjust urgency <= default');
    if (job.hasResources) throw new FluxError('EINVAL', 'urgency cannot be changed once resources are allocated');
    this.#host.events.post(job, 'urgency', { userid: request.userid, urgency });
    return { old_urgency };
  }
}

/** The priority that an urgency is, whatever plugins say. */
function forced(urgency: number): number | undefined {
  if (urgency === Urgency.hold) return Priority.min;
  return urgency === Urgency.expedite ? Priority.max : undefined;
}
