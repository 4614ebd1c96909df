/** Turns drafts into blobs: what a commit changed is written, hashed, and split where it has become too large. */

import { type HashName, makeBlobref } from '../../core/formats/blobref.ts';
import { compareNames, makeDirref, type Treeobj } from '../../core/formats/treeobj.ts';
import { type Change, Directory } from './directory.ts';
import { DraftDirectory } from './draft.ts';
import { bucketOf, emptyBuckets, HashedDirectory, LEVELS_MAX } from './hashed-directory.ts';
import type { HeldObjects } from './held-objects.ts';
import type { AnyDirectory } from './objects.ts';

export interface WriteSettings {
  readonly hash: HashName;
  /** Entries of a directory beyond which it is hashed; 0: none ever is. */
  readonly maxdirent: number;
}

/** What was written. */
export interface Written {
  readonly rootref: string;
  /** New blobs, children before parents. */
  readonly store: readonly (readonly [blobref: string, bytes: Uint8Array])[];
  /** The directories among them. */
  readonly directories: ReadonlyMap<string, AnyDirectory>;
  /** Blobrefs of directories and values to which the new root leads no more from where the old one did. */
  readonly replaced: readonly string[];
}

/**
 * Writes a root directory and all below it that was changed.
 *
 * @param values blobs that entries of the drafts may refer to and that are not stored yet
 * @returns undefined when an object is missing, which `objects` then tells
 */
export function writeDraft(
  root: DraftDirectory,
  objects: HeldObjects,
  values: ReadonlyMap<string, Uint8Array>,
  settings: WriteSettings,
): Written | undefined {
  const writer = new Writer(objects, values, settings);
  // Not recursive: keys may have more names than the stack has room for.
  const drafts = [root];
  for (const draft of drafts)
    for (const entry of draft.changes.values()) if (entry instanceof DraftDirectory) drafts.push(entry);
  for (const draft of drafts.reverse()) writer.write(draft);
  return objects.missing ? undefined : writer.finish(root);
}

class Writer {
  readonly #objects: HeldObjects;
  readonly #values: ReadonlyMap<string, Uint8Array>;
  readonly #settings: WriteSettings;
  readonly #blobrefs = new Map<DraftDirectory, string>();
  readonly #store = new Map<string, Uint8Array>();
  readonly #directories = new Map<string, AnyDirectory>();
  readonly #replaced = new Set<string>();

  constructor(objects: HeldObjects, values: ReadonlyMap<string, Uint8Array>, settings: WriteSettings) {
    this.#objects = objects;
    this.#values = values;
    this.#settings = settings;
  }

