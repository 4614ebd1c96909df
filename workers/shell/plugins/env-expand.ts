/**
 * `-o env-expand.NAME=TEMPLATE`: variables whose templates are rendered where the job runs (`--env=NAME={{…}}`). Those
 * that are about a task are set for each task.
 */

import { FluxError } from '../../../core/errno.ts';
import { isObject } from '../../../core/message/unpack.ts';
import { LogLevel, type Shell, type ShellPlugin } from '../plugin.ts';

const name = 'env-expand';

/** What is left of a tag that could not be rendered yet. */
const OPEN_TAG = '{{';

export const envExpandPlugin: ShellPlugin = {
  name,
  load(shell) {
    const option = shell.option(name);
    if (option === undefined) return undefined;
    if (!isObject(option)) throw new FluxError('EINVAL', `the shell option ${name} is not an object`);
    const templates = new Map<string, string>();
    for (const [variable, template] of Object.entries(option)) {
      if (typeof template === 'string') templates.set(variable, template);
      else shell.log(LogLevel.error, `invalid value for env var ${variable}`, name);
    }
    return {
      'shell.init': () => expandForJob(shell, templates),
      'task.init'(task) {
        for (const [variable, template] of templates) task.setEnv(variable, shell.render(template, { task }));
      },
    };
  },
};

/** Sets what is the same for all tasks, and leaves the rest. */
function expandForJob(shell: Shell, templates: Map<string, string>): void {
  for (const [variable, template] of templates) {
    const value = shell.render(template);
    if (value.includes(OPEN_TAG)) continue;
    shell.setEnv(variable, value);
    templates.delete(variable);
  }
}
