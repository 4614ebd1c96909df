/** Plugins that the shell does not need to run tasks: each one does something that an option or the configuration asks for. */

import type { ShellPlugin } from '../plugin.ts';

export const plugins: readonly ShellPlugin[] = [];
