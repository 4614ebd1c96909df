/** The plugins that every shell has, in the order in which they are loaded. */

import { outputPlugin } from './output/output.ts';
import type { ShellPlugin } from './plugin.ts';
import { batchPlugin } from './plugins/batch.ts';
import { envExpandPlugin } from './plugins/env-expand.ts';
import { plugins } from './plugins/index.ts';
import { inputPlugin } from './plugins/input.ts';
import { pmiPlugin } from './plugins/pmi.ts';
import { proctablePlugin } from './plugins/proctable.ts';
import { taskExitPlugin } from './plugins/task-exit.ts';
import { taskmapPlugin } from './plugins/taskmap.ts';

export const builtinPlugins: readonly ShellPlugin[] = [
  // The job's folder is there before anything is put into it.
  ...plugins,
  pmiPlugin,
  inputPlugin,
  outputPlugin,
  taskmapPlugin,
  proctablePlugin,
  batchPlugin,
  taskExitPlugin,
  envExpandPlugin,
];
