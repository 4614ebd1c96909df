/** Names of users. */

import { execFileSync } from 'node:child_process';
import os from 'node:os';

/** The name of a user, or his number where the system knows none. */
export function userName(uid: number): string {
  if (uid === process.getuid?.()) return os.userInfo().username;
  try {
    return execFileSync('getent', ['passwd', String(uid)], { encoding: 'utf8' }).split(':', 1)[0] || String(uid);
  } catch {
    return String(uid);
  }
}
