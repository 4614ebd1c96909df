/** The configuration of the module `job-list`: tables that other modules read, too. */

import { FluxError } from '../../core/errno.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import { isObject } from '../../core/message/unpack.ts';

export interface JobListSettings {
  /** Guests see their own jobs only (flux-config-access(5)). */
  readonly isPrivate: boolean;
  /** Comparisons that one request may cost; 0: any number. */
  readonly comparisonsMax: number;
  /** The names of all queues. */
  readonly queues: readonly string[];
  /** The parents of virtual queues (RFC 33). */
  readonly parents: ReadonlyMap<string, string>;
}

const COMPARISONS_MAX = 1_000_000;

/** @throws FluxError EINVAL: what is wrong in it */
export function jobListSettings(config: JsonObject): JobListSettings {
  const isPrivate = tableOf(config, 'access')['private-mode'] ?? false;
  if (typeof isPrivate !== 'boolean')
    throw new FluxError('EINVAL', 'error reading [access] config: private-mode is not true or false');
  const comparisonsMax = tableOf(config, 'job-list').max_comparisons ?? COMPARISONS_MAX;
  if (typeof comparisonsMax !== 'number' || !Number.isInteger(comparisonsMax))
    throw new FluxError('EINVAL', 'error reading config for job-list: max_comparisons is not an integer');
  if (comparisonsMax < 0) throw new FluxError('EINVAL', 'job-list.max_comparisons must be >= 0');
  const queues = tableOf(config, 'queues');
  return { isPrivate, comparisonsMax, queues: Object.keys(queues), parents: parentsOf(queues) };
}

function parentsOf(queues: JsonObject): Map<string, string> {
  const parents = new Map<string, string>();
  for (const [name, queue] of Object.entries(queues)) {
    const parent: JsonValue | undefined = isObject(queue) ? queue.parent : undefined;
    if (parent === undefined) continue;
    if (typeof parent !== 'string') throw new FluxError('EINVAL', `queues.${name}: 'parent' must be a string`);
    parents.set(name, parent);
  }
  return parents;
}

function tableOf(config: JsonObject, name: string): JsonObject {
  const table = config[name] ?? {};
  if (!isObject(table)) throw new FluxError('EINVAL', `error reading config: ${name} is not a table`);
  return table;
}
