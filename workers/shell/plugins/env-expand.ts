/** The plugin `env-expand`: variables whose values are templates (option `env-expand`), for the job or for each task. */

import { isObject } from '../../../core/message/unpack.ts';
import { LogLevel, type ShellPlugin } from '../plugin.ts';

export const envExpandPlugin: ShellPlugin = {
  name: 'env-expand',
  load(shell) {
    if (!isObject(shell.option('env-expand'))) return undefined;
    // Those that name something of a task, by their templates.
    const ofTasks = new Map<string, string>();
    return {
      'shell.init'() {
        const option = shell.option('env-expand');
        for (const [name, template] of Object.entries(isObject(option) ? option : {})) {
          if (typeof template !== 'string') {
            shell.log(LogLevel.error, `invalid value for env var ${name}`, 'env-expand');
            continue;
          }
          const value = shell.render(template);
          if (value.includes('{{')) ofTasks.set(name, template);
          else shell.setEnv(name, value);
        }
      },
      'task.init'(task) {
        for (const [name, template] of ofTasks) task.setEnv(name, shell.render(template, { task }));
      },
    };
  },
};
