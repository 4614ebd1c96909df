/** Resource usage as getrusage(2) tells it, in the field names that Flux puts on the wire. */

import { FluxError } from '../core/errno.ts';
import { getAddon, systemError } from './addon.ts';

/** The order is the addon's. */
const fields = [
  'utime',
  'stime',
  'maxrss',
  'ixrss',
  'idrss',
  'isrss',
  'minflt',
  'majflt',
  'nswap',
  'inblock',
  'oublock',
  'msgsnd',
  'msgrcv',
  'nsignals',
  'nvcsw',
  'nivcsw',
] as const;

const subjects = ['self', 'children', 'thread'] as const;

/** The whole process, its children that have ended, or the calling thread. */
export type RusageSubject = (typeof subjects)[number];

/** `utime` and `stime` in seconds, `maxrss` in KiB on Linux, the others counts. */
export type Rusage = { readonly [F in (typeof fields)[number]]: number };

/** Throws FluxError ENOSYS for what this system, or an installation without the addon, cannot tell. */
export function rusage(subject: RusageSubject): Rusage {
  const addon = getAddon();
  if (!addon) return rusageFallback(subject);
  const out = new Float64Array(fields.length);
  const result = addon.rusage(subjects.indexOf(subject), out);
  if (result < 0) throw systemError(result, `resource usage of '${subject}' is not available on this system`);
  return Object.fromEntries(fields.map((field, index) => [field, out[index]])) as Rusage;
}

/** What Node itself tells: of the process alone. */
export function rusageFallback(subject: RusageSubject): Rusage {
  if (subject !== 'self') {
    throw new FluxError('ENOSYS', `resource usage of '${subject}' needs the native addon`);
  }
  const usage = process.resourceUsage();
  return {
    utime: usage.userCPUTime / 1e6,
    stime: usage.systemCPUTime / 1e6,
    maxrss: usage.maxRSS,
    ixrss: usage.sharedMemorySize,
    idrss: usage.unsharedDataSize,
    isrss: usage.unsharedStackSize,
    minflt: usage.minorPageFault,
    majflt: usage.majorPageFault,
    nswap: usage.swappedOut,
    inblock: usage.fsRead,
    oublock: usage.fsWrite,
    msgsnd: usage.ipcSent,
    msgrcv: usage.ipcReceived,
    nsignals: usage.signalsCount,
    nvcsw: usage.voluntaryContextSwitches,
    nivcsw: usage.involuntaryContextSwitches,
  };
}
