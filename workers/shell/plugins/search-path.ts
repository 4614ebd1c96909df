/** Lists of folders in variables of the environment, such as LD_LIBRARY_PATH. */

import type { Shell } from '../plugin.ts';

/** Puts a folder or file before what the variable lists. */
export function prependPath(to: Pick<Shell, 'getEnv' | 'setEnv'>, variable: string, path: string): void {
  const before = to.getEnv(variable);
  to.setEnv(variable, before ? `${path}:${before}` : path);
}
