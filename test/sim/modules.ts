/** Modules that run apart from their broker, joined to it by lines; they can die at any time. */

import type { Module, ModuleRuntime } from '../../core/broker/module.ts';
import type { World } from '../../core/broker/module-host.ts';

import type { ModuleDefinition } from '../../core/broker/service.ts';
import { FluxError } from '../../core/errno.ts';
import type { Message } from '../../core/message/message.ts';
import { RemoteModule } from '../../workers/remote-modules.ts';
import type { Rank } from '../../workers/router/rank.ts';
import type { Network } from './network.ts';

export class RemoteModules {
  readonly #network: Network;
  readonly #definitions: Readonly<Record<string, ModuleDefinition>>;
  readonly #running = new Map<string, ModuleRuntime>();

  /** `definitions` by the path that modules are loaded with. */
  constructor(network: Network, definitions: Readonly<Record<string, ModuleDefinition>>) {
    this.#network = network;
    this.#definitions = definitions;
  }

  async resolve(target: string): Promise<{ name: string; path: string }> {
    if (!Object.hasOwn(this.#definitions, target)) throw new FluxError('ENOENT', 'module not found in search path');
    return { name: target, path: target };
  }

  async launch(rank: Rank, module: Module, welcome: Message, world: World): Promise<ModuleRuntime> {
    const key = `${rank.rank}/${module.name}`;
    const toBroker = this.#network.line(`${key}→${rank.rank}`, (message) => module.receive(message), true);
    const toModule = this.#network.line(`${rank.rank}→${key}`, (message) => remote.receive(message), true);
    /** The thread or process is over; its broker learns of it after what it sent. */
    const end = (error?: FluxError) => {
      this.#running.delete(key);
      toModule.cut();
      toBroker.inOrder(() => rank.modules.exited(module, error));
      toBroker.close();
    };
    const definition = async () => this.#definitions[module.path]!;
    const remote = new RemoteModule(
      definition,
      (message) => toBroker.send(message),
      () => end(),
      world,
    );
    const runtime = {
      send: (message: Message) => toModule.send(message),
      kill: () => end(new FluxError('ECONNRESET', `module ${module.name} was killed`)),
    };
    this.#running.set(key, runtime);
    toModule.send(welcome);
    return runtime;
  }

  /** A module dies; false when there is none of that name. */
  kill(rank: number, name: string): boolean {
    const runtime = this.#running.get(`${rank}/${name}`);
    runtime?.kill();
    return runtime !== undefined;
  }
}
