/** What versions of MPI want to find in the environment: Open MPI always, others by `-o mpi=NAME`. */

import { isObject } from '../../../core/message/unpack.ts';
import type { Shell, ShellPlugin, ShellTask } from '../plugin.ts';
import { prependPath } from './search-path.ts';

/** What makes Spectrum MPI's resource manager complain when it is larger. */
const SPECTRUM_STACK_BYTES = 10 * 1024 * 1024;

/** Where LLNL's Sierra, whose MPI it is, has it. */
const SPECTRUM_LIBRARIES = '/opt/ibm/spectrum_mpi/lib';

const spectrumVariables = {
  OMPI_MCA_osc: 'pt2pt',
  OMPI_MCA_pml: 'yalla',
  OMPI_MCA_btl: 'self',
  OMPI_MCA_coll_hcoll_enable: '0',
} as const;

/**
 * Open MPI: its shared memory is in files, which jobs on one node must not share. They are in FLUX_JOB_TMPDIR then, and
 * not in /dev/shm.
 */
export const openMpiPlugin: ShellPlugin = {
  name: 'openmpi',
  load: (shell) => ({
    'shell.init'() {
      const folder = shell.getEnv('FLUX_JOB_TMPDIR');
      if (folder !== undefined && mpiName(shell) !== 'none')
        shell.setEnv('OMPI_MCA_btl_vader_backing_directory', folder);
    },
  }),
};

/** `-o mpi=spectrum`: IBM's Spectrum MPI. */
export const spectrumMpiPlugin: ShellPlugin = {
  name: 'spectrum',
  load: (shell) => ({
    'shell.init'() {
      if (mpiName(shell) === 'spectrum') prepareSpectrumJob(shell);
    },
    'task.init'(task) {
      if (mpiName(shell) === 'spectrum') prepareSpectrumTask(task);
    },
  }),
};

function prepareSpectrumJob(shell: Shell): void {
  for (const variable of Object.keys(shell.environment())) {
    if (/^(PMIX|OMPI)_/.test(variable)) shell.setEnv(variable, undefined);
  }
  for (const [variable, value] of Object.entries(spectrumVariables)) shell.setEnv(variable, value);
  prependPath(shell, 'LD_LIBRARY_PATH', `${SPECTRUM_LIBRARIES}/pami_port`);
  prependPath(shell, 'LD_PRELOAD', `${SPECTRUM_LIBRARIES}/libpami_cudahook.so`);
}

function prepareSpectrumTask(task: ShellTask): void {
  task.spec.limits = [...(task.spec.limits ?? []), { limit: 'stack', soft: SPECTRUM_STACK_BYTES }];
  task.setEnv('OMPI_COMM_WORLD_RANK', String(task.rank));
}

/** The option, which may name a version, as in `spectrum@10.3`. */
export function mpiVersion(shell: Shell): string | undefined {
  const option = shell.option('mpi');
  const value = isObject(option) ? option.name : option;
  return typeof value === 'string' ? value : undefined;
}

function mpiName(shell: Shell): string | undefined {
  return mpiVersion(shell)?.replace(/@.*/, '');
}
