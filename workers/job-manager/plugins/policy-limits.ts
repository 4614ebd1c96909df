/** Limits of [policy] and [queues]: those of all jobs, and those of a queue's (RFC 33). */

import { FluxError } from '../../../core/errno.ts';
import type { JsonObject } from '../../../core/json.ts';
import { isObject } from '../../../core/message/unpack.ts';

export interface PolicyLimits<T> {
  readonly general: T;
  /** By the queue's name, without the general ones. */
  readonly queues: ReadonlyMap<string, T>;
}

/**
 * Reads limits of one kind.
 *
 * @param read takes them out of a table `limits`; `path` names the table
 * @param over what holds where a queue has limits and its parent, too
 * @throws FluxError EINVAL: a queue's parent is not there; what `read` throws
 */
export function readLimits<T>(
  config: JsonObject,
  read: (limits: JsonObject, path: string) => T,
  over: (inherited: T, own: T) => T,
): PolicyLimits<T> {
  const limitsOf = (table: JsonObject, path: string) => {
    const { policy } = table;
    const limits = isObject(policy) ? policy.limits : undefined;
    return read(isObject(limits) ? limits : {}, `${path}policy.limits`);
  };
  const queues = new Map<string, T>();
  const tables = isObject(config.queues) ? config.queues : {};
  for (const [name, table] of Object.entries(tables)) {
    if (!isObject(table)) continue;
    const own = limitsOf(table, `queues.${name}.`);
    const { parent } = table;
    if (parent === undefined) {
      queues.set(name, own);
      continue;
    }
    // Without the parent's limits the queue would be a way around them.
    const parentTable = typeof parent === 'string' && Object.hasOwn(tables, parent) ? tables[parent] : undefined;
    if (!isObject(parentTable)) throw new FluxError('EINVAL', `queues.${name}: its parent queue is not configured`);
    queues.set(name, over(limitsOf(parentTable, `queues.${parent}.`), own));
  }
  return { general: limitsOf(config, ''), queues };
}

/** `for queue NAME`, for the end of a sentence; nothing without a queue. */
export function forQueue(queue: string | undefined): string {
  return queue === undefined ? '' : ` for queue ${queue}`;
}
