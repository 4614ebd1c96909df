/** Times and numbers of entries as `flux cron` takes them. */

import { FluxError } from '../core/errno.ts';
import { parseDuration } from '../core/formats/duration.ts';
import { integer, reader } from './command.ts';

/** Seconds, or a number with `s`, `m`, `h` or `d` behind it, small or capital. */
export const seconds = reader((text) => {
  const number = /^\d*\.?\d+[a-z]*$|^\d+\.[a-z]*$/i.test(text) ? parseDuration(text.toLowerCase()) : Infinity;
  if (number === Infinity) throw new FluxError('EINVAL', `'${text}' is not a time: a number with s, m, h or d.`);
  return number;
});

/** Collects the numbers of entries, one behind the other. */
export function collectIds(text: string, previous: readonly number[] = []): number[] {
  return [...previous, integer(text)];
}
