/** What lookups and commits read: objects of the store that are in memory. They do no input or output. */

import { FluxError } from '../../core/errno.ts';
import type { HashName } from '../../core/formats/blobref.ts';
import type { Dirref } from '../../core/formats/treeobj.ts';
import type { Directory } from './directory.ts';
import type { HashedDirectory } from './hashed-directory.ts';

export type AnyDirectory = Directory | HashedDirectory;

export interface Objects {
  readonly hash: HashName;
  /**
   * A directory; undefined when it is not here.
   *
   * @throws FluxError EINVAL: the blob is no directory
   */
  directory(blobref: string): AnyDirectory | undefined;
  /** The bytes of a blob; undefined when they are not here. */
  blob(blobref: string): Uint8Array | undefined;
}

/**
 * Where a reference to a directory leads.
 *
 * @throws FluxError ENOTRECOVERABLE: to more than one blob, which nobody writes
 */
export function blobrefOf({ data }: Dirref): string {
  if (data.length !== 1) throw new FluxError('ENOTRECOVERABLE', `a dirref has ${data.length} blobrefs, not one`);
  return data[0]!;
}
