/** Cron entries as the service tells them, and how commands write their times. */

import type { JsonObject, JsonValue } from '../core/json.ts';

export interface CronTask {
  readonly state: string;
  readonly code?: number;
  // Seconds since the epoch, which may come as `Real`.
  readonly 'start-time'?: JsonValue;
  readonly 'end-time'?: JsonValue;
}

export interface CronEntry {
  readonly id: number;
  readonly name: string;
  readonly repeat: number;
  readonly stopped: boolean;
  readonly stats: { readonly count: number };
  readonly typedata: JsonObject;
  /** The one that runs or waits, then those that are over, the latest first. */
  readonly tasks: readonly CronTask[];
}

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** How long ago something was: `a minute ago`. */
export function formatAge(time: number, now: number): string {
  const age = now - time;
  if (age < 0) return 'in the future';
  if (age < 2) return 'a second ago';
  if (age < 90) return `${Math.round(age)} seconds ago`;
  if (age < 2 * MINUTE) return 'a minute ago';
  if (age < 90 * MINUTE) return `${Math.round(age / MINUTE)} minutes ago`;
  if (age < 36 * HOUR) return `${(age / HOUR).toFixed(1)} hours ago`;
  if (age < 14 * DAY) return `${(age / DAY).toFixed(1)} days ago`;
  if (age < 70 * DAY) return `${Math.round(age / DAY / 7)} weeks ago`;
  if (age < 365 * DAY) return `${Math.round(age / DAY / 30)} months ago`;
  return `${(age / DAY / 365).toFixed(1)} years ago`;
}

/** How long something took: `1.250m`. */
export function formatRuntime(seconds: number): string {
  if (seconds > DAY) return `${(seconds / DAY).toFixed(3)}d`;
  if (seconds > HOUR) return `${(seconds / HOUR).toFixed(3)}h`;
  if (seconds > MINUTE) return `${(seconds / MINUTE).toFixed(3)}m`;
  if (seconds > 1) return `${seconds.toFixed(3)}s`;
  return `${(seconds * 1000).toFixed(2)}ms`;
}
