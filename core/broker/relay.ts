/**
 * Modules that are there on every rank and at work on one, nearer to the root: what all ranks of a node share. On the
 * other ranks such a module answers for itself alone, and whatever else is asked of it goes on towards the root, unless it is a
 * follower with methods of its own.
 */

import type { Message } from '../message/message.ts';
import type { ModuleHost } from './module-host.ts';
import type { ModuleDefinition } from './service.ts';

/** What concerns the module, not what it does (RFC 5, Default Message Handlers). */
const ownMethods: ReadonlySet<string> = new Set(['ping', 'rusage', 'debug', 'config-reload']);

/** Whether a request to a relay's service is not about the relay itself. */
export function isForOthers({ topic = '' }: Message): boolean {
  return !ownMethods.has(topic.slice(topic.indexOf('.') + 1));
}

/** A module that answers for itself. What it needs for that is made when somebody asks: there are thousands of ranks. */
export class Relay {
  readonly #makeHost: () => ModuleHost;
  readonly #follower: ModuleDefinition | undefined;
  #host: ModuleHost | undefined;

  /** A follower has a `start` that needs no time. */
  constructor(makeHost: () => ModuleHost, follower: ModuleDefinition | undefined) {
    this.#makeHost = makeHost;
    this.#follower = follower;
  }

  receive(message: Message): void {
    this.#host ??= this.#startHost();
    this.#host.receive(message);
  }

  #startHost(): ModuleHost {
    const host = this.#makeHost();
    host
      .start(this.#follower ?? { start: () => ({}) })
      .catch((error: Error) => host.log('err', `it does not start here: ${error.message}`));
    return host;
  }

  async stop(): Promise<void> {
    await this.#host?.stop();
  }
}
