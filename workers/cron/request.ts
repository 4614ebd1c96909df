/** What a request to create a cron entry says. */

import { FluxError } from '../../core/errno.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import { isObject, unpack } from '../../core/message/unpack.ts';

export interface EntrySpec {
  readonly type: string;
  /** For the trigger. */
  readonly args: JsonObject;
  readonly name: string;
  readonly command: string;
  readonly cwd: string | undefined;
  readonly environ: JsonObject | undefined;
  /** Runs after which it is stopped; without end unless positive. */
  readonly repeat: number;
  readonly rank: number;
  /** Tasks that are remembered when they are over. */
  readonly historyCount: number;
  /** Failures after which it is stopped; never unless positive. */
  readonly stopOnFailure: number;
  /** Seconds that a task may take; -1: any. */
  readonly timeout: number;
}

/** Each task that is remembered takes memory, and all of them are in each answer. */
const HISTORY_MAX = 10_000;

/** @throws FluxError EPROTO: malformed; EINVAL: a value that is out of bounds */
export function readEntrySpec(payload: JsonValue | undefined): EntrySpec {
  const required = unpack(payload, { type: 's', name: 's', command: 's', args: 'o' });
  const optional = unpack(payload, {
    environ: 'o?',
    cwd: 's?',
    repeat: 'i?',
    rank: 'i?',
    'task-history-count': 'i?',
    'stop-on-failure': 'i?',
    timeout: 'n?',
  });
  const { environ, cwd, repeat = 0, rank = 0, timeout = -1 } = optional;
  const { 'task-history-count': historyCount = 1, 'stop-on-failure': stopOnFailure = 0 } = optional;
  if (isObject(environ) && Object.values(environ).some((value) => typeof value !== 'string'))
    throw new FluxError('EPROTO', 'bad payload: environ is not an object of strings');
  if (rank < 0) throw new FluxError('EINVAL', `${rank} is not a rank`);
  if (historyCount > HISTORY_MAX)
    throw new FluxError('EINVAL', `task-history-count is ${historyCount}, at most ${HISTORY_MAX} tasks are kept`);
  return { ...required, environ, cwd, repeat, rank, historyCount, stopOnFailure, timeout };
}
