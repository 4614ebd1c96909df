/** States and results of jobs (RFC 21), as numbers on the wire. */

/** States, bits of one number, and names for several of them. */
export const JobState = {
  new: 1,
  depend: 2,
  priority: 4,
  sched: 8,
  run: 16,
  cleanup: 32,
  inactive: 64,
  pending: 2 | 4 | 8,
  running: 16 | 32,
  active: 2 | 4 | 8 | 16 | 32,
} as const;

/** How a job ended, bits of one number. */
export const JobResult = { completed: 1, failed: 2, canceled: 4, timeout: 8 } as const;
