/** What makes a cron entry run: time that passes, events, dates. */

import type { ServiceContext } from '../../core/broker/service.ts';
import type { JsonObject } from '../../core/json.ts';

export interface Trigger {
  start(): void;
  stop(): void;
  /** What it was made with and how it is, as `typedata`. */
  toJSON(): JsonObject;
}

/** The entry that a trigger belongs to, as the trigger sees it. */
export interface Triggered {
  /** How the log calls it. */
  readonly label: string;
  /** When its last task was started, in seconds since the epoch; 0 when none was. */
  readonly lastRun: number;
  /** Runs a task; the trigger may be stopped when this returns. */
  fire(): void;
  /** It will never fire again. */
  exhausted(): void;
}

/**
 * Makes a trigger of one type, stopped.
 *
 * @throws FluxError EPROTO or EINVAL: what is wrong with its arguments
 */
export type MakeTrigger = (context: ServiceContext, args: JsonObject, entry: Triggered) => Trigger;
