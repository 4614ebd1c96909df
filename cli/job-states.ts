/** States of jobs as they are named on command lines, and the users whose jobs are meant. */

import { FluxError } from '../core/errno.ts';
import { stateBits } from '../core/formats/job-state.ts';
import { findUserid } from './users.ts';

/**
 * The bits of a state, by name or abbreviation.
 *
 * @throws FluxError EINVAL
 */
export function parseState(text: string): number {
  const bits = stateBits(text);
  if (bits === undefined) throw new FluxError('EINVAL', `'${text}' is not a state of jobs`);
  return bits;
}

/** The bits of states with commas between them. */
export function parseStates(text: string): number {
  return text.split(',').reduce((states, state) => states | parseState(state), 0);
}

/** Who all users are in requests. */
export const ANY_USER = -1;

/**
 * The number of the user whose jobs are meant: by name or number, or all of them; this one when none is named.
 *
 * @throws FluxError EINVAL: there is no such user
 */
export function parseUser(text: string | undefined): number {
  if (text === undefined) return process.getuid?.() ?? 0;
  if (text === 'all') return ANY_USER;
  const userid = findUserid(text) ?? (/^\d+$/.test(text) ? Number(text) : undefined);
  if (userid === undefined) throw new FluxError('EINVAL', `there is no user ${text}`);
  return userid;
}