  /** Writes a draft; those in it must have been written before. */
  write(draft: DraftDirectory): void {
    const changes = Array.from(draft.changes, ([name, entry]): Change => {
      if (entry instanceof DraftDirectory) return [name, makeDirref(this.#blobrefs.get(entry) ?? '')];
      return [name, entry ?? undefined];
    });
    if (changes.length > 1) changes.sort(([a], [b]) => compareNames(a, b));
    const directory = this.#change(draft.base ?? Directory.empty, changes, 0);
    if (directory) this.#blobrefs.set(draft, this.#keep(directory, draft.blobref));
  }

  finish(root: DraftDirectory): Written {
    for (const blobref of this.#store.keys()) this.#replaced.delete(blobref);
    return {
      rootref: this.#blobrefs.get(root)!,
      store: [...this.#store],
      directories: this.#directories,
      replaced: [...this.#replaced],
    };
  }

  /** The blobref of a directory, which is stored if it is not what it was. */
  #keep(directory: AnyDirectory, before?: string | null): string {
    const blobref = makeBlobref(this.#settings.hash, directory.bytes);
    if (blobref === before) return blobref;
    this.#store.set(blobref, directory.bytes);
    this.#directories.set(blobref, directory);
    if (before) this.#replaced.add(before);
    return blobref;
  }

  /** A directory with changes, which are sorted; undefined when an object is missing. */
  #change(base: AnyDirectory, changes: readonly Change[], level: number): AnyDirectory | undefined {
    if (!changes.length) return base;
    if (base instanceof Directory) return this.#changePlain(base, changes, level);
    if (this.#settings.maxdirent) return this.#changeHashed(base, changes, level);
    const plain = this.#flatten(base);
    return plain && this.#changePlain(plain, changes, level);
  }

  #changePlain(base: Directory, changes: readonly Change[], level: number): AnyDirectory {
    for (const [name, object] of changes) this.#replace(base.get(name), object);
    return this.#split(base.with(changes), level);
  }

  /** Notes what an entry referred to, and stores the new blobs that it refers to now. */
  #replace(before: Treeobj | undefined, now: Treeobj | undefined): void {
    const old = blobrefsOf(before);
    const current = blobrefsOf(now);
    // What is appended to a long list is soon found.
    let from = 0;
    while (from < old.length && old[from] === current[from]) from++;
    for (const blobref of without(old.slice(from), current)) this.#replaced.add(blobref);
    for (const blobref of without(current.slice(from), old)) {
      const bytes = this.#values.get(blobref);
      if (bytes) this.#store.set(blobref, bytes);
    }
  }

  /** A directory, hashed if it is too large. */
  #split(directory: Directory, level: number): AnyDirectory {
    const { maxdirent } = this.#settings;
    if (!maxdirent || directory.size <= maxdirent || level === LEVELS_MAX) return directory;
    const buckets = emptyBuckets();
    for (const [index, entries] of inBuckets(directory.entries(), level, buckets.length))
      buckets[index] = this.#keep(this.#split(Directory.empty.with(entries), level + 1));
    return new HashedDirectory(buckets);
  }

  #changeHashed(base: HashedDirectory, changes: readonly Change[], level: number): AnyDirectory | undefined {
    const changed = new Map<number, AnyDirectory>();
    for (const [index, group] of inBuckets(changes, level, base.buckets.length)) {
      const blobref = base.buckets[index];
      const bucket = typeof blobref === 'string' ? this.#objects.directory(blobref) : Directory.empty;
      const now = bucket && this.#change(bucket, group, level + 1);
      if (now) changed.set(index, now);
    }
    if (this.#objects.missing) return undefined;
    if (changes.some(([, object]) => !object)) {
      const plain = this.#shrink(base, changed);
      if (plain || this.#objects.missing) return plain;
    }
    const buckets = [...base.buckets];
    for (const [index, bucket] of changed) buckets[index] = this.#keepBucket(bucket, buckets[index]!);
    return new HashedDirectory(buckets);
  }

  /** The blobref of a bucket; an empty one has none. */
  #keepBucket(bucket: AnyDirectory, before: string | null): string | null {
    if (!(bucket instanceof Directory) || bucket.size) return this.#keep(bucket, before);
    if (before !== null) this.#replaced.add(before);
    return null;
  }

  /**
   * A hashed directory as a plain one, if it has become small; undefined if not, or when an object is missing.
   *
   * @param changed buckets that are not those of the hashed directory any more, by index
   */
  #shrink({ buckets }: HashedDirectory, changed: ReadonlyMap<number, AnyDirectory>): Directory | undefined {
    const limit = this.#settings.maxdirent / 2;
    const parts: Directory[] = [];
    const absent: string[] = [];
    let size = 0;
    for (const [index, blobref] of buckets.entries()) {
      const bucket = changed.get(index) ?? (blobref === null ? Directory.empty : this.#objects.peekDirectory(blobref));
      // What is at hand mostly suffices to see that there are too many.
      if (bucket instanceof HashedDirectory) return undefined;
      if (bucket) parts.push(bucket);
      else absent.push(blobref!);
      size += bucket?.size ?? 0;
      if (size >= limit) return undefined;
    }
    for (const blobref of absent) this.#objects.directory(blobref);
    return absent.length ? undefined : this.#joined(parts, buckets);
  }

  /** A hashed directory as a plain one; undefined when an object is missing. */
  #flatten(base: HashedDirectory): Directory | undefined {
    const parts: Directory[] = [];
    const blobrefs = [...base.buckets];
    for (const blobref of blobrefs) {
      const directory = blobref === null ? Directory.empty : this.#objects.directory(blobref);
      if (directory instanceof Directory) parts.push(directory);
      else for (const bucket of directory?.buckets ?? []) blobrefs.push(bucket);
    }
    return this.#objects.missing ? undefined : this.#joined(parts, blobrefs);
  }

  /** Directories as one, that replaces others. */
  #joined(parts: readonly Directory[], replaced: readonly (string | null)[]): Directory {
    for (const blobref of replaced) if (blobref !== null) this.#replaced.add(blobref);
    const entries = parts.flatMap((part) => part.entries());
    return Directory.empty.with(entries.sort(([a], [b]) => compareNames(a, b)));
  }
}

/** Entries by the bucket they are in, in their order. */
function inBuckets<T extends readonly [name: string, object: unknown]>(
  entries: readonly T[],
  level: number,
  count: number,
): Map<number, T[]> {
  const groups = new Map<number, T[]>();
  for (const entry of entries) {
    const index = bucketOf(entry[0], level, count);
    const group = groups.get(index);
    if (group) group.push(entry);
    else groups.set(index, [entry]);
  }
  return groups;
}

/** What an entry refers to. */
function blobrefsOf(object: Treeobj | undefined): readonly string[] {
  return object?.type === 'valref' || object?.type === 'dirref' ? object.data : [];
}

/** Those in a list that are not in another one. */
function without(list: readonly string[], others: readonly string[]): readonly string[] {
  if (list.length === 1) return others.includes(list[0]!) ? [] : list;
  const known = new Set(list.length ? others : []);
  return list.filter((each) => !known.has(each));
}
