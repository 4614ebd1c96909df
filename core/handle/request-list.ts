/**
 * Requests that a service has not finished answering: streams and waits.
 */

import type { Payload } from '../message/message.ts';
import type { Methods, Request } from './methods.ts';

export class RequestList {
  #requests: Request[] = [];

  get count(): number {
    return this.#requests.length;
  }

  add(request: Request): void {
    this.#requests.push(request);
  }

  remove(request: Request): void {
    this.#requests = this.#requests.filter((each) => each !== request);
  }

  /** Takes all requests out. */
  takeAll(): Request[] {
    const requests = this.#requests;
    this.#requests = [];
    return requests;
  }

  *[Symbol.iterator](): Iterator<Request> {
    yield* this.#requests.slice();
  }

  respondAll(payload: Payload): void {
    for (const request of this.#requests) request.respond(payload);
  }

  /** A client is gone: drops what it asked (RFC 6, Disconnection); only it or the owner can say so. */
  disconnect(disconnect: Request): Request[] {
    return this.#drop((each) => each.sender === disconnect.sender && mayEnd(disconnect, each));
  }

  /** A client wants one of its requests ended (RFC 6, Cancellation). */
  cancel(cancel: Request, matchtag: number): void {
    for (const request of this.#drop(
      (each) => each.sender === cancel.sender && each.message.matchtag === matchtag && mayEnd(cancel, each),
    ))
      request.endStream();
  }

  #drop(matches: (request: Request) => boolean): Request[] {
    const dropped = this.#requests.filter(matches);
    if (dropped.length) this.#requests = this.#requests.filter((each) => !dropped.includes(each));
    return dropped;
  }
}

/** Whether who asks may end a request: it is his, or he is the owner. */
export function mayEnd(asking: Request, request: Request): boolean {
  return asking.isOwner || asking.userid === request.userid;
}

/** A `disconnect` method, and a `cancel` method, for these lists. */
export function endingMethods(allow: number, ...lists: readonly RequestList[]): Pick<Methods, 'disconnect' | 'cancel'> {
  return {
    disconnect: {
      allow,
      handler(request) {
        for (const list of lists) list.disconnect(request);
        return undefined;
      },
    },
    cancel: {
      allow,
      handler(request) {
        const { matchtag } = request.unpack({ matchtag: 'i' });
        for (const list of lists) list.cancel(request, matchtag);
        return undefined;
      },
    },
  };
}
