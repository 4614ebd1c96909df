/**
 * Files that `-o initrc=`, `-o userrc=` and FLUX_SHELL_RC_PATH name: JavaScript modules whose default export is a plugin, a
 * list of plugins, or a function of the shell that returns hooks. A folder stands for the `*.js` files in it.
 */

import { readdir, stat } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { about, FluxError } from '../../core/errno.ts';
import type { Shell, ShellPlugin } from './plugin.ts';

/** The files that a job names. */
export function rcPaths(shell: Shell): readonly string[] {
  const named = ['initrc', 'userrc'].map((option) => shell.option(option));
  const listed = shell.getEnv('FLUX_SHELL_RC_PATH')?.split(':') ?? [];
  return [...named.filter((path) => typeof path === 'string'), ...listed.filter((path) => path !== '')];
}

/** @throws FluxError ENOENT, EINVAL: there is no such file, or no plugin in it */
export async function loadRcFile(path: string): Promise<readonly ShellPlugin[]> {
  let isFolder: boolean;
  try {
    isFolder = (await stat(path)).isDirectory();
  } catch (error) {
    throw about(`loading rc file ${path}`, error);
  }
  if (!isFolder) return pluginsIn(path);
  const names = (await readdir(path)).filter((name) => /\.m?js$/.test(name)).sort();
  return (await Promise.all(names.map((name) => pluginsIn(`${path}/${name}`)))).flat();
}

async function pluginsIn(path: string): Promise<readonly ShellPlugin[]> {
  let exported: unknown;
  try {
    const { mtimeMs } = await stat(path);
    // An edited file is another one to Node, which keeps what it has read.
    exported = ((await import(`${pathToFileURL(path).href}?${mtimeMs}`)) as { default?: unknown }).default;
  } catch (error) {
    throw new FluxError('EINVAL', `loading rc file ${path}: ${error instanceof Error ? error.message : error}`);
  }
  if (typeof exported === 'function') return [{ name: path, load: exported as ShellPlugin['load'] }];
  const plugins = Array.isArray(exported) ? (exported as readonly unknown[]) : [exported];
  if (plugins.every(isPlugin)) return plugins;
  throw new FluxError('EINVAL', `loading rc file ${path}: its default export is no plugin`);
}

function isPlugin(value: unknown): value is ShellPlugin {
  const { name, load } = (value ?? {}) as Partial<ShellPlugin>;
  return typeof name === 'string' && typeof load === 'function';
}
