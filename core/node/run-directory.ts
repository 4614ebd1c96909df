/**
 * The folders of an instance: the run directory with its sockets, and rank 0's state directory. What was made here is
 * removed at the end.
 */

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { about, asFluxError, FluxError } from '../errno.ts';

const STICKY = 0o1000;
const OWNER_ONLY = 0o700;

export interface InstanceFolder {
  readonly path: string;
  /** Whether it was made for this instance. */
  readonly isNew: boolean;
  /** Whether it goes at the end. */
  readonly cleanup: boolean;
}

/**
 * A folder for an instance. Its path is absolute: it goes into URIs, which are used elsewhere.
 *
 * @param name the folder that the user names; one with the sticky bit, as /tmp has it, gets a new folder inside
 * @param parent where a new folder is made when none is named
 * @param cleanup the user's wish; else what was made here is removed
 * @throws FluxError EINVAL or EPERM: it can't be used and why; what making it failed with
 */
export function openFolder(
  what: string,
  name: string | undefined,
  parent: string,
  cleanup: string | undefined,
): InstanceFolder {
  try {
    if (name === undefined) return { path: makeUnique(parent), isNew: true, cleanup: cleanup !== '0' };
    const wanted = path.resolve(name);
    const stat = fs.statSync(wanted, { throwIfNoEntry: false });
    if (!stat) {
      fs.mkdirSync(wanted, { mode: OWNER_ONLY });
      return { path: wanted, isNew: true, cleanup: cleanup !== '0' };
    }
    if (!stat.isDirectory()) throw new FluxError('ENOTDIR', `${wanted} is not a directory`);
    if (stat.mode & STICKY) return { path: makeUnique(wanted), isNew: true, cleanup: cleanup !== '0' };
    if (stat.uid !== os.userInfo().uid) throw new FluxError('EPERM', `${wanted} is not owned by the instance owner`);
    if ((stat.mode & OWNER_ONLY) !== OWNER_ONLY)
      throw new FluxError('EPERM', `${wanted} does not give its owner read, write and search permission`);
    return { path: wanted, isNew: false, cleanup: cleanup === '1' };
  } catch (error) {
    throw about(what, error);
  }
}

function makeUnique(parent: string): string {
  return fs.mkdtempSync(path.join(path.resolve(parent), 'flux-'));
}

/**
 * Removes a folder with all that is in it.
 *
 * @throws FluxError what that failed with
 */
export function removeFolder({ path }: InstanceFolder): void {
  try {
    fs.rmSync(path, { recursive: true, force: true });
  } catch (error) {
    throw asFluxError(error);
  }
}
