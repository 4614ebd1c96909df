/** Has the module `shell` loaded on the ranks that jobs run on: there are thousands of ranks, and many never run any. */

import type { ServiceContext } from '../../core/broker/service.ts';
import { errno, FluxError } from '../../core/errno.ts';

export class ShellModules {
  readonly #context: ServiceContext;
  /** Those that are being loaded: many jobs that start at once load each one once. */
  readonly #loading = new Map<number, Promise<void>>();

  constructor(context: ServiceContext) {
    this.#context = context;
  }

  /** Resolves once a rank has it; rejects with a FluxError when it can't be loaded. */
  load(rank: number): Promise<void> {
    let load = this.#loading.get(rank);
    if (!load) {
      load = this.#load(rank).finally(() => this.#loading.delete(rank));
      this.#loading.set(rank, load);
    }
    return load;
  }

  async #load(rank: number): Promise<void> {
    try {
      await this.#context.rpc('module.load', { path: 'shell', args: [] }, { nodeid: rank });
    } catch (error) {
      // Somebody else has loaded it.
      if (!(error instanceof FluxError && error.errno === errno.EEXIST)) throw error;
    }
  }
}
