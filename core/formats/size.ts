/** Numbers of bytes as people write them: `1.5K`. */

import { FluxError } from '../errno.ts';
import { formatGeneral } from './printf.ts';

const units = ['', 'K', 'M', 'G', 'T', 'P', 'E'];

/**
 * Reads a size: a decimal or hexadecimal number, and k or K, M, G … for powers of 1024.
 *
 * @throws FluxError EINVAL
 */
export function parseSize(text: string): number {
  const [, digits, unit] = /^((?:0x[0-9a-f]+|\d+\.?\d*(?:e[-+]?\d+)?|\.\d+))([kKMGTPE]?)$/.exec(text) ?? [];
  const size = Math.floor(Number(digits) * 1024 ** units.indexOf(unit?.toUpperCase() ?? ''));
  if (!Number.isSafeInteger(size)) throw new FluxError('EINVAL', `'${text}' is not a size`);
  return size;
}

/** Writes a size with eight digits at most: `63`, `1.5K`. */
export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  for (; value >= 1024; unit++) value /= 1024;
  return `${formatGeneral(value, 8)}${units[unit]}`;
}
