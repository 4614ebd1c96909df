/** `-o stop-tasks-in-exec`: tasks stop before their first instruction, for a debugger to attach to them. */

import type { JsonValue } from '../../../core/json.ts';
import type { ShellPlugin } from '../plugin.ts';

const name = 'stop-tasks-in-exec';

export const stopTasksPlugin: ShellPlugin = {
  name,
  load: (shell) => ({
    'shell.init'() {
      if (!isOn(shell.option(name))) return;
      for (const task of shell.tasks) task.spec.stopInExec = true;
      shell.addEventContext('shell.start', { sync: true });
    },
  }),
};

function isOn(option: JsonValue | undefined): boolean {
  return option === true || (typeof option === 'number' && option > 0);
}
