/** The plugins that every shell has, in the order in which they are loaded. */

import type { ShellPlugin } from './plugin.ts';
import { plugins } from './plugins/index.ts';

export const builtinPlugins: readonly ShellPlugin[] = [...plugins];
