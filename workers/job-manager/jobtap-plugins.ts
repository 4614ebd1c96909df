/** Plugins of the job manager: where they are found, which are loaded, and what they are asked by requests. */

import { asFluxError, FluxError } from '../../core/errno.ts';
import { globMatcher } from '../../core/formats/glob.ts';
import type { Method } from '../../core/handle/methods.ts';
import type { JsonObject } from '../../core/json.ts';
import { type JobtapHost, JobtapJobs } from './jobtap-context.ts';
import type { JobtapHooks, JobtapPlugin } from './plugin.ts';

export interface LoadedPlugin {
  readonly name: string;
  /** The file it comes from; undefined: it comes with the manager. */
  readonly path: string | undefined;
  readonly hooks: JobtapHooks;
  /** Its requests, by what stands behind `job-manager.`. */
  readonly methods: readonly string[];
  readonly context: JobtapJobs;
}

/** Where plugins are found. */
export interface PluginSource {
  /** Those whose names begin with a dot. */
  readonly builtin: ReadonlyMap<string, JobtapPlugin>;
  /** Those that come with the manager under a file's name. */
  readonly loadable: ReadonlyMap<string, JobtapPlugin>;
  /** Reads a file. */
  importPlugin(path: string): Promise<JobtapPlugin>;
}

export class JobtapPlugins {
  readonly #host: JobtapHost;
  readonly #source: PluginSource;
  /** In the order in which they are asked. */
  readonly #loaded: LoadedPlugin[] = [];
  /** The manager's requests: those of plugins are put there, too. */
  readonly #methods: Record<string, Method>;
  /** Told when another plugin is loaded, or one is removed. */
  onChange: () => void = () => {};

  constructor(host: JobtapHost, source: PluginSource, methods: Record<string, Method>) {
    this.#host = host;
    this.#source = source;
    this.#methods = methods;
  }

  get loaded(): readonly LoadedPlugin[] {
    return this.#loaded;
  }

  get names(): string[] {
    return this.#loaded.map(({ name }) => name);
  }

  /** @throws FluxError ENOENT: there is no such plugin */
  async find(path: string): Promise<JobtapPlugin> {
    if (path.startsWith('/') || path.startsWith('./')) return this.#source.importPlugin(path);
    const plugin = this.#source.builtin.get(path) ?? this.#source.loadable.get(path);
    if (!plugin) throw new FluxError('ENOENT', `${path}: No such plugin found`);
    return plugin;
  }

  /** Starts a plugin, before it is told of any job. */
  start(plugin: JobtapPlugin, name: string, conf: JsonObject, path?: string): LoadedPlugin {
    if (this.names.includes(name)) throw new FluxError('EEXIST', `${name} already loaded`);
    const context = new JobtapJobs(name, this.#host);
    const hooks = plugin.start(context, conf);
    hooks.configure?.(this.#host.context.config);
    const prefix = servicePrefix(plugin.name ?? name);
    const methods = Object.entries(hooks.methods ?? {}).map(([method, definition]) => {
      const topic = `${prefix}.${method}`;
      this.#methods[topic] = definition;
      this.#host.context.log('debug', `jobtap plugin ${name} registered method job-manager.${topic}`);
      return topic;
    });
    const loaded = { name, path, hooks, methods, context };
    this.#loaded.push(loaded);
    this.onChange();
    return loaded;
  }

  /**
   * Removes a plugin by its name, several by a pattern, or `all` that were loaded later.
   *
   * @throws FluxError ENOENT: there is none
   */
  remove(pattern: string): void {
    const matches = pattern === 'all' ? (name: string) => !name.startsWith('.') : nameMatcher(pattern);
    const removed = this.#loaded.filter(({ name }) => matches(name));
    if (removed.length === 0 && pattern !== 'all') throw new FluxError('ENOENT', 'Failed to find plugin to remove');
    for (const loaded of removed) {
      this.#loaded.splice(this.#loaded.indexOf(loaded), 1);
      for (const topic of loaded.methods) delete this.#methods[topic];
      loaded.context.unsubscribeAll();
      this.guard(loaded.name, 'stop', () => loaded.hooks.stop?.());
    }
    this.onChange();
  }

  /** @throws FluxError EINVAL: there is no such plugin */
  query(name: string): JsonObject {
    const loaded = this.#loaded.find((each) => each.name === name);
    if (!loaded) throw new FluxError('EINVAL', `${name}: plugin not found`);
    return { name, path: loaded.path ?? 'builtin', ...loaded.hooks.query?.() };
  }

  /** @throws FluxError EINVAL: a plugin does not take it */
  configure(config: JsonObject): void {
    for (const { name, hooks } of this.#loaded) {
      try {
        hooks.configure?.(config);
      } catch (error) {
        if (!(error instanceof FluxError)) this.#reportBug(name, 'conf.update', error);
        throw new FluxError('EINVAL', asFluxError(error).detail ?? `config rejected by ${name} jobtap plugin`);
      }
    }
  }

  stop(): void {
    for (const { name, hooks } of this.#loaded) this.guard(name, 'stop', () => hooks.stop?.());
  }

  // ---- faults of plugins

  /** Calls a hook that can't refuse anything. */
  guard<T>(name: string, topic: string, call: () => T): T | undefined {
    try {
      return call();
    } catch (error) {
      if (error instanceof FluxError) this.#host.context.log('err', `jobtap: ${name}: ${topic}: ${error.message}`);
      else this.#reportBug(name, topic, error);
      return undefined;
    }
  }

  #reportBug(name: string, topic: string, error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#host.context.log('err', `bug in jobtap plugin ${name}: ${topic}: ${text}`);
  }
}

/** The name in topics: without the dot in front, or the suffix of a file. */
function servicePrefix(name: string): string {
  return name.replace(/^\./, '').replace(/\..*$/, '');
}

/** As names of files match patterns: what begins with a dot is meant only where the pattern does, too. */
function nameMatcher(pattern: string): (name: string) => boolean {
  if (!/[*?[]/.test(pattern)) return (name) => name === pattern;
  const matches = globMatcher(pattern);
  return (name) => matches(name) && (name.startsWith('.') ? pattern.startsWith('.') : true);
}
