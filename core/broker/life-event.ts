/** What the log of an instance's starts and ends has for each of them: `admin.eventlog` in the KVS (RFC 18). */

import { type JsonObject, stringifyJson } from '../json.ts';

/** Where the events are. */
export const LIFE_EVENTLOG = 'admin.eventlog';
/** Version of the events. */
export const LIFE_EVENT_VERSION = 1;

/** Flags of operations and of commits (`kvs.commit`). */
const KVS_APPEND = 32;
const KVS_SYNC = 4;

/**
 * The commit that notes a start or an end.
 *
 * @param now seconds since the epoch
 * @param coreVersion the attribute `version`
 */
export function lifeEventCommit(
  name: 'start' | 'finish',
  now: number,
  coreVersion: string,
  { key = LIFE_EVENTLOG, version = LIFE_EVENT_VERSION, namespace = 'primary' } = {},
): JsonObject {
  const context = { version, ...(name === 'start' && { core_version: coreVersion }) };
  const event = `${stringifyJson({ timestamp: now, name, context })}\n`;
  const dirent = { ver: 1, type: 'val', data: Buffer.from(event).toString('base64') };
  // A start must be known after a crash.
  return { namespace, flags: name === 'start' ? KVS_SYNC : 0, ops: [{ key, flags: KVS_APPEND, dirent }] };
}
