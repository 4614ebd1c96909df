/** The system's log, as syslog(3) writes to it. */

import { FluxError } from '../core/errno.ts';
import { getAddon } from './addon.ts';

/**
 * Writes a line; `severity` is 0 (emerg) to 7 (debug).
 *
 * Only the main thread may call it: what syslog(3) keeps is the process's. Throws FluxError ENOSYS without the addon.
 */
export function writeSyslog(severity: number, line: string): void {
  const addon = getAddon();
  if (!addon) throw new FluxError('ENOSYS', 'the system log needs the native addon');
  addon.writeSyslog(severity, line);
}
