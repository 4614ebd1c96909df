/** What is not the same in two trees of the KVS; only directories that differ are read. */

import {
  compareNames,
  type Dir,
  type Dirref,
  encodeTreeobj,
  type Hdir,
  type Treeobj,
} from '../core/formats/treeobj.ts';

/** A key that is not in both trees, or not the same in both. */
export interface Change {
  readonly key: string;
  /** Undefined when it was added. */
  readonly before: Treeobj | undefined;
  /** Undefined when it was removed. */
  readonly after: Treeobj | undefined;
}

/** Reads the directory of a blobref. */
export type LoadDirectory = (blobref: string) => Promise<Dir | Hdir>;

/** A directory as other directories have it. */
type DirectoryEntry = Dir | Dirref;

/** The same place in both trees. */
type Pair<T> = readonly [before: T | undefined, after: T | undefined];

/**
 * The changes that lead from one tree to another, by key. Of a directory that is in one of them alone the keys in it
 * show, and itself when it is empty.
 *
 * @param key where the trees are; absent for roots
 * @throws FluxError what `load` throws
 */
export async function* differences(
  before: DirectoryEntry | undefined,
  after: DirectoryEntry | undefined,
  load: LoadDirectory,
  key = '',
): AsyncGenerator<Change, void, undefined> {
  const entries = await differingEntries([before, after], load);
  if (entries.size === 0 && !(before && after)) yield { key, before, after };
  for (const name of [...entries.keys()].sort(compareNames)) {
    const [x, y] = entries.get(name)!;
    const place = key ? `${key}.${name}` : name;
    const [valueBefore, valueAfter] = [x, y].map((object) => (isDirectory(object) ? undefined : object));
    if (valueBefore || valueAfter) yield { key: place, before: valueBefore, after: valueAfter };
    if (isDirectory(x) || isDirectory(y))
      yield* differences(isDirectory(x) ? x : undefined, isDirectory(y) ? y : undefined, load, place);
  }
}

function isDirectory(object: Treeobj | undefined): object is DirectoryEntry {
  return object?.type === 'dir' || object?.type === 'dirref';
}

/** The names whose entries differ, with both entries. */
async function differingEntries(
  [before, after]: Pair<DirectoryEntry>,
  load: LoadDirectory,
): Promise<Map<string, Pair<Treeobj>>> {
  if (before && after && isSame(before, after)) return new Map();
  const open = (entry: DirectoryEntry | undefined) => (entry?.type === 'dirref' ? load(entry.data[0]!) : entry);
  return compare(await Promise.all([open(before), open(after)]), load);
}

async function compare([a, b]: Pair<Dir | Hdir>, load: LoadDirectory): Promise<Map<string, Pair<Treeobj>>> {
  if (a?.type === 'hdir' && b?.type === 'hdir' && isSameHash(a, b)) {
    const buckets = a.data.bucket.map((bucket, i) => [bucket ?? undefined, b.data.bucket[i] ?? undefined] as const);
    const parts = await Promise.all(buckets.map((pair) => differingEntries(pair, load)));
    return new Map(parts.flatMap((part) => [...part]));
  }
  const [before, after] = await Promise.all([entriesOf(a, load), entriesOf(b, load)]);
  const result = new Map<string, Pair<Treeobj>>();
  for (const [name, object] of before) {
    const other = after.get(name);
    if (!other || !isSame(object, other)) result.set(name, [object, other]);
  }
  for (const [name, object] of after) if (!before.has(name)) result.set(name, [undefined, object]);
  return result;
}

/** Whether names are in the same buckets of both. */
function isSameHash(a: Hdir, b: Hdir): boolean {
  return a.data.func === b.data.func && a.data.size === b.data.size;
}

function isSame(a: Treeobj, b: Treeobj): boolean {
  return a.type === b.type && encodeTreeobj(a) === encodeTreeobj(b);
}

async function entriesOf(
  directory: Dir | Hdir | undefined,
  load: LoadDirectory,
): Promise<ReadonlyMap<string, Treeobj>> {
  if (directory?.type !== 'hdir') return new Map(Object.entries(directory?.data ?? {}));
  const buckets = directory.data.bucket.filter((bucket) => bucket !== null);
  const parts = await Promise.all(buckets.map(async ({ data }) => entriesOf(await load(data[0]!), load)));
  return new Map(parts.flatMap((part) => [...part]));
}
