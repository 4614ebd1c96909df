/** The arguments of the module `content`. */

import { FluxError } from '../../core/errno.ts';

export interface CacheSettings {
  /** Bytes that the cache holds in the long run. */
  readonly purgeTargetSize: number;
  /** Seconds for which a blob that was used stays, unless the cache is full. */
  readonly purgeOldEntry: number;
  /** Bytes of blobs that the backing store has, beyond which the oldest go at once. */
  readonly cleanSizeLimit: number;
  /** Bytes of blobs not yet stored, beyond which who stores more waits. */
  readonly dirtySizeLimit: number;
  /** Stores under way at one time. */
  readonly flushBatchLimit: number;
  /** Milliseconds for which few blobs wait for more, so that the thread that stores is not woken for each; 0: not at all. */
  readonly flushDelay: number;
  /** Bytes of the largest blob. */
  readonly blobSizeLimit: number;
}

const MIB = 1024 * 1024;
/** What a blob takes beside its bytes, so that many small ones are not thought to be free. */
const BLOB_OVERHEAD = 320;

export const defaultSettings: CacheSettings = {
  purgeTargetSize: 16 * MIB,
  purgeOldEntry: 10,
  cleanSizeLimit: 128 * MIB,
  dirtySizeLimit: 128 * MIB,
  // flux-core has 256, which is too few where another thread has to be woken for each batch.
  flushBatchLimit: 2048,
  flushDelay: 5,
  // RFC 10 has 1 MiB, and flux-core this until large values are many blobs.
  blobSizeLimit: 1024 * MIB,
};

const names: Readonly<Record<string, keyof CacheSettings>> = {
  'purge-target-size': 'purgeTargetSize',
  'purge-old-entry': 'purgeOldEntry',
  'clean-size-limit': 'cleanSizeLimit',
  'dirty-size-limit': 'dirtySizeLimit',
  'flush-batch-limit': 'flushBatchLimit',
  'flush-delay': 'flushDelay',
  'blob-size-limit': 'blobSizeLimit',
};

/** What a blob counts where sizes are limited. */
export function weight(bytes: Uint8Array): number {
  return bytes.length + BLOB_OVERHEAD;
}

/**
 * The settings that arguments of the form `NAME=NUMBER` give, on top of the defaults.
 *
 * @throws FluxError EINVAL: no such setting, or no whole number up to 2^32 - 1
 */
export function parseSettings(args: readonly string[]): CacheSettings {
  const settings = { ...defaultSettings };
  for (const arg of args) {
    const [, name = '', digits = ''] = /^([^=]+)=(.*)$/.exec(arg) ?? [];
    if (!Object.hasOwn(names, name)) throw new FluxError('EINVAL', `unknown module option: ${arg}`);
    const value = Number(digits);
    if (!/^\d+$/.test(digits) || value > 0xffffffff) throw new FluxError('EINVAL', `error parsing ${arg}`);
    settings[names[name]!] = value;
  }
  return settings;
}
