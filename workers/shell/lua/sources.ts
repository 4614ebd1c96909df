/** Files that Lua files name, by paths or glob(7) patterns. They are read at once: Lua does not wait. */

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { asFluxError, FluxError } from '../../../core/errno.ts';
import { globMatcher } from '../../../core/formats/glob.ts';
import type { Shell } from '../plugin.ts';

export function isPattern(path: string): boolean {
  return /[*?[]/.test(path);
}

/**
 * The files that a path or a pattern stands for, in order; none when there is no such file.
 *
 * @param shell whose working directory and home (`~/`) it is about
 */
export function expandFiles(shell: Pick<Shell, 'cwd' | 'getEnv'>, pattern: string): string[] {
  const path = resolve(
    shell.cwd,
    pattern.replace(/^~(?=\/|$)/, () => shell.getEnv('HOME') ?? '~'),
  );
  if (!isPattern(pattern)) return exists(path) ? [path] : [];
  let found = ['/'];
  for (const name of path.split('/').filter((part) => part !== ''))
    found = found.flatMap((folder) => (isPattern(name) ? matching(folder, name) : [join(folder, name)]));
  return found.filter(exists);
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

function matching(folder: string, pattern: string): string[] {
  const matches = globMatcher(pattern);
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  return names
    .filter((name) => (name.startsWith('.') ? pattern.startsWith('.') : true) && matches(name))
    .sort()
    .map((name) => join(folder, name));
}

/**
 * The Lua source in a file. A first line that begins with `#` names the interpreter.
 *
 * @throws FluxError ENOENT, EINVAL: there is none, or what there is may never end, such as a pipe
 */
export function readSource(path: string): string {
  try {
    if (!statSync(path).isFile() && path !== '/dev/null') throw new FluxError('EINVAL', `${path}: not a regular file`);
    return readFileSync(path, 'utf8').replace(/^\uFEFF?(#.*)?/, '');
  } catch (error) {
    throw asFluxError(error);
  }
}
