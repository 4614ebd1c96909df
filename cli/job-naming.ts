/** States and results of jobs (RFC 21, RFC 24): their bits, their names, and the filters that users make of them. */

import { FluxError } from '../core/errno.ts';
import { JobState } from '../core/formats/job-state.ts';

/** A name in full, in short, and as a picture. */
export interface Naming {
  readonly bit: number;
  readonly name: string;
  readonly abbreviation: string;
  readonly emoji: string;
}

const states: readonly Naming[] = [
  { bit: JobState.new, name: 'NEW', abbreviation: 'N', emoji: '🎁' },
  { bit: JobState.depend, name: 'DEPEND', abbreviation: 'D', emoji: '🛑' },
  { bit: JobState.priority, name: 'PRIORITY', abbreviation: 'P', emoji: '🚦' },
  { bit: JobState.sched, name: 'SCHED', abbreviation: 'S', emoji: '📅' },
  { bit: JobState.run, name: 'RUN', abbreviation: 'R', emoji: '🏃' },
  { bit: JobState.cleanup, name: 'CLEANUP', abbreviation: 'C', emoji: '🗑' },
  { bit: JobState.inactive, name: 'INACTIVE', abbreviation: 'I', emoji: '💀' },
];

const results: readonly Naming[] = [
  { bit: 1, name: 'COMPLETED', abbreviation: 'CD', emoji: '😀' },
  { bit: 2, name: 'FAILED', abbreviation: 'F', emoji: '💩' },
  { bit: 4, name: 'CANCELED', abbreviation: 'CA', emoji: '💥' },
  { bit: 8, name: 'TIMEOUT', abbreviation: 'TO', emoji: '⌛' },
];

const unknown: Naming = { bit: 0, name: '(unknown)', abbreviation: '(unknown)', emoji: '?' };

/** A job that has not ended has no result; its picture is as wide as others are. */
const none: Naming = { bit: 0, name: '', abbreviation: '', emoji: '\u3000' };

export const { pending: PENDING, running: RUNNING, inactive: INACTIVE } = JobState;

/** What a state is called. */
export function stateNaming(bit: number): Naming {
  return states.find((state) => state.bit === bit) ?? unknown;
}

/** What a result is called; undefined is that of a job that has none. */
export function resultNaming(bit: number | undefined): Naming {
  return bit === undefined ? none : (results.find((result) => result.bit === bit) ?? unknown);
}

/** Which jobs to list: those in one of these states, and those with one of these results. */
export interface StateFilter {
  readonly states: number;
  readonly results: number;
}

const stateFilters: Readonly<Record<string, number>> = {
  ...Object.fromEntries(states.filter(({ bit }) => bit > 1).map(({ bit, name }) => [name.toLowerCase(), bit])),
  pending: PENDING,
  running: RUNNING,
  active: PENDING | RUNNING,
};

const resultFilters: Readonly<Record<string, number>> = Object.fromEntries(
  results.map(({ bit, name }) => [name.toLowerCase(), bit]),
);

/**
 * Reads names of states and results, in any case.
 *
 * @throws FluxError EINVAL: there is no such state or result
 */
export function parseStateFilter(names: Iterable<string>): StateFilter {
  let [stateBits, resultBits] = [0, 0];
  for (const name of names) {
    const word = name.toLowerCase();
    if (Object.hasOwn(stateFilters, word)) stateBits |= stateFilters[word]!;
    else if (Object.hasOwn(resultFilters, word)) resultBits |= resultFilters[word]!;
    else throw new FluxError('EINVAL', `invalid filter: '${name}' is neither a state nor a result of jobs`);
  }
  return { states: stateBits, results: resultBits };
}
