/** Memory that the C library keeps when it is freed. */

import { getAddon } from './addon.ts';

/** Gives the system back what is free in the whole process; does nothing where the addon or the C library can't. */
export function trimMemory(): void {
  getAddon()?.trimMemory();
}
