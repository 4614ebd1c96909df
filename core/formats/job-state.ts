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

const stateAbbreviations = {
  n: 'new',
  d: 'depend',
  p: 'priority',
  s: 'sched',
  r: 'run',
  c: 'cleanup',
  i: 'inactive',
  pd: 'pending',
  ru: 'running',
  a: 'active',
} as const;

const resultAbbreviations = { cd: 'completed', f: 'failed', ca: 'canceled', to: 'timeout' } as const;

/** The bits of a state, by its name or abbreviation, in capitals or not; undefined: there is no such state. */
export function stateBits(text: string): number | undefined {
  return bitsOf(text, JobState, stateAbbreviations);
}

/** The bit of a result, by its name or abbreviation, in capitals or not; undefined: there is no such result. */
export function resultBit(text: string): number | undefined {
  return bitsOf(text, JobResult, resultAbbreviations);
}

function bitsOf<N extends string>(
  text: string,
  bits: Readonly<Record<N, number>>,
  abbreviations: Readonly<Record<string, N>>,
): number | undefined {
  const word = text.toLowerCase();
  const name = Object.hasOwn(abbreviations, word) ? abbreviations[word]! : word;
  return Object.hasOwn(bits, name) ? bits[name as N] : undefined;
}
