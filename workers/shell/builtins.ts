/** The plugins that every shell has, in the order in which they are loaded. */

import { outputPlugin } from './output/output.ts';
import type { ShellPlugin } from './plugin.ts';
import { envExpandPlugin } from './plugins/env-expand.ts';
import { plugins } from './plugins/index.ts';
import { inputPlugin } from './plugins/input.ts';
import { pmiPlugin } from './plugins/pmi.ts';
import { taskExitPlugin } from './plugins/task-exit.ts';
import { taskmapPlugin } from './plugins/taskmap.ts';

export const builtinPlugins: readonly ShellPlugin[] = [
  pmiPlugin,
  inputPlugin,
  outputPlugin,
  taskmapPlugin,
  taskExitPlugin,
  ...plugins,
  envExpandPlugin,
];
