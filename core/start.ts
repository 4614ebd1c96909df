/** Instances that live in the program that starts them. */

import { Handle, type HandleOptions } from './handle/handle.ts';
import { FluxNode } from './node/node.ts';
import type { StartOptions } from './node/prepare.ts';

/** The signal that ends a broker in order. */
const SIGTERM = 15;

/** An instance that runs in this process. */
export class RunningInstance {
  readonly #node: FluxNode;

  /** `node` has reached state `run`. */
  constructor(node: FluxNode) {
    this.#node = node;
  }

  /** URI of rank 0's local connector, for FLUX_URI and `Handle.open`. */
  get uri(): string {
    return this.#node.uri;
  }

  get size(): number {
    return this.#node.instance.size;
  }

  /** Resolves to the exit code once the instance is over. */
  get exited(): Promise<number> {
    return this.#node.exited;
  }

  /** A connection to rank 0. */
  open(options?: HandleOptions): Promise<Handle> {
    return Handle.open(this.uri, options);
  }

  /** Ends the instance as SIGTERM does a broker, and resolves to its exit code. */
  stop(): Promise<number> {
    this.#node.signal(SIGTERM);
    return this.#node.exited;
  }
}

/**
 * Starts an instance in this process and resolves when it runs.
 *
 *     const instance = await start({ size: 64 });
 *     const handle = await instance.open();
 *     ...
 *     await handle.close();
 *     await instance.stop();
 *
 * @throws FluxError what is wrong with the options; ECANCELED when the instance ended before it ran
 */
export async function startInstance(options: StartOptions = {}): Promise<RunningInstance> {
  const node = await FluxNode.start(options);
  try {
    await node.running;
  } catch (error) {
    // Nothing of it is left when the caller learns of it.
    await node.exited;
    throw error;
  }
  return new RunningInstance(node);
}
