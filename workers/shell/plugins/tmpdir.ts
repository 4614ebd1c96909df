/** FLUX_JOB_TMPDIR: a folder for the job on each of its ranks, `{{tmpdir}}` in templates, which goes with the shell. */

import { asFluxError, FluxError } from '../../../core/errno.ts';
import { encodeFluid } from '../../../core/formats/fluid.ts';
import { LogLevel, type Shell, type ShellPlugin } from '../plugin.ts';

const name = 'tmpdir';
const variable = 'FLUX_JOB_TMPDIR';

/** Where folders are made when nothing better is known. */
const FALLBACK = '/tmp';

export const tmpdirPlugin: ShellPlugin = {
  name,
  load(shell) {
    let made: Folder | undefined;
    const use = (folder: Folder) => {
      made = folder;
      shell.setEnv(variable, folder.path);
    };
    // Nobody waits for it: the file system may have much to do.
    const remove = () => {
      if (made?.isOwn) removalsOf(shell).add(made.path);
      else if (made) void removeFolder(shell, made.path);
      made = undefined;
    };
    return {
      tags: { tmpdir: () => shell.getEnv(variable) },
      'shell.init'() {
        const own = shell.getEnv('TMPDIR') === undefined ? makeOwn(shell) : undefined;
        return own === undefined ? makeFolder(shell).then(use) : use(own);
      },
      'shell.exit': remove,
      destroy: remove,
    };
  },
};

interface Folder {
  readonly path: string;
  /** Whether it is in the broker's folder, which goes with all that is in it. */
  readonly isOwn: boolean;
}

/** What the shells of a rank have in common. */
type Rank = Pick<Shell, 'context' | 'files'>;

/** Seconds in which folders gather that are to be removed. */
const REMOVAL_DELAY = 0.05;

/** Folders that are removed together: for each alone a thread of the pool would have to be woken, which takes as long. */
class Removals {
  readonly #rank: Rank;
  #folders: string[] = [];

  constructor(rank: Rank) {
    this.#rank = rank;
  }

  add(folder: string): void {
    if (this.#folders.push(folder) === 1) this.#rank.context.clock.after(REMOVAL_DELAY, () => this.#removeAll());
  }

  #removeAll(): void {
    for (const folder of this.#folders) void removeFolder(this.#rank, folder);
    this.#folders = [];
  }
}

const removals = new WeakMap<Shell['context'], Removals>();

/** Those of all shells of a rank. */
function removalsOf({ context, files }: Rank): Removals {
  let known = removals.get(context);
  if (!known) {
    known = new Removals({ context, files });
    removals.set(context, known);
  }
  return known;
}

/** Most jobs leave nothing in it, and to find that out takes longer than to remove it. */
async function removeFolder({ files, context }: Rank, folder: string): Promise<void> {
  try {
    await files.rmdir(folder).catch(() => files.rm(folder, { recursive: true, force: true }));
  } catch (error) {
    context.log('err', `cannot remove ${folder}: ${asFluxError(error).message}`);
  }
}

function folderName(shell: Shell): string {
  return `jobtmp-${shell.rank}-${encodeFluid(shell.jobid, 'f58plain')}`;
}

/** In the broker's folder, at once: that a thread of the pool has done it takes longer. Undefined where that fails. */
function makeOwn(shell: Shell): Folder | undefined {
  const rundir = shell.context.attribute('rundir');
  if (rundir === undefined) return undefined;
  const path = `${rundir}/${folderName(shell)}`;
  try {
    shell.files.mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (asFluxError(error).code !== 'EEXIST') return undefined;
  }
  return { path, isOwn: true };
}

/** TMPDIR of the job, which is made if need be. */
async function parentFolder(shell: Shell): Promise<string> {
  const folder = shell.getEnv('TMPDIR');
  if (folder === undefined) return FALLBACK;
  try {
    await make(shell, folder);
    return folder;
  } catch {
    shell.log(LogLevel.warn, `Unable to create TMPDIR=${folder}, resetting TMPDIR=${FALLBACK}`, name);
    shell.setEnv('TMPDIR', FALLBACK);
    return FALLBACK;
  }
}

/** In the broker's folder or, where that is another user's, in that of the job. */
async function makeFolder(shell: Shell): Promise<Folder> {
  const parent = await parentFolder(shell);
  const own = makeOwn(shell);
  if (own !== undefined) return own;
  try {
    return { path: await make(shell, `${parent}/${folderName(shell)}`), isOwn: false };
  } catch (error) {
    const { errno, message } = asFluxError(error);
    throw new FluxError(errno, `error creating ${variable}: ${message}`);
  }
}

async function make(shell: Shell, folder: string): Promise<string> {
  try {
    await shell.files.mkdir(folder, { mode: 0o700 });
  } catch (error) {
    if (asFluxError(error).code !== 'EEXIST') throw error;
  }
  return folder;
}
