/**
 * Requests that went out over a link and are not answered yet, so that they can be answered when the link is lost.
 */

import { type Message, MessageType } from '../message/message.ts';

/** One request: its client, and the matchtag that is unique to that client (RFC 6, Matchtag Field). */
function keyOf(message: Message): string {
  return `${message.matchtag}:${message.routes.sender}`;
}

export class RpcTracker {
  // Made when first needed: most links of a large instance carry no requests.
  #pending: Map<string, Message> | undefined;

  get count(): number {
    return this.#pending?.size ?? 0;
  }

  /** Whether a response is to a request that was noted and not answered. */
  expects(response: Message): boolean {
    return this.#pending?.has(keyOf(response)) ?? false;
  }

  /** Notes a message that leaves over the link or comes in over it. */
  update(message: Message): void {
    if (message.type === MessageType.request) {
      if (!message.wantsResponse) {
        if (message.topic?.endsWith('.disconnect')) this.#forgetSender(message.routes.sender);
        return;
      }
      this.#pending ??= new Map();
      this.#pending.set(keyOf(message), message.clone());
    } else if (message.type === MessageType.response && message.isLastResponse) this.#pending?.delete(keyOf(message));
  }

  /** A client is gone, and waits for nothing any more (RFC 6, Disconnection). */
  #forgetSender(sender: string | undefined): void {
    for (const [key, request] of this.#pending ?? []) if (request.routes.sender === sender) this.#pending!.delete(key);
  }

  /** Takes every request that is not answered. */
  takeAll(): Message[] {
    const requests = [...(this.#pending?.values() ?? [])];
    this.#pending = undefined;
    return requests;
  }
}
