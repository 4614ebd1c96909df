/** Directories as blobs. */

import { FluxError } from '../../core/errno.ts';
import { checkDirectory } from '../../core/formats/treeobj.ts';
import { Directory } from './directory.ts';
import { HashedDirectory } from './hashed-directory.ts';
import type { AnyDirectory } from './objects.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads a blob that a `dirref` leads to.
 *
 * @throws FluxError EINVAL: no directory
 */
export function decodeDirectory(bytes: Uint8Array): AnyDirectory {
  const object = checkDirectory(parse(bytes));
  return object.type === 'dir' ? Directory.from(object) : HashedDirectory.from(object);
}

function parse(bytes: Uint8Array) {
  try {
    return JSON.parse(utf8.decode(bytes));
  } catch (cause) {
    throw new FluxError('EINVAL', 'a blob is no JSON', { cause });
  }
}
