/** Points in time as users give them. */

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
 * Seconds since the epoch of a point in time: `-1h` or `+1h` from now, seconds since the epoch, or what date(1)
 * understands.
 *
 * @throws FluxError EINVAL
 */
export function readWhen(text: string, now = Date.now() / 1000): number {
  const [, sign, duration] = /^([-+])(.*)$/s.exec(text) ?? [];
  if (sign && duration !== undefined) {
    const seconds = parseDurationArgument(duration);
    return sign === '-' ? now - seconds : now + seconds;
  }
  return /^\d+(\.\d*)?$/.test(text) ? Number(text) : readTime(text);
}
