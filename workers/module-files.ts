/**
 * The files of modules that users write: where they are found, and how they are read.
 */

import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ModuleDefinition } from '../core/broker/service.ts';
import { asFluxError, FluxError } from '../core/errno.ts';
import type { JobtapPlugin } from './job-manager/plugin.ts';

const suffixes = ['.js', '.mjs'];

/**
 * The file that a user names: a path with a slash, or a name that is looked for in the folders of `searchPath`.
 *
 * @throws FluxError ENOENT: there is none, or it is no JavaScript file
 */
export async function resolveModule(target: string, searchPath = ''): Promise<{ name: string; path: string }> {
  const file = target.includes('/') ? target : findInPath(target, searchPath);
  if (file === undefined) throw new FluxError('ENOENT', 'module not found in search path');
  const suffix = path.extname(file);
  if (!suffixes.includes(suffix)) {
    const why =
      suffix === '.so'
        ? 'shared objects cannot be loaded, only JavaScript modules (.js, .mjs)'
        : 'could not determine loader from path suffix';
    throw new FluxError('ENOENT', `${file}: ${why}`);
  }
  if (!fs.existsSync(file)) throw new FluxError('ENOENT', `${file}: no such file`);
  return { name: path.basename(file, suffix), path: path.resolve(file) };
}

function findInPath(name: string, searchPath: string): string | undefined {
  const candidates = searchPath
    .split(':')
    .filter(Boolean)
    .flatMap((folder) => suffixes.map((suffix) => path.join(folder, name + suffix)));
  return candidates.find((candidate) => fs.existsSync(candidate));
}

/**
 * Reads a module's file anew, whatever was read of it before.
 *
 * @throws FluxError EINVAL: it does not export what a module exports; what reading it failed with
 */
export function importModule(file: string): Promise<ModuleDefinition> {
  return importDefault<ModuleDefinition>(file, 'module');
}

/**
 * Reads the file of a plugin of the job manager anew.
 *
 * @throws FluxError as `importModule`
 */
export async function importPlugin(file: string): Promise<JobtapPlugin> {
  try {
    return await importDefault<JobtapPlugin>(path.resolve(file), 'plugin');
  } catch (error) {
    throw asFluxError(error, 'EINVAL');
  }
}

async function importDefault<T extends { readonly start: unknown }>(file: string, what: string): Promise<T> {
  const { mtimeMs } = fs.statSync(file);
  const exports = (await import(`${pathToFileURL(file).href}?${mtimeMs}`)) as { default?: Partial<T> };
  if (typeof exports.default?.start !== 'function')
    throw new FluxError('EINVAL', `${file}: a ${what} exports by default an object with a start function`);
  return exports.default as T;
}
