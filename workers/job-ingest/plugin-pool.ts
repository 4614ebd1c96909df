/** Threads for plugins that users write: made when there is a job for them, and ended when there are none for a while. */

import { errno } from '../../core/errno.ts';
import type { PluginCall, PluginOutcome } from '../../core/handle/ingest-plugin.ts';
import { bundlesFolder } from '../../core/node/bundles.ts';
import type { PluginThreads } from './plugin-threads.ts';

const THREADS_MAX = 4;
/** Milliseconds after which a thread that has nothing to do ends. */
const IDLE_TIMEOUT = 5000;
/** A plugin that wants more than this is ended; MiB. */
const MEMORY_MAX = 512;

/** The part of piscina that is used here. */
interface Pool {
  readonly threads: readonly unknown[];
  run(call: PluginCall, options: { readonly signal: AbortSignal }): Promise<PluginOutcome>;
}

export class PluginPool implements PluginThreads {
  #starting: Promise<Pool> | undefined;
  #pool: Pool | undefined;

  get running(): number {
    return this.#pool?.threads.length ?? 0;
  }

  async call(call: PluginCall, signal: AbortSignal): Promise<PluginOutcome> {
    try {
      this.#starting ??= makePool();
      this.#pool = await this.#starting;
      return await this.#pool.run(call, { signal });
    } catch (error) {
      if (signal.aborted) return { errnum: errno.ETIMEDOUT, errstr: `${call.file} took too long` };
      return { errnum: errno.EPROTO, errstr: `${call.file} failed: ${(error as Error).message}` };
    }
  }
}

/** Read when first needed: few instances have such plugins. */
async function makePool(): Promise<Pool> {
  const { Piscina } = await import('piscina');
  const pool = new Piscina({
    filename: new URL('ingest-plugins.js', bundlesFolder()).href,
    minThreads: 0,
    maxThreads: THREADS_MAX,
    idleTimeout: IDLE_TIMEOUT,
    resourceLimits: { maxOldGenerationSizeMb: MEMORY_MAX },
  });
  // A plugin failed behind its answer: its thread is gone, and the next job gets another one.
  pool.on('error', () => {});
  return pool;
}
