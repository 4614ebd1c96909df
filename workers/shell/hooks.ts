/** The hooks of a shell's plugins by their moments: most plugins have few of them, and a short job passes all moments. */

import { asFluxError, FluxError } from '../../core/errno.ts';
import type { ShellHooks, ShellTask } from './plugin.ts';

/** Hooks that are called and not waited for. */
export type PromptHook =
  | 'task.exec'
  | 'task.fork'
  | 'task.end'
  | 'task.exit'
  | 'shell.finish'
  | 'shell.tasks-complete'
  | 'shell.lost'
  | 'shell.log'
  | 'destroy';

/** Hooks that are called and waited for. */
export type AwaitedHook = 'shell.init' | 'shell.post-init' | 'task.init' | 'shell.start' | 'shell.exit';

interface PluginHooks {
  /** Of the plugin. */
  readonly name: string;
  readonly hooks: ShellHooks;
}

export class Hooks {
  readonly #byMoment = new Map<string, PluginHooks[]>();
  readonly #names = new Set<string>();
  #giveUp: (() => void) | undefined;

  /** Takes the hooks of a plugin, behind those of the others, and in place of those of its name. */
  load(name: string, hooks: ShellHooks | undefined): void {
    if (this.#names.has(name)) this.#unload(name);
    if (!hooks) return;
    this.#names.add(name);
    const plugin = { name, hooks };
    for (const moment of momentsOf(hooks)) {
      const plugins = this.#byMoment.get(moment);
      if (plugins) plugins.push(plugin);
      else this.#byMoment.set(moment, [plugin]);
    }
  }

  #unload(name: string): void {
    this.#names.delete(name);
    for (const plugins of this.#byMoment.values()) {
      const index = plugins.findIndex((plugin) => plugin.name === name);
      if (index >= 0) plugins.splice(index, 1);
    }
  }

  /** Those that have something to do at a moment, in the order in which they were loaded. */
  #at(moment: keyof ShellHooks): readonly PluginHooks[] {
    return this.#byMoment.get(moment) ?? [];
  }

  /** Calls all hooks of a moment, without waiting for them. */
  run<Moment extends PromptHook>(moment: Moment, ...args: Parameters<NonNullable<ShellHooks[Moment]>>): void {
    for (const { hooks } of this.#at(moment)) (hooks[moment] as ((...args: unknown[]) => void) | undefined)?.(...args);
  }

  /**
   * Calls the hooks of a moment, each when the one before it is done.
   *
   * @param goOn called after each; throws when there is to be no next one
   * @param task the one that `task.init` is about
   * @throws FluxError EINVAL: a hook has failed; and what `goOn` throws
   */
  async runAndWait(moment: AwaitedHook, goOn?: () => void, task?: ShellTask): Promise<void> {
    for (const { name, hooks } of this.#at(moment)) {
      try {
        const done = moment === 'task.init' ? hooks[moment]?.(task!) : hooks[moment]?.();
        if (done instanceof Promise) await this.#unlessGivenUp(done);
      } catch (error) {
        throw new FluxError('EINVAL', `plugin '${name}': ${moment} failed: ${asFluxError(error).message}`);
      }
      goOn?.();
    }
  }

  /** Waits for a hook, which may be anybody's; one that never ends must not keep a job that is to end. */
  async #unlessGivenUp(done: Promise<void>): Promise<void> {
    const givenUp = new Promise<void>((resolve) => {
      this.#giveUp = resolve;
    });
    await Promise.race([done, givenUp]).finally(() => {
      this.#giveUp = undefined;
    });
  }

  /** Whether a hook is waited for. */
  get isWaiting(): boolean {
    return this.#giveUp !== undefined;
  }

  /** Gives up the hook that is waited for. */
  giveUp(): void {
    this.#giveUp?.();
  }

  /** The first that anybody knows of what is looked for. */
  find<T>(moment: 'taskmaps' | 'tags', look: (hooks: ShellHooks) => T | undefined): T | undefined {
    for (const { hooks } of this.#at(moment)) {
      const found = look(hooks);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

/** Hooks may be members of an object, or of its class. */
function momentsOf(hooks: ShellHooks): Set<string> {
  const moments = new Set<string>();
  for (let part: object = hooks; part !== Object.prototype; part = Object.getPrototypeOf(part))
    for (const moment of Object.getOwnPropertyNames(part)) moments.add(moment);
  return moments;
}
