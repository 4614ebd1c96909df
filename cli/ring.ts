/** What commands ask by the debug ring: any rank, whether the tree leads to it or not. */

import type { Handle } from '../core/handle/handle.ts';
import type { JsonObject } from '../core/json.ts';

/** What a rank answers, and the processes that the request came by. */
export interface RingAnswer<T> {
  readonly payload: T;
  readonly way: readonly number[];
}

/**
 * Has a rank perform a request on itself.
 *
 * @throws FluxError what its service answers; EHOSTUNREACH, EAGAIN, ETIMEDOUT: the ring does not get there
 */
export function askByRing<T>(handle: Handle, rank: number, topic: string, payload: JsonObject): Promise<RingAnswer<T>> {
  return handle.rpc<RingAnswer<T>>('overlay.ring', { rank, topic, payload });
}

/** What the local process knows of the ring. */
export interface RingList {
  /** Its own index. */
  readonly process: number;
  /** All processes, in the order of the ring. */
  readonly processes: readonly { readonly ranks: string }[];
}

export function fetchRing(handle: Handle): Promise<RingList> {
  return handle.rpc<RingList>('overlay.ring-list');
}
