/** What the table `plugin` of Lua files does: plugins that are written in Lua, and such that are loaded. */

import { isAbsolute, join } from 'node:path';
import { about, FluxError } from '../../../core/errno.ts';
import type { JsonObject, JsonValue } from '../../../core/json.ts';
import { isObject } from '../../../core/message/unpack.ts';
import { readPlugins } from '../js-plugins.ts';
import type { Shell, ShellPlugin } from '../plugin.ts';
import { textArgument } from './arguments.ts';
import { expandFiles, isPattern } from './sources.ts';
import type { HostFunctions } from './state.ts';

/** A handler of a plugin in Lua, by the number that Lua knows it by. */
export interface LuaHandler {
  readonly topic: string;
  readonly id: number;
}

/** Plugins that files have named and that the shell does not have yet. */
export class NamedPlugins {
  readonly #shell: Shell;
  readonly #make: (name: string, handlers: readonly LuaHandler[]) => ShellPlugin;
  #searchPath: string;
  #waiting: (() => Promise<readonly ShellPlugin[]>)[] = [];

  /** @param make makes a plugin of handlers in Lua */
  constructor(shell: Shell, make: (name: string, handlers: readonly LuaHandler[]) => ShellPlugin) {
    this.#shell = shell;
    this.#make = make;
    this.#searchPath = shell.context.attribute('conf.shell_pluginpath') ?? '';
  }

  readonly functions: HostFunctions = {
    searchPath: () => this.#searchPath,
    setSearchPath: (path) => {
      this.#searchPath = textArgument(path, 'plugin.searchpath');
    },
    register: (name, handlers) => {
      const plugin = this.#make(textArgument(name, 'a name'), handlers as unknown as readonly LuaHandler[]);
      this.#waiting.push(async () => [plugin]);
    },
    loadPlugin: (file, conf, where) => {
      const pattern = textArgument(file, 'plugin.load');
      const paths = this.#find(pattern);
      if (paths.length === 0 && !isPattern(pattern))
        throw new FluxError('ENOENT', `plugin.load: ${pattern}: File not found`);
      for (const path of paths) {
        if (!/\.[cm]?js$/.test(path))
          throw new FluxError(
            'EINVAL',
            `plugin.load: ${path}: not a plugin in JavaScript, and others cannot be loaded`,
          );
        this.#waiting.push(() => load(path, conf, textArgument(where, 'a place')));
      }
    },
  };

  #find(pattern: string): readonly string[] {
    const folders = isAbsolute(pattern) ? [''] : this.#searchPath.split(':').filter((folder) => folder !== '');
    return folders.flatMap((folder) => expandFiles(this.#shell, join(folder, pattern)));
  }

  /**
   * Those that wait, in the order in which they were named; none waits any more then.
   *
   * @throws FluxError EINVAL: a file holds no plugin
   */
  async take(): Promise<readonly ShellPlugin[]> {
    const waiting = this.#waiting;
    this.#waiting = [];
    const plugins: ShellPlugin[] = [];
    for (const read of waiting) plugins.push(...(await read()));
    return plugins;
  }
}

async function load(path: string, conf: JsonValue | undefined, where: string): Promise<readonly ShellPlugin[]> {
  let plugins: readonly ShellPlugin[];
  try {
    plugins = await readPlugins(path);
  } catch (error) {
    throw about(`${where}: plugin.load: ${path}`, error);
  }
  const settings: JsonObject | undefined = isObject(conf) ? conf : undefined;
  return plugins.map((plugin) => ({ name: plugin.name, load: (shell) => plugin.load(shell, settings) }));
}
