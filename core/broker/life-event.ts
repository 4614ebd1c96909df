/** What the log of an instance's starts and ends has for each of them: `admin.eventlog` in the KVS (RFC 18). */

import { encodeEventlogEntry } from '../formats/eventlog.ts';
import { CommitFlag, OperationFlag } from '../formats/kvs-flags.ts';
import { makeVal } from '../formats/treeobj.ts';
import type { JsonObject } from '../json.ts';

/** Where the events are. */
export const LIFE_EVENTLOG = 'admin.eventlog';
/** Version of the events. */
export const LIFE_EVENT_VERSION = 1;

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
  const dirent = makeVal(Buffer.from(encodeEventlogEntry({ timestamp: now, name, context })));
  const operation = { key, flags: OperationFlag.append, dirent };
  // A start must be known after a crash.
  return { namespace, flags: name === 'start' ? CommitFlag.sync : 0, ops: [operation] };
}
