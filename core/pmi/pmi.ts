/** The process management interface (RFC 13): how the processes of a parallel program find each other. */

import { FluxError } from '../errno.ts';

/** What a process has of it. Each call rejects with a FluxError that says what the other side said. */
export interface Pmi {
  /** Which interface it is, as the attribute broker.boot-method tells it. */
  readonly method: string;
  readonly rank: number;
  readonly size: number;
  /** Of the key-value space, which names the program. */
  readonly name: string;
  /** Others see the value after a barrier. */
  put(key: string, value: string): Promise<void>;
  get(key: string): Promise<string>;
  /** Resolves when all processes have entered it. */
  barrier(): Promise<void>;
  /** Has all processes ended; this one does not go on, either. */
  abort(message: string): Promise<never>;
  finalize(): Promise<void>;
  /** Gives it up, finalized or not. */
  close(): void;
}

/** The interface of a process that is alone. */
export class SinglePmi implements Pmi {
  readonly method = 'single';
  readonly rank = 0;
  readonly size = 1;
  readonly name = 'single';
  readonly #values = new Map<string, string>();

  async put(key: string, value: string): Promise<void> {
    this.#values.set(key, value);
  }

  async get(key: string): Promise<string> {
    const value = this.#values.get(key);
    if (value === undefined) throw new FluxError('ENOENT', `there is no key ${key}`);
    return value;
  }

  async barrier(): Promise<void> {}

  async abort(message: string): Promise<never> {
    throw new FluxError('ECANCELED', message);
  }

  async finalize(): Promise<void> {}

  close(): void {}
}
