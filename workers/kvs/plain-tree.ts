/** A tree of which no directory is hashed: what others, who know no hdir, can read. */

import type { Treeobj } from '../../core/formats/treeobj.ts';
import { Commit, type CommitSettings, type NewRoot } from './commit.ts';
import { Directory } from './directory.ts';
import { LoadedObjects, type ObjectCache } from './object-cache.ts';
import { type AnyDirectory, blobrefOf } from './objects.ts';

/**
 * Makes the hashed directories of a tree plain. It reads all directories.
 *
 * @returns the new root, which is not stored yet; undefined when none was hashed. Rejects with FluxError ENOENT when a
 *   directory is nowhere, ENOTRECOVERABLE when what is stored makes no sense
 */
export async function makePlain(
  rootref: string,
  cache: ObjectCache,
  settings: CommitSettings,
): Promise<NewRoot | undefined> {
  const paths: (readonly string[])[] = [];
  await findHashed(rootref, [], cache, paths);
  if (!paths.length) return undefined;
  const objects = new LoadedObjects(cache);
  const commit = new Commit(rootref, { ...settings, maxdirent: 0 });
  for (const path of paths)
    for (let missing = commit.touch(path, objects); missing; missing = commit.touch(path, objects))
      await objects.load(missing);
  for (;;) {
    const step = commit.finish(objects);
    if (!('missing' in step)) return step;
    await objects.load(step.missing);
  }
}

/** Adds the names that lead to hashed directories to `paths`. */
async function findHashed(
  blobref: string,
  path: readonly string[],
  cache: ObjectCache,
  paths: (readonly string[])[],
): Promise<void> {
  const directory = await load(blobref, cache);
  if (directory instanceof Directory) {
    for (const [name, entry] of directory.entries()) await findBelow(entry, [...path, name], cache, paths);
    return;
  }
  if (paths.at(-1) !== path) paths.push(path);
  for (const bucket of directory.buckets) if (bucket !== null) await findHashed(bucket, path, cache, paths);
}

async function findBelow(
  entry: Treeobj,
  path: readonly string[],
  cache: ObjectCache,
  paths: (readonly string[])[],
): Promise<void> {
  if (entry.type === 'dirref') await findHashed(blobrefOf(entry), path, cache, paths);
  if (entry.type === 'dir')
    for (const [name, below] of Object.entries(entry.data)) await findBelow(below, [...path, name], cache, paths);
}

async function load(blobref: string, cache: ObjectCache): Promise<AnyDirectory> {
  const objects = new LoadedObjects(cache);
  const directory = objects.directory(blobref);
  if (directory) return directory;
  await objects.load([blobref]);
  return objects.directory(blobref)!;
}
