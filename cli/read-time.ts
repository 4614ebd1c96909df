/** Points in time as users write them. */

import { execFileSync } from 'node:child_process';
import { FluxError } from '../core/errno.ts';
import { parseDurationArgument } from '../core/formats/duration.ts';

/** Seconds since the epoch of a time that date(1) understands. */
export function readTime(text: string): number {
  try {
    const stdio = ['ignore', 'pipe', 'pipe'] as const;
    return Number(execFileSync('date', ['+%s', `--date=${text}`], { encoding: 'utf8', stdio: [...stdio] }));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new FluxError('EINVAL', code === 'ENOENT' ? 'the program date is not there' : `'${text}' is not a time`);
  }
}

/**
 * Seconds since the epoch of a point in time: `now`, a duration before or after it (`-2h`, `+5m`), a number of seconds, or
 * what date(1) understands.
 *
 * @throws FluxError EINVAL: it is none of these
 */
export function readPointInTime(text: string, now = Date.now() / 1000): number {
  if (text === 'now') return now;
  if (text.startsWith('+')) return now + parseDurationArgument(text.slice(1));
  if (text.startsWith('-')) return now - parseDurationArgument(text.slice(1));
  return /^\d+(\.\d*)?$/.test(text) ? Number(text) : readTime(text);
}
