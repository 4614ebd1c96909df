/** Where the KVS has what belongs to a job (RFC 16). */

import { encodeFluid } from './fluid.ts';

const asUnsigned = (id: bigint) => BigInt.asUintN(64, id);

/** The directory of a job in the primary namespace: `job.0000.0004.b200.0000`; ids beyond 64 bits wrap around. */
export function jobDirectory(id: bigint): string {
  return encodeFluid(asUnsigned(id), 'kvs');
}

/** A key in the directory of a job. */
export function jobKey(id: bigint, name: string): string {
  return `${jobDirectory(id)}.${name}`;
}

/** The name of a job's namespace while it is active. */
export function jobNamespace(id: bigint): string {
  return `job-${asUnsigned(id)}`;
}

/** What begins the keys of a job's own namespace when they are in the primary one. */
export const GUEST_PREFIX = 'guest.';
