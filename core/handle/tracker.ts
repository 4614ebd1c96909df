/**
 * Requests that went out over a link and are not answered yet, so that they can be answered when the link is lost.
 *
 * A request is known by its client and the matchtag that is unique to that client (RFC 6, Matchtag Field). While ranks move one
 * may come back on its way and pass the same link again; then so does its answer.
 */

import { type Message, MessageType } from '../message/message.ts';
import type { RouteStack } from '../message/routes.ts';

/** A request that passed, which others go on with, and its routes as they were. */
interface Passed {
  readonly matchtag: number;
  readonly request: Message;
  readonly routes: RouteStack;
  /** The same request when it passed before, if it came back since. */
  readonly before: Passed | undefined;
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
    if (message.wantsResponse) this.#add(sender, message);
    else if (message.topic?.endsWith('.disconnect')) this.#forgetSender(sender);
  }

  #add(sender: string | undefined, request: Message): void {
    this.#pending ??= new Map();
    const { matchtag } = request;
    const pending = this.#pending.get(sender);
    const known = find(pending, matchtag);
    const routes = request.routes.clone();
    const passed = { matchtag, request, routes, before: known && isPartOf(known.routes, routes) ? known : undefined };
    if (!known) this.#count++;
    if (pending instanceof Map) pending.set(matchtag, passed);
    else if (pending === undefined || known) this.#pending.set(sender, passed);
    else {
      const requests = new Map([
        [pending.matchtag, pending],
        [matchtag, passed],
      ]);
      this.#pending.set(sender, requests);
    }
  }

  /** Notes a response that passes; false when it is to no request that was noted and not answered. */
  answered(response: Message): boolean {
    const { sender } = response.routes;
    const { matchtag, isLastResponse } = response;
    const pending = this.#pending?.get(sender);
    const passed = find(pending, matchtag);
    if (!passed) return false;
    if (!isLastResponse) return true;
    const { before } = passed;
    if (before) {
      if (pending instanceof Map) pending.set(matchtag, before);
      else this.#pending!.set(sender, before);
      return true;
    }
    if (pending instanceof Map) pending.delete(matchtag);
    if (!(pending instanceof Map && pending.size)) this.#pending!.delete(sender);
    this.#count--;
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
    return unanswered.map((passed) => {
      const { request, routes } = first(passed);
      const copy = request.clone();
      copy.routes = routes;
      return copy;
    });
  }
}

function find(pending: Pending | undefined, matchtag: number): Passed | undefined {
  if (pending instanceof Map) return pending.get(matchtag);
  return pending?.matchtag === matchtag ? pending : undefined;
}

/** Whether a request that has come by one way has come farther by the other. */
function isPartOf(way: RouteStack, longer: RouteStack): boolean {
  if (way.encodedLength >= longer.encodedLength) return false;
  const ids = longer.ids();
  return way.ids().every((id, i) => ids[i] === id);
}

function first(passed: Passed): Passed {
  return passed.before ? first(passed.before) : passed;
}

function sizeOf(pending: Pending | undefined): number {
  if (pending instanceof Map) return pending.size;
  return pending ? 1 : 0;
}
