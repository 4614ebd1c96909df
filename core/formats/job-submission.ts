/** What goes with a jobspec when it is submitted (RFC 21). */

/** Bits of the flags of a job. */
export const JobFlag = {
  debug: 2,
  /** Who submitted it can wait for it. */
  waitable: 4,
  /** Its jobspec is not validated. */
  novalidate: 8,
} as const;

/** How urgent a job may be; `hold` keeps it waiting, `expedite` puts it before all others. */
export const Urgency = { min: 0, hold: 0, default: 16, max: 31, expedite: 31 } as const;
