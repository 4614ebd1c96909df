/** What is known of one job. There are many of them: a job that has ended is a record of a few hundred bytes. */

import { JobResult, JobState } from '../../core/formats/job-state.ts';
import type { JsonObject } from '../../core/json.ts';
import { USERID_UNKNOWN } from '../../core/message/credentials.ts';
import type { Recorded } from '../record-pieces.ts';

/** What the programs of a job have used (getrusage(2)): seconds, and kilobytes. */
export interface JobUsage {
  readonly utime: number;
  readonly stime: number;
  readonly maxrss: number;
}

/** What is needed of a job only while it is active. */
export interface ActiveJob {
  /** As it was submitted, with the updates since then. */
  jobspec: JsonObject | undefined;
  /** Dependencies that were there once: they do not come back (RFC 26). */
  readonly pastDependencies: Set<string>;
  /** Tasks on each node, or on each core, of which the job must first get some; 0: its tasks do not depend on that. */
  tasksPerNode: number;
  tasksPerCore: number;
  /** States that its events have named. */
  announced: number;
  /** Its resources are known. */
  hasResources: boolean;
}

/** The fields are mostly those that RFC 43 lists. Negative numbers, and 0 for times, stand for what is not known. */
export class Job implements Recorded {
  readonly id: bigint;
  userid = USERID_UNKNOWN;
  urgency = -1;
  /** Jobs without priority are listed behind all others. */
  priority = 0;
  state: number = JobState.new;
  /** States that it has been in, but for those that were taken back. */
  states: number = JobState.new;
  /** Undefined when it is inactive. */
  active: ActiveJob | undefined;
  /** Version of the submit event; below 1 there was no state DEPEND of its own. */
  submitVersion = -1;

  // Times at which it came into its states first; seconds since the epoch.
  submitted = 0;
  depended = 0;
  prioritized = 0;
  scheduled = 0;
  ran = 0;
  cleaned = 0;
  ended = 0;

  name: string | undefined;
  cwd: string | undefined;
  queue: string | undefined;
  project: string | undefined;
  bank: string | undefined;
  ntasks = -1;
  ncores = -1;
  nnodes = -1;
  /** Seconds. */
  duration = -1;
  /** Seconds since the epoch; 0: it has no end. */
  expiration = -1;
  ranks: string | undefined;
  nodelist: string | undefined;

  waitStatus = -1;
  success = false;
  result: number = JobResult.failed;
  hasException = false;
  exceptionSeverity = 0;
  exceptionType: string | undefined;
  exceptionNote: string | undefined;
  usage: JobUsage | undefined;

  /** An object as JSON text: it is told more often than it is looked into. */
  annotations: string | undefined;
  dependencies: readonly string[] | undefined;

  piece: number | undefined;

  constructor(id: bigint, jobspec: JsonObject | undefined) {
    this.id = id;
    this.active = {
      jobspec,
      pastDependencies: new Set(),
      tasksPerNode: 0,
      tasksPerCore: 0,
      announced: JobState.new,
      hasResources: false,
    };
  }
}
