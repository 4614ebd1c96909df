/**
 * Keys in dumps: the names that lead to one are joined by slashes, as those of files are. Where names have slashes
 * themselves, a pax record of our own says what they are; other programs take no notice of it.
 */

import { FluxError } from '../core/errno.ts';
import { parseJson } from '../core/formats/jansson.ts';
import type { TarHeader } from '../core/formats/tar.ts';
import type { TreePath } from './tree-walk.ts';

/** Its value is the list of names as JSON. */
export const KEY_RECORD = 'FLUX.key';

/** Whether a path as a tar archive has it would be read as another key. */
export function needsKeyRecord(path: TreePath): boolean {
  return path.some((name) => name === '' || name === '.' || name.includes('/') || name.includes('\0'));
}

/**
 * The key of an entry in an archive. Of a path, empty parts and `.` count for nothing.
 *
 * @throws FluxError EINVAL: the entry has no name, or its path has `..` in it
 */
export function keyOfEntry({ path, records }: TarHeader): TreePath {
  const record = records?.get(KEY_RECORD);
  const names = record === undefined ? pathNames(path) : parseJson(record);
  const isKey = Array.isArray(names) && names.length && names.every((name) => typeof name === 'string');
  if (!isKey) throw new FluxError('EINVAL', `'${record ?? path}' is no key`);
  return names;
}

function pathNames(path: string): string[] {
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  if (names.includes('..')) throw new FluxError('EINVAL', `${path}: a key has no '..'`);
  return names;
}
