/** Watches that go on, found by who asked for them. */

import { endOfStream, FluxError } from '../../core/errno.ts';
import type { Request } from '../../core/handle/methods.ts';
import { mayEnd } from '../../core/handle/request-list.ts';

export interface Watch {
  readonly request: Request;
  /** Answers nothing any more. */
  stop(): void;
}

export class WatchList {
  // By sender and matchtag.
  readonly #watches = new Map<string, Map<number, Watch>>();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** @throws FluxError EINVAL: the client has a watch of that matchtag */
  add(watch: Watch): void {
    const { sender, message } = watch.request;
    const own = this.#watches.get(sender) ?? new Map<number, Watch>();
    if (own.has(message.matchtag))
      throw new FluxError('EINVAL', `the matchtag ${message.matchtag} is that of another watch`);
    own.set(message.matchtag, watch);
    this.#watches.set(sender, own);
    this.#count++;
  }

  /** Forgets a watch that has ended. */
  remove({ request: { sender, message } }: Watch): void {
    const own = this.#watches.get(sender);
    if (!own?.delete(message.matchtag)) return;
    this.#count--;
    if (own.size === 0) this.#watches.delete(sender);
  }

  /** A client wants one of its watches ended (RFC 6, Cancellation). */
  cancel(cancel: Request, matchtag: number): void {
    const watch = this.#watches.get(cancel.sender)?.get(matchtag);
    if (watch && mayEnd(cancel, watch.request)) this.end(watch, endOfStream);
  }

  /** A client is gone (RFC 6, Disconnection). */
  disconnect(disconnect: Request): void {
    for (const watch of [...(this.#watches.get(disconnect.sender)?.values() ?? [])])
      if (mayEnd(disconnect, watch.request)) this.end(watch);
  }

  /** Ends a watch; with an error it is answered with that. */
  end(watch: Watch, error?: FluxError): void {
    this.remove(watch);
    watch.stop();
    if (error) watch.request.fail(error);
  }

  stop(): void {
    for (const own of [...this.#watches.values()]) for (const watch of [...own.values()]) this.end(watch);
  }
}
