/**
 * Files in Lua that a job names: one after the other in one state, as flux-shell-initrc(5) has it, and the plugins that they
 * register, whose handlers are called in that state for as long as the shell is there.
 */

import { dirname } from 'node:path';
import { asFluxError, FluxError } from '../../../core/errno.ts';
import { globMatcher } from '../../../core/formats/glob.ts';
import type { Shell, ShellHooks, ShellPlugin, ShellTask } from '../plugin.ts';
import { textArgument } from './arguments.ts';
import { type LuaHandler, NamedPlugins } from './plugin-functions.ts';
import { prelude } from './prelude.ts';
import { shellFunctions } from './shell-functions.ts';
import { expandFiles, isPattern, readSource } from './sources.ts';
import { type HostFunctions, type LuaLimits, type LuaState, openLua } from './state.ts';
import { taskFunctions } from './task-functions.ts';

/** Moments whose hooks end the job by throwing. */
const shellTopics = ['shell.init', 'shell.post-init', 'shell.start', 'shell.finish', 'shell.exit'] as const;
/** Moments whose hooks must not throw. */
const toldTopics = ['shell.tasks-complete', 'shell.lost', 'shell.log'] as const;
const taskTopics = ['task.init', 'task.exec', 'task.fork', 'task.exit'] as const;

export class LuaFiles {
  readonly #shell: Shell;
  readonly #plugins: NamedPlugins;
  #state: LuaState | undefined;
  #task: ShellTask | undefined;

  private constructor(shell: Shell) {
    this.#shell = shell;
    this.#plugins = new NamedPlugins(shell, (name, handlers) => this.#makePlugin(name, handlers));
  }

  /** @param job what the shells of the job on this thread have in common */
  static async open(shell: Shell, job: object, limits?: LuaLimits): Promise<LuaFiles> {
    const files = new LuaFiles(shell);
    files.#state = await openLua(prelude, files.#functions(), job, limits);
    return files;
  }

  #functions(): HostFunctions {
    return {
      ...shellFunctions(this.#shell, () => this.#state?.stop()),
      ...taskFunctions(() => this.#task),
      ...this.#plugins.functions,
      source: (path) => readSource(textArgument(path, 'a file')),
      sources: (pattern) => this.#sources(textArgument(pattern, 'source'), true),
      existingSources: (pattern) => this.#sources(textArgument(pattern, 'source_if_exists'), false),
    };
  }

  #sources(pattern: string, areNeeded: boolean): { path: string; text: string }[] {
    const paths = expandFiles(this.#shell, pattern);
    if (areNeeded && paths.length === 0 && !isPattern(pattern))
      throw new FluxError('ENOENT', `source ${pattern}: No such file or directory`);
    return paths.map((path) => ({ path, text: readSource(path) }));
  }

  /**
   * Runs a file.
   *
   * @returns the plugins that it names, in its order
   * @throws FluxError ENOENT, EINVAL: there is no such file, or something is wrong in it, at the line that is told
   */
  async run(path: string): Promise<readonly ShellPlugin[]> {
    this.#state?.call('file', path, dirname(path));
    return this.#plugins.take();
  }

  /** Handlers are not called any more. */
  close(): void {
    this.#state?.close();
  }

  #makePlugin(name: string, handlers: readonly LuaHandler[]): ShellPlugin {
    const matchers = handlers.map(({ topic, id }) => ({ id, matches: globMatcher(topic) }));
    // One handler of a plugin is called for a topic: the first that fits.
    const idOf = (topic: string) => matchers.find(({ matches }) => matches(topic))?.id;
    const hooks: Record<string, (...args: never[]) => void> = {};
    const add = (
      topics: readonly (keyof ShellHooks)[],
      hook: (id: number, topic: string) => (...args: never[]) => void,
    ) => {
      for (const topic of topics) {
        const id = idOf(topic);
        if (id !== undefined) hooks[topic] = hook(id, topic);
      }
    };
    add(shellTopics, (id, topic) => () => this.#handle(id, topic));
    add(toldTopics, (id, topic) => () => this.#tell(name, id, topic));
    add(taskTopics, (id, topic) => (task: ShellTask) => this.#handle(id, topic, task));
    return { name, load: () => hooks as ShellHooks };
  }

  #handle(id: number, topic: string, task?: ShellTask): void {
    this.#task = task;
    try {
      this.#state?.call('handler', id, topic);
    } finally {
      this.#task = undefined;
    }
  }

  #tell(name: string, id: number, topic: string): void {
    // Handlers of `shell.log` are not told what Lua itself logs: it does not run twice at a time.
    if (this.#state?.isBusy) return;
    try {
      this.#handle(id, topic);
    } catch (error) {
      const message = `plugin '${name}': ${topic} failed: ${asFluxError(error).message}`;
      // As in flux-core a message that a handler refuses is no reason to end the job; it cannot be logged there, either.
      if (topic === 'shell.log' && !this.#state?.isStopped) this.#shell.context.log('err', message);
      else this.#shell.fail(1, message);
    }
  }
}
