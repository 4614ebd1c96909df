/**
 * Folders of jobs in the folder of the broker. To make one and to remove it costs the file system a quarter of a
 * millisecond, so a folder that waits to be removed becomes that of the user's next job, if the last left it as it was made.
 */

import { asFluxError } from '../../../core/errno.ts';
import type { Shell } from '../plugin.ts';

/** What the shells of a rank have in common. */
type Rank = Pick<Shell, 'context' | 'files'>;

/** Seconds in which folders gather that are to be removed: for each alone a thread of the pool would have to be woken. */
const REMOVAL_DELAY = 0.05;

const MODE = 0o700;
const PERMISSIONS = 0o7777;

interface Discarded {
  readonly path: string;
  readonly userid: number;
}

export class JobFolders {
  readonly #rank: Rank;
  #discarded: Discarded[] = [];

  constructor(rank: Rank) {
    this.#rank = rank;
  }

  /**
   * Makes a folder for a user's job, at once: that a thread of the pool has done it takes longer. It may be there already.
   *
   * @throws Error why not
   */
  make(path: string, userid: number): void {
    if (this.#reuse(path, userid)) return;
    try {
      this.#rank.files.mkdirSync(path, { mode: MODE });
    } catch (error) {
      if (asFluxError(error).code !== 'EEXIST') throw error;
    }
  }

  #reuse(path: string, userid: number): boolean {
    const last = this.#discarded.at(-1);
    if (last?.userid !== userid) return false;
    const { files } = this.#rank;
    try {
      if (files.readdirSync(last.path).length || (files.statSync(last.path).mode & PERMISSIONS) !== MODE) return false;
      files.renameSync(last.path, path);
    } catch {
      return false;
    }
    this.#discarded.pop();
    return true;
  }

  /** Nobody needs it any more, nor waits for its removal: the file system may have much to do. */
  discard(path: string, userid: number): void {
    if (this.#discarded.push({ path, userid }) === 1)
      this.#rank.context.clock.after(REMOVAL_DELAY, () => this.#removeAll());
  }

  #removeAll(): void {
    for (const { path } of this.#discarded) void removeFolder(this.#rank, path);
    this.#discarded = [];
  }
}

const foldersOfRanks = new WeakMap<Shell['context'], JobFolders>();

/** Those that all shells of a rank share. */
export function jobFoldersOf({ context, files }: Rank): JobFolders {
  let known = foldersOfRanks.get(context);
  if (!known) {
    known = new JobFolders({ context, files });
    foldersOfRanks.set(context, known);
  }
  return known;
}

/** Most jobs leave nothing in it, and to find that out takes longer than to remove it. */
export async function removeFolder({ files, context }: Rank, folder: string): Promise<void> {
  try {
    await files.rmdir(folder).catch(() => files.rm(folder, { recursive: true, force: true }));
  } catch (error) {
    context.log('err', `cannot remove ${folder}: ${asFluxError(error).message}`);
  }
}
