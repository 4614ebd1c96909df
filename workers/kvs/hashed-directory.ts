/**
 * A large directory (RFC 11, Hdir): a hash of a name says in which bucket, again a directory, the name stands. A bucket
 * that is itself too large is hashed in another way, by its level.
 */

import xxhash from 'xxhash-wasm';
import { FluxError } from '../../core/errno.ts';
import { encodeTreeobj, type Hdir, makeDirref } from '../../core/formats/treeobj.ts';

const { h32 } = await xxhash();

const FUNC = 'xxh32';
/** Buckets of those that are made here. */
const BUCKETS = 16;
/** Names that share a bucket so many times over are left in one. */
export const LEVELS_MAX = 8;

export class HashedDirectory {
  /** Blobrefs of directories; null where a bucket is empty. */
  readonly buckets: readonly (string | null)[];
  /** The blob. */
  readonly bytes: Buffer;

  constructor(buckets: readonly (string | null)[]) {
    this.buckets = buckets;
    const bucket = buckets.map((blobref) => (blobref === null ? null : makeDirref(blobref)));
    const data = { bucket, func: FUNC, size: buckets.length };
    this.bytes = Buffer.from(encodeTreeobj({ data, type: 'hdir', ver: 1 }));
  }

  /**
   * The directory of a tree object.
   *
   * @throws FluxError EINVAL: hashed in a way that nobody knows here
   */
  static from({ data: { bucket, func } }: Hdir): HashedDirectory {
    if (func !== FUNC) throw new FluxError('EINVAL', `an hdir is hashed by '${func}', not by ${FUNC}`);
    return new HashedDirectory(bucket.map((dirref) => dirref?.data[0] ?? null));
  }
}

/** One of 16 buckets with none in it. */
export function emptyBuckets(): (string | null)[] {
  return new Array<null>(BUCKETS).fill(null);
}

/** The index of the bucket that a name is in. */
export function bucketOf(name: string, level: number, buckets: number): number {
  return h32(name, level) % buckets;
}
