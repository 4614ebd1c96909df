/** Jobs as a scheduler sees them, and their orders. */

import type { Allocation } from './pool.ts';
import type { ResourceRequest } from './resource-request.ts';

/** A job that wants resources. */
export interface PendingJob {
  readonly id: bigint;
  readonly userid: number;
  /** Seconds since 1970. */
  readonly submitted: number;
  readonly request: ResourceRequest;
  /** Changed by `Scheduler.prioritize` only. */
  priority: number;
}

/** A job that has resources. */
export interface RunningJob {
  readonly id: bigint;
  readonly userid: number;
  readonly allocation: Allocation;
  /** When it ends at the latest, in seconds since 1970; Infinity when that is not known. */
  readonly end: number;
}

/** The order of the queue: by priority, and of jobs of one priority the one that was submitted first. */
export function byPriority(a: PendingJob, b: PendingJob): number {
  return b.priority - a.priority || compareIds(a.id, b.id);
}

/** The order in which jobs are expected to end. */
export function byEnd(a: RunningJob, b: RunningJob): number {
  if (a.end !== b.end) return a.end < b.end ? -1 : 1;
  return compareIds(a.id, b.id);
}

function compareIds(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** How long a job holds what it gets, in seconds; Infinity when that is not known. */
export function durationOf({ request }: PendingJob): number {
  return request.duration || Infinity;
}
