/** What must hold of all that a root leads to. */

import assert from 'node:assert/strict';
import { FluxError } from '../../../core/errno.ts';
import { compareNames } from '../../../core/formats/treeobj.ts';
import { Directory } from '../../../workers/kvs/directory.ts';
import { decodeDirectory } from '../../../workers/kvs/directory-object.ts';
import { bucketOf } from '../../../workers/kvs/hashed-directory.ts';
import type { AnyDirectory } from '../../../workers/kvs/objects.ts';
import type { MemoryStore } from './memory-store.ts';

/** Those of some blobs, and of all to which they lead. */
export function reachable(store: MemoryStore, blobrefs: readonly string[]): Set<string> {
  const reached = new Set(blobrefs);
  for (const blobref of reached)
    for (const child of childrenOf(directoryOrValue(store.blobs.get(blobref)!))) reached.add(child);
  return reached;
}

function directoryOrValue(bytes: Uint8Array): AnyDirectory | undefined {
  try {
    return decodeDirectory(bytes);
  } catch (error) {
    if (error instanceof FluxError) return undefined;
    throw error;
  }
}

function childrenOf(directory: AnyDirectory | undefined): readonly string[] {
  if (!directory) return [];
  if (!(directory instanceof Directory)) return directory.buckets.filter((bucket) => bucket !== null);
  return directory.entries().flatMap(([, { type, data }]) => (type === 'valref' || type === 'dirref' ? data : []));
}

/** Directories are as large as they may be, and entries where they are looked for. */
export function checkTree(store: MemoryStore): void {
  const { maxdirent } = store;
  const check = (blobref: string, level: number): readonly string[] => {
    const directory = decodeDirectory(store.blobs.get(blobref)!);
    assert.equal(directory.bytes.toString(), store.text(blobref));
    if (directory instanceof Directory) {
      assert.deepEqual(directory.names, [...new Set(directory.names)].sort(compareNames));
      assert.ok(maxdirent === 0 || directory.size <= maxdirent, 'a directory is too large');
      for (const [, object] of directory.entries()) if (object.type === 'dirref') check(object.data[0]!, 0);
      return directory.names;
    }
    const buckets = directory.buckets.map((bucket) => (bucket === null ? [] : check(bucket, level + 1)));
    for (const [index, names] of buckets.entries()) {
      assert.equal(names.length === 0, directory.buckets[index] === null, 'a bucket is empty');
      for (const name of names) assert.equal(bucketOf(name, level, buckets.length), index);
    }
    assert.ok(maxdirent > 0 && buckets.flat().length >= maxdirent / 2, 'a directory is hashed though it is small');
    return buckets.flat();
  };
  check(store.rootref, 0);
}
