/** Eventlogs of jobs (RFC 18), entry by entry as they are written. */

import { decodeEventlog, type EventlogEntry } from '../core/formats/eventlog.ts';
import type { Handle } from '../core/handle/handle.ts';
import type { Stream } from '../core/handle/rpc.ts';
import type { JsonObject } from '../core/json.ts';

/** An entry of a job's eventlog, and the line that it is stored as. */
export interface JobEvent extends EventlogEntry {
  readonly context: JsonObject;
  readonly text: string;
}

/** Flag of job-info.eventlog-watch: wait for the eventlog to be there. */
export const WAITCREATE = 1;
/** Flag of job-info.eventlog-watch: an answer without an event stands behind the events that there are at first. */
export const INITIAL_SENTINEL = 2;

type EventAnswers = Stream<{ readonly event?: string } | undefined>;

/** Asks for the events of an eventlog of a job; `cancel()` of what it returns makes the service end it. */
export function openEventlog(handle: Handle, id: bigint, path: string, flags = 0): EventAnswers {
  return handle.stream(
    'job-info.eventlog-watch',
    { id, path, flags },
    { cancelTopic: 'job-info.eventlog-watch-cancel' },
  );
}

/** The events as they come; with `INITIAL_SENTINEL`, undefined stands behind those that there are at first. */
export async function* eventsOf(answers: EventAnswers): AsyncGenerator<JobEvent | undefined, void, undefined> {
  for await (const answer of answers) {
    if (answer?.event === undefined) yield undefined;
    else yield* readEvents(answer.event);
  }
}

/** The events of an eventlog's text. */
export function readEvents(text: string): JobEvent[] {
  const lines = text.split('\n');
  return decodeEventlog(text).map((entry, index) => ({ ...entry, context: entry.context ?? {}, text: lines[index]! }));
}

/** The entries of an eventlog of a job, until the loop is left or there will be no more. */
export async function* watchEventlog(
  handle: Handle,
  id: bigint,
  path: string,
  flags = 0,
): AsyncGenerator<JobEvent, void, undefined> {
  for await (const event of eventsOf(openEventlog(handle, id, path, flags))) if (event) yield event;
}
