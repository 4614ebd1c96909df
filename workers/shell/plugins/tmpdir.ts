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
    let made: string | undefined;
    const use = (folder: string) => {
      made = folder;
      shell.setEnv(variable, folder);
    };
    // Nobody waits for it: the file system may have much to do.
    const remove = () => {
      if (made !== undefined)
        removeFolder(shell, made).catch((error: unknown) => {
          shell.context.log('err', `cannot remove the folder of job ${shell.jobidText}: ${asFluxError(error).message}`);
        });
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

/** Most jobs leave nothing in it, and to find that out takes longer than to remove it. */
async function removeFolder({ files }: Shell, folder: string): Promise<void> {
  await files.rmdir(folder).catch(() => files.rm(folder, { recursive: true, force: true }));
}

function folderName(shell: Shell): string {
  return `jobtmp-${shell.rank}-${encodeFluid(shell.jobid, 'f58plain')}`;
}

/** In the broker's folder, at once: that a thread of the pool has done it takes longer. Undefined where that fails. */
function makeOwn(shell: Shell): string | undefined {
  const rundir = shell.context.attribute('rundir');
  if (rundir === undefined) return undefined;
  const folder = `${rundir}/${folderName(shell)}`;
  try {
    shell.files.mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (asFluxError(error).code !== 'EEXIST') return undefined;
  }
  return folder;
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
async function makeFolder(shell: Shell): Promise<string> {
  const parent = await parentFolder(shell);
  const own = makeOwn(shell);
  if (own !== undefined) return own;
  try {
    return await make(shell, `${parent}/${folderName(shell)}`);
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
