/** What jobs are called: their ids as people read them, and their parts of the KVS. */

import { encodeFluid } from './fluid.ts';

/** Whether what is written may hold more than ASCII: the `ƒ` before a job id. */
export function isUtf8Locale({ env }: { readonly env: Readonly<Record<string, string | undefined>> } = process): boolean {
  if (env.FLUX_F58_FORCE_ASCII !== undefined) return false;
  return /\.utf-?8\b/i.test(env.LC_ALL || env.LC_CTYPE || env.LANG || '');
}

/** The name of a job's namespace in the KVS while it is active. */
export function jobNamespace(id: bigint): string {
  return `job-${id}`;
}

/** A key of a job in the primary namespace. */
export function jobKey(id: bigint, name: string): string {
  return `${encodeFluid(id, 'kvs')}.${name}`;
}
