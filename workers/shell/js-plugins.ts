/**
 * Plugins in files: JavaScript modules whose default export is a plugin, a list of plugins, or a function of the shell that
 * returns hooks.
 */

import { stat } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { FluxError } from '../../core/errno.ts';
import type { ShellPlugin } from './plugin.ts';

/** @throws FluxError EINVAL: there is no such file, or no plugin in it */
export async function readPlugins(path: string): Promise<readonly ShellPlugin[]> {
  let exported: unknown;
  try {
    const { mtimeMs } = await stat(path);
    // An edited file is another one to Node, which keeps what it has read.
    exported = ((await import(`${pathToFileURL(path).href}?${mtimeMs}`)) as { default?: unknown }).default;
  } catch (error) {
    throw new FluxError('EINVAL', error instanceof Error ? error.message : String(error));
  }
  if (typeof exported === 'function') return [{ name: path, load: exported as ShellPlugin['load'] }];
  const plugins = Array.isArray(exported) ? (exported as readonly unknown[]) : [exported];
  if (plugins.every(isPlugin)) return plugins;
  throw new FluxError('EINVAL', 'its default export is no plugin');
}

function isPlugin(value: unknown): value is ShellPlugin {
  const { name, load } = (value ?? {}) as Partial<ShellPlugin>;
  return typeof name === 'string' && typeof load === 'function';
}
