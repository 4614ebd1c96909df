/** What the table `task` of Lua files does: the task that a handler is called for. */

import { FluxError } from '../../../core/errno.ts';
import type { ShellTask } from '../plugin.ts';
import { overwrites, textArgument } from './arguments.ts';
import type { HostFunctions } from './state.ts';

/** @param current the task that a handler is called for; undefined when it is called for none */
export function taskFunctions(current: () => ShellTask | undefined): HostFunctions {
  const theTask = (): ShellTask => {
    const task = current();
    if (!task) throw new FluxError('EINVAL', 'attempt to access task outside of task context');
    return task;
  };
  return {
    taskInfo: () => theTask().describe(),
    getTaskEnv: (name) => theTask().getEnv(textArgument(name, 'a variable')) ?? null,
    setTaskEnv(name, value, overwrite) {
      const task = theTask();
      const variable = textArgument(name, 'a variable');
      const text = textArgument(value, variable);
      if (overwrites(overwrite) || task.getEnv(variable) === undefined) task.setEnv(variable, text);
      return true;
    },
    unsetTaskEnv(name) {
      theTask().setEnv(textArgument(name, 'a variable'), undefined);
    },
  };
}
