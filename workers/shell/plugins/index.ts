/**
 * Plugins that the shell does not need to run tasks: each one does something that an option or the configuration asks for.
 */

import type { ShellPlugin } from '../plugin.ts';
import { cpuAffinityPlugin } from './cpu-affinity.ts';
import { gpuAffinityPlugin } from './gpu-affinity.ts';
import { hwlocPlugin } from './hwloc.ts';
import { jobFilesPlugin } from './job-files.ts';
import { openMpiPlugin, spectrumMpiPlugin } from './mpi.ts';
import { oomPlugin } from './oom.ts';
import { ptyPlugin } from './pty.ts';
import { rlimitPlugin } from './rlimit.ts';
import { signalPlugin } from './signal.ts';
import { stageInPlugin } from './stage-in.ts';
import { stopTasksPlugin } from './stop-tasks.ts';
import { sysmonPlugin } from './sysmon.ts';
import { tmpdirPlugin } from './tmpdir.ts';

/** In the order in which they are asked: the job's folder is there before files are put into it. */
export const plugins: readonly ShellPlugin[] = [
  tmpdirPlugin,
  jobFilesPlugin,
  stageInPlugin,
  cpuAffinityPlugin(),
  gpuAffinityPlugin,
  stopTasksPlugin,
  ptyPlugin,
  rlimitPlugin,
  signalPlugin,
  oomPlugin(),
  hwlocPlugin,
  sysmonPlugin,
  openMpiPlugin,
  spectrumMpiPlugin,
];
