/** Turns drafts into blobs: what a commit changed is written, hashed, and split where it has become too large. */

import { type HashName, makeBlobref } from '../../core/formats/blobref.ts';
import { type Reference, referencesOf, withoutReferences } from '../../core/formats/tree-references.ts';
import { compareNames, makeDirref, type Treeobj } from '../../core/formats/treeobj.ts';
import type { Replacement } from '../content/reference-changes.ts';
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
  /** New blobs, children before parents; each as often as new places refer to it. */
  readonly store: readonly (readonly [blobref: string, bytes: Uint8Array])[];
  /** The directories among them. */
  readonly directories: ReadonlyMap<string, AnyDirectory>;
  /** Directories that others have taken the place of, parents before children. */
  readonly replaced: readonly Replacement[];
  /** References that are new, to what is not: operations brought them along. */
  readonly referred: readonly Reference[];
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

/** A directory in the making, and to what those that it replaces referred and it does not. */
interface Changed {
  readonly directory: AnyDirectory;
  readonly removed: readonly Reference[];
}

class Writer {
  readonly #objects: HeldObjects;
  readonly #values: ReadonlyMap<string, Uint8Array>;
  readonly #settings: WriteSettings;
  readonly #blobrefs = new Map<DraftDirectory, string>();
  readonly #store: [blobref: string, bytes: Uint8Array][] = [];
  readonly #directories = new Map<string, AnyDirectory>();
  /** Children before parents. */
  readonly #replaced: Replacement[] = [];
  readonly #referred: Reference[] = [];
  /** Entries that stand for directories that were written, and what those were before. */
  readonly #origins = new Map<Treeobj, string | undefined>();

  constructor(objects: HeldObjects, values: ReadonlyMap<string, Uint8Array>, settings: WriteSettings) {
    this.#objects = objects;
    this.#values = values;
    this.#settings = settings;
  }

  /** Writes a draft; those in it must have been written before. */
  write(draft: DraftDirectory): void {
    const changes = Array.from(draft.changes, ([name, entry]): Change => {
      return [name, entry instanceof DraftDirectory ? this.#entryOf(entry) : (entry ?? undefined)];
    });
    if (changes.length > 1) changes.sort(([a], [b]) => compareNames(a, b));
    const changed = this.#change(draft.base ?? Directory.empty, changes, 0);
    if (changed) this.#blobrefs.set(draft, this.#keep(changed, draft.blobref));
  }

  #entryOf(draft: DraftDirectory): Treeobj {
    const entry = makeDirref(this.#blobrefs.get(draft) ?? '');
    this.#origins.set(entry, draft.blobref);
    return entry;
  }

  finish(root: DraftDirectory): Written {
    return {
      rootref: this.#blobrefs.get(root)!,
      store: this.#store,
      directories: this.#directories,
      replaced: this.#replaced.reverse(),
      referred: this.#referred,
    };
  }

  /** The blobref of a directory, which is stored if it is not what it was. */
  #keep({ directory, removed }: Changed, before?: string | null): string {
    const blobref = makeBlobref(this.#settings.hash, directory.bytes);
    if (blobref === before) return blobref;
    this.#store.push([blobref, directory.bytes]);
    this.#directories.set(blobref, directory);
    if (before) this.#replaced.push({ old: before, removed });
    return blobref;
  }

  /** A directory with changes, which are sorted; undefined when an object is missing. */
  #change(base: AnyDirectory, changes: readonly Change[], level: number): Changed | undefined {
    const isToBePlain = base instanceof HashedDirectory && !this.#settings.maxdirent;
    if (!changes.length && !isToBePlain) return { directory: base, removed: [] };
    if (base instanceof Directory) return this.#changePlain(base, changes, level);
    if (!isToBePlain) return this.#changeHashed(base, changes, level);
    const plain = this.#flatten(base);
    // Which of its parts referred to what was removed is not known here, and that may stay.
    return plain && { ...this.#changePlain(plain, changes, level), removed: [] };
  }

  #changePlain(base: Directory, changes: readonly Change[], level: number): Changed {
    const removed: Reference[] = [];
    for (const [name, object] of changes) removed.push(...this.#replace(base.get(name), object));
    return { directory: this.#split(base.with(changes), level), removed };
  }

  /** Stores the new blobs that an entry refers to now, and returns the references that are no more. */
  #replace(before: Treeobj | undefined, now: Treeobj | undefined): readonly Reference[] {
    if (now && this.#origins.has(now)) return this.#replaceByDraft(before, this.#origins.get(now));
    // What is appended to a long list is soon found.
    const start = before?.type === 'valref' && now?.type === 'valref' ? commonStart(before.data, now.data) : 0;
    const old = before ? referencesOf(before, start) : [];
    const current = now ? referencesOf(now, start) : [];
    for (const reference of withoutReferences(current, old)) {
      const bytes = reference.isDirectory ? undefined : this.#values.get(reference.blobref);
      if (bytes) this.#store.push([reference.blobref, bytes]);
      else this.#referred.push(reference);
    }
    return withoutReferences(old, current);
  }

  /** The same where a directory was written, which was the origin before, in this place or in another one. */
  #replaceByDraft(before: Treeobj | undefined, origin: string | undefined): readonly Reference[] {
    if (before?.type === 'dirref' && before.data[0] === origin) return [];
    if (origin !== undefined) this.#referred.push({ blobref: origin, isDirectory: true });
    return before ? referencesOf(before) : [];
  }

  /** A directory, hashed if it is too large. */
  #split(directory: Directory, level: number): AnyDirectory {
    const { maxdirent } = this.#settings;
    if (!maxdirent || directory.size <= maxdirent || level === LEVELS_MAX) return directory;
    const buckets = emptyBuckets();
    for (const [index, entries] of inBuckets(directory.entries(), level, buckets.length)) {
      const directory = this.#split(Directory.empty.with(entries), level + 1);
      buckets[index] = this.#keep({ directory, removed: [] });
    }
    return new HashedDirectory(buckets);
  }

