/**
 * `-o gpu-affinity=…`: tells tasks by CUDA_VISIBLE_DEVICES which GPUs are theirs.
 *
 * `on` (the default) gives all tasks of a node the GPUs that the job has there, `per-task` divides these among them,
 * `map:SETS` says which task gets which, and `off` sets no variable. A job without GPUs sees none.
 */

import { IdSet } from '../../../core/formats/idset.ts';
import { LogLevel, type Shell, type ShellPlugin } from '../plugin.ts';
import { parseSetMap } from './cpu-sets.ts';

const name = 'gpu-affinity';

/** No GPU has it. */
const NO_DEVICE = '-1';

export const gpuAffinityPlugin: ShellPlugin = {
  name,
  load: (shell) => ({
    'shell.init'() {
      const how = readOption(shell);
      if (how !== 'off') setDevices(shell, how);
      else shell.log(LogLevel.debug, 'disabling affinity due to gpu-affinity=off', name);
    },
  }),
};

function readOption(shell: Shell): string {
  const option = shell.option(name) ?? 'on';
  if (typeof option === 'string') return option;
  shell.log(LogLevel.warn, 'Failed to get gpu-affinity shell option, ignoring', name);
  return 'on';
}

function setDevices(shell: Shell, how: string): void {
  const sets = setsOfTasks(shell, how);
  const all = shell.node.gpus;
  shell.setEnv('CUDA_VISIBLE_DEVICES', !sets && all.count ? list(all) : NO_DEVICE);
  if (shell.getEnv('CUDA_DEVICE_ORDER') === undefined) shell.setEnv('CUDA_DEVICE_ORDER', 'PCI_BUS_ID');
  if (sets) for (const task of shell.tasks) task.setEnv('CUDA_VISIBLE_DEVICES', list(sets[task.index]!));
}

function setsOfTasks(shell: Shell, how: string): readonly IdSet[] | undefined {
  const taskCount = shell.tasks.length;
  if (how === 'per-task') return divide([...shell.node.gpus], taskCount);
  if (how.startsWith('map:')) return parseSetMap(how.slice('map:'.length), taskCount);
  return undefined;
}

/** As many GPUs for each task; what cannot be divided is left over. */
function divide(gpus: readonly number[], taskCount: number): readonly IdSet[] {
  const each = Math.floor(gpus.length / taskCount);
  return Array.from({ length: taskCount }, (_, task) => IdSet.from(gpus.slice(task * each, (task + 1) * each)));
}

/** CUDA knows no ranges. */
function list(set: IdSet): string {
  return set.encode({ ranges: false });
}
