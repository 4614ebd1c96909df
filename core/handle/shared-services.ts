/** Services that clients of one connection answer for: each name is registered upstream, and belongs to one client. */

import { FluxError } from '../errno.ts';
import type { Done } from './shared-subscriptions.ts';

/** Asks upstream for `service.add` or `service.remove`. */
export type ServiceCall = (method: 'add' | 'remove', name: string, done: Done) => void;

interface Registration<C> {
  readonly client: C;
  isRemoved: boolean;
}

export class SharedServices<C extends object> {
  readonly #byName = new Map<string, Registration<C>>();
  readonly #call: ServiceCall;

  constructor(call: ServiceCall) {
    this.#call = call;
  }

  /** Registers a name; `done` is told EEXIST when another client has it, or what upstream says. */
  add(name: string, client: C, done: Done): void {
    if (this.#byName.has(name)) {
      done(new FluxError('EEXIST'));
      return;
    }
    const registration = { client, isRemoved: false };
    // Upstream may send a request right behind its answer.
    this.#byName.set(name, registration);
    this.#call('add', name, (error) => {
      if (error) this.#forget(name, registration);
      done(error);
    });
  }

  /** Gives a name back; `done` is told ENOENT when it is not the client's. */
  remove(name: string, client: C, done: Done): void {
    const registration = this.#byName.get(name);
    if (registration?.client !== client || registration.isRemoved) {
      done(new FluxError('ENOENT'));
      return;
    }
    registration.isRemoved = true;
    this.#call('remove', name, (error) => {
      this.#forget(name, registration);
      done(error);
    });
  }

  /** Gives back all names of a client that is gone. */
  drop(client: C): void {
    for (const [name, registration] of this.#byName) {
      if (registration.client !== client) continue;
      this.#byName.delete(name);
      if (!registration.isRemoved) this.#call('remove', name, () => {});
    }
  }

  /** Registers all names again, over a new connection; those that fail are told by the promise. */
  async renew(): Promise<void> {
    await Promise.all(
      [...this.#byName.keys()].map(
        (name) =>
          new Promise<void>((resolve, reject) => {
            this.#call('add', name, (error) => (error ? reject(error) : resolve()));
          }),
      ),
    );
  }

  /** The client that answers for a name. */
  of(name: string): C | undefined {
    return this.#byName.get(name)?.client;
  }

  #forget(name: string, registration: Registration<C>): void {
    if (this.#byName.get(name) === registration) this.#byName.delete(name);
  }
}
