/** Names of users. */

import { spawnSync } from 'node:child_process';
import { findUser } from '../native/index.ts';

/** The name of a user, or his number where the system knows none. */
export function userName(uid: number): string {
  return findUser(uid)?.name ?? String(uid);
}

/** The number of a user; undefined when the system has no such name. */
export function userId(name: string): number | undefined {
  const { status, stdout } = spawnSync('getent', ['passwd', '--', name], { encoding: 'utf8' });
  return status === 0 ? Number(stdout.split(':')[2]) : undefined;
}
