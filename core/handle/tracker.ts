/**
 * Requests that went out over a link and are not answered yet, so that they can be answered when the link is lost.
 *
 * A request is known by its client and the matchtag that is unique to that client (RFC 6, Matchtag Field).
 */

import { type Message, MessageType } from '../message/message.ts';
import type { RouteStack } from '../message/routes.ts';

/** A request that passed, which others go on with, and its routes as they were. */
interface Passed {
  readonly matchtag: number;
  readonly request: Message;
  readonly routes: RouteStack;
}

/** What one client waits for: mostly one request, else requests by matchtag. */
type Pending = Passed | Map<number, Passed>;

export class RpcTracker {
  // By client. Made when first needed: most links of a large instance carry no requests.
  #pending: Map<string | undefined, Pending> | undefined;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Notes a message that leaves over the link, if it is a request. */
  sent(message: Message): void {
    if (message.type !== MessageType.request) return;
    const { sender } = message.routes;
    if (message.wantsResponse)
      this.#add(sender, { matchtag: message.matchtag, request: message, routes: message.routes.clone() });
    else if (message.topic?.endsWith('.disconnect')) this.#forgetSender(sender);
  }

  #add(sender: string | undefined, passed: Passed): void {
    this.#pending ??= new Map();
    const pending = this.#pending.get(sender);
    const before = sizeOf(pending);
    if (pending instanceof Map) pending.set(passed.matchtag, passed);
    else if (pending === undefined || pending.matchtag === passed.matchtag) this.#pending.set(sender, passed);
    else {
      const requests = new Map([
        [pending.matchtag, pending],
        [passed.matchtag, passed],
      ]);
      this.#pending.set(sender, requests);
    }
    this.#count += sizeOf(this.#pending.get(sender)) - before;
  }

  /** Notes a response that passes; false when it is to no request that was noted and not answered. */
  answered(response: Message): boolean {
    const { sender } = response.routes;
    const { matchtag, isLastResponse } = response;
    const pending = this.#pending?.get(sender);
    if (pending === undefined) return false;
    if (pending instanceof Map) {
      if (!(isLastResponse ? pending.delete(matchtag) : pending.has(matchtag))) return false;
      if (!pending.size) this.#pending!.delete(sender);
    } else {
      if (pending.matchtag !== matchtag) return false;
      if (isLastResponse) this.#pending!.delete(sender);
    }
    if (isLastResponse) this.#count--;
    return true;
  }

  /** A client is gone, and waits for nothing any more (RFC 6, Disconnection). */
  #forgetSender(sender: string | undefined): void {
    this.#count -= sizeOf(this.#pending?.get(sender));
    this.#pending?.delete(sender);
  }

  /** Takes every request that is not answered, with its routes as they were when it passed. */
  takeAll(): Message[] {
    const unanswered = [...(this.#pending?.values() ?? [])].flatMap((pending) =>
      pending instanceof Map ? [...pending.values()] : [pending],
    );
    this.#pending = undefined;
    this.#count = 0;
    return unanswered.map(({ request, routes }) => {
      const copy = request.clone();
      copy.routes = routes;
      return copy;
    });
  }
}

function sizeOf(pending: Pending | undefined): number {
  if (pending instanceof Map) return pending.size;
  return pending ? 1 : 0;
}
