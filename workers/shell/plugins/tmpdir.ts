/** FLUX_JOB_TMPDIR: a folder for the job on each of its ranks, `{{tmpdir}}` in templates, which goes with the shell. */

import { asFluxError, FluxError } from '../../../core/errno.ts';
import { encodeFluid } from '../../../core/formats/fluid.ts';
import { LogLevel, type Shell, type ShellPlugin } from '../plugin.ts';
import { jobFoldersOf, removeFolder } from './job-folders.ts';

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
    const remove = () => {
      if (made?.isOwn) jobFoldersOf(shell).discard(made.path, shell.userid);
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

function folderName(shell: Shell): string {
  return `jobtmp-${shell.rank}-${encodeFluid(shell.jobid, 'f58plain')}`;
}

/** In the broker's folder; undefined where that fails. */
function makeOwn(shell: Shell): Folder | undefined {
  const rundir = shell.context.attribute('rundir');
  if (rundir === undefined) return undefined;
  const path = `${rundir}/${folderName(shell)}`;
  try {
    jobFoldersOf(shell).make(path, shell.userid);
  } catch {
    return undefined;
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
