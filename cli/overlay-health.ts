/** What a rank says of its own health and of its children's: the service overlay. */

import { asFluxError, FluxError } from '../core/errno.ts';
import type { Handle } from '../core/handle/handle.ts';
import { within } from './limits.ts';

/** How long a rank may take to answer, in seconds. */
export const HEALTH_TIMEOUT = 0.5;

export const subtreeStatuses = ['full', 'partial', 'degraded', 'lost', 'offline'] as const;
export type SubtreeStatus = (typeof subtreeStatuses)[number];

export interface ChildHealth {
  readonly rank: number;
  readonly status: SubtreeStatus;
  /** Seconds in this status. */
  readonly duration: number;
  /** Why it is lost or offline. */
  readonly error?: string;
}

export interface Health extends ChildHealth {
  readonly children: readonly ChildHealth[];
}

/**
 * Asks a rank.
 *
 * @param timeout in seconds; 0 is no bound
 * @param wait answers before this status do not count
 * @throws FluxError ETIMEDOUT, EHOSTUNREACH …
 */
export async function fetchHealth(
  handle: Handle,
  nodeid: number,
  timeout: number,
  wait?: SubtreeStatus,
): Promise<Health> {
  if (!wait) return within(timeout, handle.rpc<Health>('overlay.health', undefined, { nodeid }));
  const waiting = async () => {
    for await (const health of handle.stream<Health>('overlay.health', undefined, { nodeid }))
      if (health.status === wait) return health;
    throw new FluxError('ENODATA', `rank ${nodeid} ended before its status was ${wait}`);
  };
  return within(timeout, waiting());
}

/** Whether ranks below it can be asked. */
export function isOnline({ status }: ChildHealth): boolean {
  return status !== 'lost' && status !== 'offline';
}

/** A failed request's sentence. */
export function sentenceOf(error: unknown): string {
  return asFluxError(error).message;
}
