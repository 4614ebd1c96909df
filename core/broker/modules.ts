/**
 * The modules of one broker: loaded, watched and removed by the rules of RFC 5.
 */

import { errnoName, FluxError } from '../errno.ts';
import { Tracer } from '../handle/trace.ts';
import type { JsonObject } from '../json.ts';
import { Flag, Message } from '../message/message.ts';
import type { Broker } from './broker.ts';
import { Module, type ModuleIdentity, type ModuleRuntime, ModuleStatus } from './module.ts';
import { ModuleHost, type Welcome } from './module-host.ts';
import { Relay } from './relay.ts';
import type { ModuleDefinition } from './service.ts';

/** A module that is part of the broker. */
export interface BuiltinModule {
  /** Absent when it runs on another thread. */
  readonly definition?: ModuleDefinition;
  /** It is at work on another rank, nearer to the root; `definition`, if any, answers here (`relay.ts`). */
  readonly isRelay?: boolean;
  /** Sees each message to the module first; what it returns true for does not reach the module's methods. */
  readonly intercept?: (module: Module) => (message: Message) => boolean;
}

/** Where modules come from and where those that are not part of the broker run. */
export interface ModuleSource {
  builtin(name: string): BuiltinModule | undefined;
  /** A module that comes with the broker and may also run outside of it, by name; none that is built in. */
  bundled(name: string): BuiltinModule | undefined;
  /**
   * The file of a module, from its path or its name.
   *
   * @throws FluxError ENOENT: no such file, or none that can be loaded
   */
  resolve(target: string): Promise<{ readonly name: string; readonly path: string }>;
  /** Starts a thread or a process for a module; `welcome` is the first message it gets. */
  launch(module: Module, welcome: Message, inProcess: boolean): Promise<ModuleRuntime>;
}

export interface LoadRequest {
  readonly path: string;
  readonly args: readonly string[];
  readonly name?: string | undefined;
  /** Run it in a process of its own. */
  readonly exec?: boolean | undefined;
}

interface Pending {
  readonly resolve: () => void;
  readonly reject: (error: FluxError) => void;
}

type LocalHost = Pick<ModuleHost, 'receive' | 'stop'>;

interface Loaded {
  readonly module: Module;
  /** Where it runs, when that is in the broker. */
  readonly host?: LocalHost;
  loading?: Pending | undefined;
  /** Those who wait for it to be gone. */
  removing?: (() => void)[];
  /** Settles once its `host` has stopped. */
  stopping?: Promise<void>;
}

export class Modules {
  readonly tracer: Tracer;
  readonly #broker: Broker;
  readonly #source: ModuleSource;
  readonly #loaded = new Map<string, Loaded>();
  readonly #onFailure: (text: string) => void;

  /** `onFailure` is told when a module fails that was running. */
  constructor(broker: Broker, source: ModuleSource, onFailure: (text: string) => void) {
    this.#broker = broker;
    this.#source = source;
    this.#onFailure = onFailure;
    this.tracer = new Tracer(() => broker.world.clock.now());
  }

  get(name: string): Module | undefined {
    return this.#loaded.get(name)?.module;
  }

