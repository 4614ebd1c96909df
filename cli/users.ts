/** Names of users. */

import { spawnSync } from 'node:child_process';
import { findUser } from '../native/index.ts';

/** The name of a user, or his number where the system knows none. */
export function userName(uid: number): string {
  return findUser(uid)?.name ?? String(uid);
}

/** The number of the user of a name; undefined when the system knows none. */
export function findUserid(name: string): number | undefined {
  const { status, stdout } = spawnSync('id', ['-u', '--', name], { encoding: 'utf8' });
  // id(1) takes numbers for users, too.
  return status === 0 && !/^\d+$/.test(name) ? Number(stdout) : undefined;
}
