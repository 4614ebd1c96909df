/** Values of options that commands on the content store have in common. */

import { reader } from './command.ts';

/** How many requests at a time: 1 or more. */
export const requestCount = reader((text) => {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number === 0) throw new Error(`'${text}' is no number of requests.`);
  return number;
});

const INT_MAX = 2 ** 31 - 1;
const factors: Readonly<Record<string, number>> = { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

/** A size in bytes, a number that may have a fraction, with k, M or G behind it (powers of 1024). */
export const byteCount = reader((text) => {
  const [, digits, unit = ''] = /^(\d+\.?\d*|\.\d+)([kmg]?)$/i.exec(text) ?? [];
  const bytes = Math.floor(Number(digits) * (factors[unit.toLowerCase()] ?? 1));
  if (!(bytes <= INT_MAX)) throw new Error(`'${text}' is no size in bytes.`);
  return bytes;
});
