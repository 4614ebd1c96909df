/** How a module that runs programs ends them when it is removed. */

import { constants } from 'node:os';
import type { Clock } from '../core/broker/service.ts';

/** Seconds that programs have to end after SIGTERM. */
const STOP_TIMEOUT = 5;

/**
 * Asks programs to end, and makes them after a while. Resolves once they have ended, or have been made to.
 *
 * @param signal sends a signal to all that run
 * @param whenIdle takes what is to be called once none runs any more
 */
export function endPrograms(
  clock: Clock,
  signal: (signum: number) => void,
  whenIdle: (idle: () => void) => void,
): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.after(STOP_TIMEOUT, () => {
      signal(constants.signals.SIGKILL);
      resolve();
    });
    whenIdle(() => {
      timer.cancel();
      resolve();
    });
    signal(constants.signals.SIGTERM);
  });
}
