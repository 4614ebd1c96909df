/** All jobs that are not purged, by their ids, and what every request asks first: is there such a job, and whose is it? */

import { type ErrnoName, FluxError } from '../../core/errno.ts';
import { JobState } from '../../core/formats/job-state.ts';
import { type Credentials, isAllowed, Role } from '../../core/message/credentials.ts';
import { InactiveJob, type Job, type JobRecord } from './job.ts';

/** What a request says of a job that it can't have. */
export interface JobFaults {
  readonly unknown: readonly [ErrnoName, string];
  readonly inactive: readonly [ErrnoName, string];
}

export class Jobs {
  readonly active = new Map<bigint, Job>();
  /** In the order in which they became inactive. */
  readonly inactive = new Map<bigint, InactiveJob>();
  /** Jobs in the states run and cleanup. */
  runningCount = 0;
  maxId = 0n;

  lookup(id: bigint): JobRecord | undefined {
    return this.active.get(id) ?? this.inactive.get(id);
  }

  /** A job that is active now; later the same object is not in the table any more. */
  add(job: Job): void {
    this.active.set(job.id, job);
    this.countRunning(0, job.state);
  }

  /** A job is gone as if it had never been. */
  remove(job: Job): void {
    this.active.delete(job.id);
    this.countRunning(job.state, 0);
  }

  /** An id was given to a job. */
  noteId(id: bigint): void {
    if (id > this.maxId) this.maxId = id;
  }

  /** A job of which nothing is left but what is asked for often. */
  retire(job: Job): InactiveJob {
    const inactive = new InactiveJob(job);
    this.active.delete(job.id);
    this.inactive.set(job.id, inactive);
    return inactive;
  }

  /** A job has gone from one state to another. */
  countRunning(previous: number, state: number): void {
    this.runningCount += Number((state & JobState.running) !== 0) - Number((previous & JobState.running) !== 0);
  }

  /** @throws FluxError as `faults` has it: the job is not active */
  activeOr(id: bigint, faults: JobFaults): Job {
    const job = this.active.get(id);
    if (job) return job;
    throw new FluxError(...(this.inactive.has(id) ? faults.inactive : faults.unknown));
  }

  /** Active jobs of a user, or of all, in any of some states. */
  *select(userid: number | undefined, states: number): Iterable<Job> {
    for (const job of this.active.values())
      if (job.state & states && (userid === undefined || job.userid === userid)) yield job;
  }
}

/**
 * Checks that it is the owner who asks, or the user whose it is.
 *
 * @throws FluxError EPERM with the sentence given
 */
export function authorize(credentials: Credentials, userid: number, sentence?: string): void {
  const { rolemask } = credentials;
  if (isAllowed(rolemask, Role.none)) return;
  if (!(rolemask & Role.user) || credentials.userid !== userid) throw new FluxError('EPERM', sentence);
}
