/**
 * Files that `-o initrc=`, `-o userrc=` and FLUX_SHELL_RC_PATH name: plugins in JavaScript (`js-plugins.ts`), and files in
 * Lua as flux-shell-initrc(5) describes them. A folder stands for the `*.js` and `*.lua` files in it.
 */

import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { about } from '../../core/errno.ts';
import { readPlugins } from './js-plugins.ts';
import type { LuaFiles } from './lua/lua-files.ts';
import { LogLevel, type Shell, type ShellPlugin } from './plugin.ts';
import { mpiVersion } from './plugins/mpi.ts';

/**
 * The plugins of the files that a job names, each to be loaded before the next is asked for: a file may set options that
 * others read.
 *
 * @param job what the shells of the job on this thread have in common
 * @throws FluxError ENOENT, EINVAL: there is no such file, or something is wrong in it
 */
export async function* loadRcFiles(shell: Shell, job: object): AsyncGenerator<ShellPlugin> {
  let lua: LuaFiles | undefined;

  async function* load(path: string): AsyncGenerator<ShellPlugin> {
    shell.log(LogLevel.debug, `Loading ${path}`);
    try {
      for (const file of await filesAt(path)) {
        if (isJavaScript(file)) {
          yield* await readPlugins(file);
          continue;
        }
        if (!lua) {
          const files = await (await import('./lua/lua-files.ts')).LuaFiles.open(shell, job);
          lua = files;
          yield { name: 'lua', load: () => ({ destroy: () => files.close() }) };
        }
        yield* await lua.run(file);
      }
    } catch (error) {
      throw about(`loading rc file ${path}`, error);
    }
  }

  const initrc = optionFile(shell, 'initrc');
  if (initrc !== undefined) {
    yield* load(initrc);
    // What else is loaded says a file in Lua itself, as flux-core's own does.
    if (!isJavaScript(initrc)) return;
  }
  const listed = (shell.getEnv('FLUX_SHELL_RC_PATH')?.split(':') ?? []).filter((path) => path !== '');
  for (const path of listed) yield* load(resolve(shell.cwd, path));
  for (const path of listed.flatMap((folder) => mpiFiles(shell, resolve(shell.cwd, folder)))) yield* load(path);
  const userrc = optionFile(shell, 'userrc');
  if (userrc !== undefined) yield* load(userrc);
}

function optionFile(shell: Shell, name: string): string | undefined {
  const path = shell.option(name);
  return typeof path === 'string' ? resolve(shell.cwd, path) : undefined;
}

/** What `-o mpi=NAME[@VERSION]` names in a folder: `mpi/NAME.lua` and `mpi/NAME@VERSION.lua`. */
function mpiFiles(shell: Shell, folder: string): string[] {
  const mpi = mpiVersion(shell);
  if (mpi === undefined || mpi === 'none') return [];
  return [...new Set([mpi.replace(/@.*/, ''), mpi])].map((name) => `${folder}/mpi/${name}.lua`).filter(existsSync);
}

/** What is no file in JavaScript is one in Lua, as it is to flux-core. */
function isJavaScript(path: string): boolean {
  return /\.[cm]?js$/.test(path);
}

async function filesAt(path: string): Promise<readonly string[]> {
  if (!(await stat(path)).isDirectory()) return [path];
  const names = (await readdir(path)).filter((name) => /\.(m?js|lua)$/.test(name)).sort();
  return names.map((name) => `${path}/${name}`);
}
