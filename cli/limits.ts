/** A bound in time for what a command asks of brokers. */

import { FluxError } from '../core/errno.ts';

/**
 * What a promise resolves to, if it does so in time.
 *
 * @param seconds 0 is no bound
 * @throws FluxError ETIMEDOUT
 */
export async function within<T>(seconds: number, promise: Promise<T>): Promise<T> {
  if (!seconds || seconds === Infinity) return promise;
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new FluxError('ETIMEDOUT')), seconds * 1000);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
