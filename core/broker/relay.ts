/**
 * Modules that are there on every rank and at work on one, nearer to the root: what all ranks of a node share. On the
 * other ranks such a module answers for itself alone, and whatever else is asked of it goes on to the next rank.
 */

import { type Message, MessageType } from '../message/message.ts';
import type { ModuleHost } from './module-host.ts';

/** What concerns the module, not what it does (RFC 5, Default Message Handlers). */
const ownMethods: ReadonlySet<string> = new Set(['ping', 'rusage', 'debug', 'config-reload']);

/** A module that sends on what is asked of it. What it needs to answer for itself is made when somebody asks. */
export class Relay {
  readonly #makeHost: () => ModuleHost;
  readonly #passOn: (request: Message) => void;
  #host: ModuleHost | undefined;

  constructor(makeHost: () => ModuleHost, passOn: (request: Message) => void) {
    this.#makeHost = makeHost;
    this.#passOn = passOn;
  }

  receive(message: Message): void {
    const { topic = '', service } = message;
    if (message.type === MessageType.request && !ownMethods.has(topic.slice(service.length + 1))) {
      this.#passOn(message);
      return;
    }
    this.#host ??= this.#startHost();
    this.#host.receive(message);
  }

  #startHost(): ModuleHost {
    const host = this.#makeHost();
    void host.start({ start: () => ({}) });
    return host;
  }

  async stop(): Promise<void> {
    await this.#host?.stop();
  }
}