  #changeHashed(base: HashedDirectory, changes: readonly Change[], level: number): Changed | undefined {
    const changed = new Map<number, Changed>();
    for (const [index, group] of inBuckets(changes, level, base.buckets.length)) {
      const blobref = base.buckets[index];
      const bucket = typeof blobref === 'string' ? this.#objects.directory(blobref) : Directory.empty;
      const now = bucket && this.#change(bucket, group, level + 1);
      if (now) changed.set(index, now);
    }
    if (this.#objects.missing) return undefined;
    if (changes.some(([, object]) => !object)) {
      const plain = this.#shrink(base, changed);
      if (plain || this.#objects.missing) return plain && { directory: plain, removed: [] };
    }
    const buckets = [...base.buckets];
    for (const [index, bucket] of changed) buckets[index] = this.#keepBucket(bucket, buckets[index]!);
    return { directory: new HashedDirectory(buckets), removed: [] };
  }

  /** The blobref of a bucket; an empty one has none. */
  #keepBucket(bucket: Changed, before: string | null): string | null {
    if (!(bucket.directory instanceof Directory) || bucket.directory.size) return this.#keep(bucket, before);
    if (before !== null) this.#replaced.push({ old: before, removed: bucket.removed });
    return null;
  }

  /**
   * A hashed directory as a plain one, if it has become small; undefined if not, or when an object is missing.
   *
   * @param changed buckets that are not those of the hashed directory any more, by index
   */
  #shrink({ buckets }: HashedDirectory, changed: ReadonlyMap<number, Changed>): Directory | undefined {
    const limit = this.#settings.maxdirent / 2;
    const parts: Directory[] = [];
    const absent: string[] = [];
    let size = 0;
    for (const [index, blobref] of buckets.entries()) {
      const bucket =
        changed.get(index)?.directory ?? (blobref === null ? Directory.empty : this.#objects.peekDirectory(blobref));
      // What is at hand mostly suffices to see that there are too many.
      if (bucket instanceof HashedDirectory) return undefined;
      if (bucket) parts.push(bucket);
      else absent.push(blobref!);
      size += bucket?.size ?? 0;
      if (size >= limit) return undefined;
    }
    for (const blobref of absent) this.#objects.directory(blobref);
    if (absent.length) return undefined;
    for (const [index, old] of buckets.entries())
      if (old !== null) this.#replaced.push({ old, removed: changed.get(index)?.removed ?? [] });
    return joined(parts);
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
    if (this.#objects.missing) return undefined;
    for (const old of blobrefs.reverse()) if (old !== null) this.#replaced.push({ old, removed: [] });
    return joined(parts);
  }
}

/** Directories as one. */
function joined(parts: readonly Directory[]): Directory {
  const entries = parts.flatMap((part) => part.entries());
  return Directory.empty.with(entries.sort(([a], [b]) => compareNames(a, b)));
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

/** How many blobrefs two lists have in common at their beginning. */
function commonStart(a: readonly string[], b: readonly string[]): number {
  let start = 0;
  while (start < a.length && a[start] === b[start]) start++;
  return start;
}
