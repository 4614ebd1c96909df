/** The processor that a thread runs on. */

import { getAddon } from './addon.ts';

/** Whether `yieldProcessor` can. */
export function canYield(): boolean {
  return getAddon() !== undefined;
}

/** Lets whoever else could run on this processor do so, which costs less than a microsecond when there is nobody. */
export function yieldProcessor(): void {
  getAddon()?.yieldProcessor();
}
