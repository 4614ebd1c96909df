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
    const remove = async () => {
      const folder = made;
      made = undefined;
      if (folder !== undefined) await removeFolder(shell, folder);
    };
    return {
      tags: { tmpdir: () => shell.getEnv(variable) },
      async 'shell.init'() {
        made = await makeFolder(shell, await parentFolder(shell));
        shell.setEnv(variable, made);
      },
      'shell.exit': remove,
      destroy() {
        remove().catch((error: unknown) => {
          shell.context.log('err', `cannot remove the folder of job ${shell.jobidText}: ${asFluxError(error).message}`);
        });
      },
    };
  },
};

/** Most jobs leave nothing in it, and to find that out takes longer than to remove it. */
async function removeFolder({ files }: Shell, folder: string): Promise<void> {
  await files.rmdir(folder).catch(() => files.rm(folder, { recursive: true, force: true }));
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

/** In the broker's folder or, where that is another user's, in `parent`. */
async function makeFolder(shell: Shell, parent: string): Promise<string> {
  const base = `jobtmp-${shell.rank}-${encodeFluid(shell.jobid, 'f58plain')}`;
  const rundir = shell.context.attribute('rundir');
  if (rundir !== undefined) {
    try {
      return await make(shell, `${rundir}/${base}`);
    } catch {
      // The other place may do.
    }
  }
  try {
    return await make(shell, `${parent}/${base}`);
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
