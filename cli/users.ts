/** Names of users. */

import { findUser } from '../native/index.ts';

/** The name of a user, or his number where the system knows none. */
export function userName(uid: number): string {
  return findUser(uid)?.name ?? String(uid);
}
