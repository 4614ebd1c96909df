/** Runs files in Lua with a shell that keeps what it was told. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after } from 'node:test';
import { LuaFiles } from '../../../workers/shell/lua/lua-files.ts';
import type { LuaLimits } from '../../../workers/shell/lua/state.ts';
import type { ShellHooks, ShellPlugin } from '../../../workers/shell/plugin.ts';
import { FakeShell, type ShellSetup } from './shell.ts';

export const folder = mkdtempSync(join(tmpdir(), 'flux-lua-'));
after(() => rmSync(folder, { recursive: true }));

/** Writes a file; returns its path. */
export function file(name: string, text: string): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

export const setup: ShellSetup = {
  options: { mpi: 'openmpi@5', mine: { deep: [1, 'two', { three: true }] }, none: null },
  env: { HOME: folder, LIST: '/a:/b', FOO_1: '1', FOO_2: '2', BAR: '3', FLUX_SHELL_RC_PATH: join(folder, 'site') },
  jobspec: { version: 1, attributes: { system: { shell: { options: { mine: 1 } } } } },
  R: { version: 1 },
  attributes: { 'conf.shell_pluginpath': '/no/plugins' },
  tasks: 2,
  cores: '0-3',
  gpus: '1',
  verbosity: 1,
};

export interface Ran {
  readonly shell: FakeShell;
  readonly plugins: readonly ShellPlugin[];
  readonly lua: LuaFiles;
  /** Hooks of the last plugin. */
  readonly hooks: ShellHooks;
  /** What was logged, without level and component. */
  logged(): string[];
}

/** Runs a file in Lua. */
export async function run(text: string, limits?: LuaLimits): Promise<Ran> {
  const shell = new FakeShell(setup);
  const lua = await LuaFiles.open(shell, shell, limits);
  const plugins = await lua.run(file('rc.lua', text));
  const hooks = plugins.at(-1)?.load(shell) ?? {};
  return { shell, plugins, lua, hooks, logged: () => shell.logged.map((line) => line.replace(/^\d undefined: /, '')) };
}
