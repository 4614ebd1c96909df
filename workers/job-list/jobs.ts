/**
 * All jobs: by id, and in the order in which they are listed: pending ones by priority, running ones by the time they
 * started, inactive ones by the time they ended, the newest first.
 */

import { JobState } from '../../core/formats/job-state.ts';
import type { Job } from './job.ts';
import { SortedList } from './sorted-list.ts';

function compareIds(a: Job, b: Job): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

const byPriority = (a: Job, b: Job) => b.priority - a.priority || compareIds(a, b);
const byStart = (a: Job, b: Job) => b.ran - a.ran || compareIds(b, a);
const byEnd = (a: Job, b: Job) => b.ended - a.ended || compareIds(b, a);

export class Jobs {
  readonly pending = new SortedList<Job>(byPriority);
  readonly running = new SortedList<Job>(byStart);
  readonly inactive = new SortedList<Job>(byEnd);
  readonly #byId = new Map<bigint, Job>();

  get(id: bigint): Job | undefined {
    return this.#byId.get(id);
  }

  get count(): number {
    return this.#byId.size;
  }

  /** In no order; one may be removed when it is there. */
  all(): Iterable<Job> {
    return this.#byId.values();
  }

  /** Adds a new job; it is in no list before it is in a state that is listed. */
  add(job: Job): void {
    this.#byId.set(job.id, job);
  }

  /** Adds a job that is in a state already. */
  restore(job: Job): void {
    this.add(job);
    this.#listOf(job.state)?.add(job);
  }

  remove(job: Job): void {
    this.#listOf(job.state)?.remove(job);
    this.#byId.delete(job.id);
  }

  /** Changes what a job's place depends on: its state, its times, its priority. */
  change(job: Job, change: () => void): void {
    this.#listOf(job.state)?.remove(job);
    try {
      change();
    } finally {
      if (this.#byId.has(job.id)) this.#listOf(job.state)?.add(job);
    }
  }

  #listOf(state: number): SortedList<Job> | undefined {
    if (state & JobState.pending) return this.pending;
    if (state & JobState.running) return this.running;
    return state & JobState.inactive ? this.inactive : undefined;
  }
}
