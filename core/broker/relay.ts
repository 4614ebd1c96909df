/**
 * Modules that are there on every rank and at work on one, nearer to the root: what all ranks of a node share. On the
 * other ranks such a module answers for itself alone, and whatever else is asked of it goes on to the next rank, unless it
 * is a follower with methods of its own.
 */

import { type Message, MessageType } from '../message/message.ts';
import type { ModuleHost } from './module-host.ts';
import type { ModuleDefinition } from './service.ts';

/** What concerns the module, not what it does (RFC 5, Default Message Handlers). */
const ownMethods: ReadonlySet<string> = new Set(['ping', 'rusage', 'debug', 'config-reload']);

/**
 * A module that sends on what is asked of it, or is a follower. What it needs to answer for itself is made when somebody
 * asks: there are thousands of ranks.
 */
export class Relay {
  readonly #makeHost: () => ModuleHost;
  readonly #follower: ModuleDefinition | undefined;
  readonly #passOn: (request: Message) => void;
  #host: ModuleHost | undefined;

  /** A follower has a `start` that needs no time. */
  constructor(makeHost: () => ModuleHost, follower: ModuleDefinition | undefined, passOn: (request: Message) => void) {
    this.#makeHost = makeHost;
    this.#follower = follower;
    this.#passOn = passOn;
  }

  receive(message: Message): void {
    if (this.#isForOthers(message)) {
      this.#passOn(message);
      return;
    }
    this.#host ??= this.#startHost();
    this.#host.receive(message);
  }

  #isForOthers({ type, topic = '', service }: Message): boolean {
    return !this.#follower && type === MessageType.request && !ownMethods.has(topic.slice(service.length + 1));
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