  names(): string[] {
    return [...this.#loaded.keys()];
  }

  list(): JsonObject {
    const now = this.#broker.world.clock.monotonic();
    const mods = [...this.#loaded.values()].map(({ module }) => ({
      name: module.name,
      path: module.path,
      idle: Math.floor(now - module.lastSeen),
      status: module.status,
      services: this.#broker.servicesOf(module),
      sendqueue: 0,
      recvqueue: module.receiveQueue,
    }));
    return { mods };
  }

  // ---- load

  /**
   * Whether a module can be loaded, as far as its name says.
   *
   * @throws FluxError EINVAL: it can't run in a process of its own; EEXIST: that name is loaded
   */
  checkLoad(request: Pick<LoadRequest, 'path' | 'name' | 'exec'>): void {
    const { path, name = path, exec } = request;
    if (exec && this.#source.builtin(path))
      throw new FluxError('EINVAL', 'built-in modules cannot execute in a separate process');
    if (this.#loaded.has(name)) throw new FluxError('EEXIST', `module ${name} is loaded already`);
  }

  /**
   * Loads a module and resolves when it runs.
   *
   * @throws FluxError EEXIST: that name is loaded; ENOENT: no such module; EINVAL: it can't run so; or why its start failed
   */
  async load(request: LoadRequest): Promise<void> {
    const { path: target, args, exec = false } = request;
    this.checkLoad(request);
    const builtin = this.#source.builtin(target);
    const bundled = this.#source.bundled(target);
    const own = { name: request.name ?? target, path: target, args, isRemote: false, isRelay: false };
    const here = builtin ?? (exec ? undefined : bundled);
    if (here?.isRelay) {
      this.#loadRelay(this.#create({ ...own, isRelay: !here.definition }), here.definition);
      return;
    }
    if (here?.definition) {
      await this.#loadHere(this.#create(own), here.definition, here.intercept);
      return;
    }
    const file = builtin || bundled ? { name: target, path: target } : await this.#source.resolve(target);
    this.checkLoad({ ...request, name: request.name ?? file.name });
    const remote = { name: request.name ?? file.name, path: file.path, args, isRemote: true, isRelay: false };
    await this.#loadElsewhere(this.#create(remote), exec);
  }

  #create(identity: ModuleIdentity): Module {
    const module = new Module(identity, this.#broker, this.tracer);
    this.#broker.addService(identity.name, module);
    this.#broker.addPort(module);
    return module;
  }

  async #loadHere(module: Module, definition: ModuleDefinition, intercept?: BuiltinModule['intercept']): Promise<void> {
    const host = this.#makeHost(module);
    const isTaken = intercept?.(module);
    this.#attachHere(module, host, (message) => {
      if (!isTaken?.(message)) host.receive(message);
    });
    try {
      await host.start(definition);
    } catch (error) {
      this.#forget(module);
      throw error;
    }
    module.status = ModuleStatus.running;
  }

  #loadRelay(module: Module, follower: ModuleDefinition | undefined): void {
    const relay = new Relay(() => this.#makeHost(module), follower);
    this.#attachHere(module, relay, (message) => relay.receive(message));
    module.status = ModuleStatus.running;
  }

  #makeHost(module: Module): ModuleHost {
    return new ModuleHost(this.#welcome(module), this.#broker.world, (message) => module.receive(message));
  }

  #attachHere(module: Module, host: LocalHost, send: (message: Message) => void): void {
    const loaded: Loaded = { module, host };
    module.attach({ send, kill: () => void this.#stopHere(loaded, host) });
    this.#loaded.set(module.name, loaded);
  }

  async #loadElsewhere(module: Module, inProcess: boolean): Promise<void> {
    const running = new Promise<void>((resolve, reject) =>
      this.#loaded.set(module.name, { module, loading: { resolve, reject } }),
    );
    // It may have ended before it is known to have been started.
    running.catch(() => {});
    try {
      module.attach(await this.#source.launch(module, this.#welcomeMessage(module), inProcess));
    } catch (error) {
      this.#forget(module);
      throw error;
    }
    await running;
  }

  #welcome(module: Module): Welcome {
    const { rank, size, owner, attributes, config } = this.#broker;
    return {
      name: module.name,
      uuid: module.uuid,
      rank,
      size,
      owner,
      args: module.args,
      config,
      attribute: (name) => attributes.get(name),
    };
  }

  /** RFC 5, Welcome Request; rank, size and owner are among the attributes. */
  #welcomeMessage(module: Module): Message {
    const { attributes, config } = this.#broker;
    const attrs = Object.fromEntries(
      attributes.names().flatMap((name) => [[name, attributes.get(name)]].filter(([, value]) => value !== undefined)),
    );
    return Message.request({
      topic: 'welcome',
      payload: { args: module.args, attrs, conf: config, name: module.name, uuid: module.uuid },
    });
  }

  // ---- remove

  /**
   * Removes a module and resolves when it is gone.
   *
   * @param force end it without asking it
   * @throws FluxError ENOENT: no such module
   */
  async remove(name: string, force = false): Promise<void> {
    const loaded = this.#loaded.get(name);
    if (!loaded) throw new FluxError('ENOENT', `module ${name} is not loaded`);
    this.#broker.log('debug', `rmmod ${name}`);
    const { module, host } = loaded;
    if (host) {
      await this.#stopHere(loaded, host);
      return;
    }
    const gone = new Promise<void>((resolve) => {
      loaded.removing ??= [];
      loaded.removing.push(resolve);
    });
    if (force) module.kill();
    else module.send(this.#shutdownRequest(module));
    await gone;
  }

  #shutdownRequest(module: Module): Message {
    return Message.request({
      topic: `${module.name}.shutdown`,
      flags: Flag.noresponse,
      credentials: this.#broker.credentials,
    });
  }

  /** Whoever else wants it to stop waits for the same end. */
  #stopHere(loaded: Loaded, host: LocalHost): Promise<void> {
    loaded.stopping ??= this.#stop(loaded.module, host);
    return loaded.stopping;
  }

  async #stop(module: Module, host: LocalHost): Promise<void> {
    module.status = ModuleStatus.finalizing;
    try {
      await host.stop();
    } finally {
      module.status = ModuleStatus.exited;
      this.#forget(module);
    }
  }

  /** Removes all modules, the last loaded first; those that were asked to go before and did not are ended. */
  async removeAll(): Promise<void> {
    for (const name of this.names().reverse()) await this.remove(name, this.#loaded.get(name)?.removing !== undefined);
  }

  #forget(module: Module): void {
    const loaded = this.#loaded.get(module.name);
    // Another may have its name by now.
    if (loaded?.module === module) {
      this.#loaded.delete(module.name);
      for (const resolve of loaded.removing ?? []) resolve();
    }
    this.#broker.bus.remove(module);
    for (const request of module.disconnectRequests()) this.#broker.receive(request, module);
    this.#broker.removePort(module);
    for (const request of module.takeUnanswered())
      this.#broker.failRequest(request, new FluxError('ENOSYS', `module ${module.name} is gone`));
  }

  // ---- what a module that runs elsewhere says of itself

  /** RFC 5, Status Request. */
  statusChanged(uuid: string, status: number, errnum: number): void {
    const loaded = [...this.#loaded.values()].find((each) => each.module.uuid === uuid);
    if (!loaded || loaded.host) return;
    const { module } = loaded;
    if (status === ModuleStatus.running) {
      module.status = ModuleStatus.running;
      loaded.loading?.resolve();
      loaded.loading = undefined;
    } else if (status === ModuleStatus.finalizing) module.status = ModuleStatus.finalizing;
    else if (status === ModuleStatus.exited) this.exited(module, errnum ? new FluxError(errnum) : undefined);
  }

  /** The thread or process of a module has ended; `error` says why, when it was not asked to. */
  exited(module: Module, error: FluxError | undefined): void {
    const loaded = this.#loaded.get(module.name);
    if (loaded?.module !== module) return;
    const wasRunning = module.status === ModuleStatus.running;
    module.status = ModuleStatus.exited;
    this.#forget(module);
    const { loading, removing } = loaded;
    loading?.reject(error ?? new FluxError('ECONNABORTED', `module ${module.name} ended before it ran`));
    if (removing || loading || !wasRunning) return;
    if (!error) {
      this.#broker.log('info', `module ${module.name} exited`);
      return;
    }
    const text = `module ${module.name} failed: ${errnoName(error.errno)}: ${error.message}`;
    if (this.#broker.attributes.has('broker.module-nopanic')) this.#broker.log('err', text);
    else this.#onFailure(text);
  }
}
