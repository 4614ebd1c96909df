/** Directories of the KVS with all that is below them, at one moment. */

import type { Treeobj } from '../core/formats/treeobj.ts';
import type { Kvs } from '../core/handle/kvs.ts';
import { ahead } from './kvs-ahead.ts';

/** A directory with what is in it, sorted by name. */
export interface Listing {
  readonly key: string;
  readonly entries: ReadonlyMap<string, Treeobj>;
}

/** The directories in a directory, in their order; some are read ahead. */
export function subdirectories(kvs: Kvs, { key, entries }: Listing): AsyncGenerator<Listing, void, undefined> {
  const directories = [...entries].filter(([, value]) => isDirectory(value));
  return ahead(directories, async ([name, value]) => {
    const place = keyIn(key, name);
    return { key: place, entries: await kvs.readdir('.', { at: value }) };
  });
}

export function isDirectory({ type }: Treeobj): boolean {
  return type === 'dir' || type === 'dirref';
}

/** The key of a name in a directory. */
export function keyIn(directory: string, name: string): string {
  if (directory === '.') return name;
  return directory.endsWith('.') ? directory + name : `${directory}.${name}`;
}
