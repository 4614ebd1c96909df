/** Eventlogs of jobs (RFC 18), entry by entry as they are written. */

import type { Handle } from '../core/handle/handle.ts';
import { type JsonObject, parseJson } from '../core/json.ts';
import { isObject } from '../core/message/unpack.ts';

export interface EventlogEntry {
  /** Seconds since the epoch. */
  readonly timestamp: number;
  readonly name: string;
  readonly context: JsonObject;
}

/** Flag of job-info.eventlog-watch: wait for the eventlog to be there. */
export const WAITCREATE = 1;

/** The entries of an eventlog of a job, until the loop is left or there will be no more. */
export async function* watchEventlog(
  handle: Handle,
  id: bigint,
  path: string,
  flags = 0,
): AsyncGenerator<EventlogEntry, void, undefined> {
  const events = handle.stream<{ event: string }>(
    'job-info.eventlog-watch',
    { id, path, flags },
    { cancelTopic: 'job-info.eventlog-watch-cancel' },
  );
  for await (const { event } of events) {
    for (const line of event.split('\n').filter(Boolean)) {
      const { timestamp, name, context } = parseJson(line) as JsonObject;
      yield { timestamp: Number(timestamp), name: String(name), context: isObject(context) ? context : {} };
    }
  }
}
