/** What a job's events change in its R and its jobspec after they were stored (RFC 21, resource-update, jobspec-update). */

import type { JsonObject } from '../json.ts';
import { withValueAt } from './json-path.ts';

/** Keys of a job that its events can change. */
export type UpdatedKey = 'R' | 'jobspec';

/** The event that changes a key. */
export const updateEvents: Readonly<Record<UpdatedKey, string>> = { R: 'resource-update', jobspec: 'jobspec-update' };

/** What events may change in R; in a jobspec, all. */
const pathsInR: Readonly<Record<string, string>> = { expiration: 'execution.expiration' };

export function isUpdatedKey(key: string): key is UpdatedKey {
  return Object.hasOwn(updateEvents, key);
}

/** A value with the changes of one event's context in it; `failed` is told of those that cannot be made. */
export function applyUpdate(
  key: UpdatedKey,
  value: JsonObject,
  context: JsonObject,
  failed: (path: string) => void = () => {},
): JsonObject {
  let updated = value;
  for (const [name, change] of Object.entries(context)) {
    const path = key === 'jobspec' ? name : Object.hasOwn(pathsInR, name) ? pathsInR[name] : undefined;
    if (path === undefined || change === undefined) continue;
    try {
      updated = withValueAt(updated, path, change);
    } catch {
      failed(path);
    }
  }
  return updated;
}
