/**
 * Makes a new root of an old one and transactions, without waiting: where an object is missing, the caller loads it and
 * asks again.
 */

import { FluxError } from '../../core/errno.ts';
import { OperationFlag } from '../../core/formats/kvs-flags.ts';
import { normalizeKey, ROOT_KEY } from '../../core/formats/kvs-key.ts';
import type { Dir, Symlink, Treeobj } from '../../core/formats/treeobj.ts';
import { DraftDirectory, type DraftEntry, Journal } from './draft.ts';
import { bucketOf, HashedDirectory } from './hashed-directory.ts';
import { HeldObjects } from './held-objects.ts';
import { blobrefOf, type Objects } from './objects.ts';
import type { Operation } from './transaction.ts';
import { Values } from './values.ts';
import { type WriteSettings, type Written, writeDraft } from './write-draft.ts';

export interface CommitSettings extends WriteSettings {
  readonly namespace: string;
}

export interface NewRoot extends Written {
  /** Normalized keys that operations named, each once. */
  readonly keys: readonly string[];
  /** Whether nothing else was changed: false when an operation went through a symlink. */
  readonly complete: boolean;
}

export type CommitStep = { readonly missing: readonly string[] } | NewRoot;

/** An operation goes through no more symlinks than this. */
const LINKS_MAX = 64;

export class Commit {
  readonly #rootref: string;
  readonly #settings: CommitSettings;
  readonly #objects = new HeldObjects();
  readonly #values: Values;
  readonly #keys = new Set<string>();
  /** Undefined as long as nothing was changed. */
  #root: DraftDirectory | undefined;
  #complete = true;

  constructor(rootref: string, settings: CommitSettings) {
    this.#rootref = rootref;
    this.#settings = settings;
    this.#values = new Values(settings.hash, this.#objects);
  }

  /**
   * Applies a transaction, all of it or, when something is missing or it throws, nothing.
   *
   * @returns the blobrefs to load before it is called again; undefined when it is done
   * @throws FluxError EINVAL: the root itself is to be changed, or another namespace; ELOOP: symlinks lead in a circle;
   *   EPROTO: a value that is no base64, or appending what is no value; EISDIR, EOPNOTSUPP: appending to a directory, a
   *   symlink; ENOTRECOVERABLE: what is stored makes no sense
   */
  apply(operations: readonly Operation[], objects: Objects): readonly string[] | undefined {
    this.#objects.readFrom(objects);
    const journal = new Journal();
    let failure: unknown;
    try {
      for (const operation of operations) this.#applyOperation(operation, journal);
    } catch (error) {
      failure = error;
    }
    const { missing } = this.#objects;
    const isApplied = !missing && failure === undefined;
    this.#values.endTransaction(isApplied);
    if (isApplied) {
      this.#note(operations, journal);
      return undefined;
    }
    journal.undo();
    // What comes after something missing may be wrong only because of that.
    if (missing) return missing;
    throw failure;
  }

  /**
   * Writes a directory anew, which makes a hashed one plain where there are to be none.
   *
   * @param path its names, from the root
   * @returns the blobrefs to load before it is called again; undefined when it is done
   */
  touch(path: readonly string[], objects: Objects): readonly string[] | undefined {
    this.#objects.readFrom(objects);
    this.#findPlace([...path, ''], true, new Journal());
    return this.#objects.missing;
  }

  #note(operations: readonly Operation[], { followedLink }: Journal): void {
    for (const { key } of operations) this.#keys.add(normalizeKey(key));
    if (followedLink) this.#complete = false;
  }

  /**
   * The new root, and what has to be stored for it; or the blobrefs to load before it is called again.
   *
   * @throws FluxError ENOTRECOVERABLE: what is stored makes no sense
   */
  finish(objects: Objects): CommitStep {
    this.#objects.readFrom(objects);
    const written = this.#root
      ? writeDraft(this.#root, this.#objects, this.#values.blobs, this.#settings)
      : { rootref: this.#rootref, store: [], directories: new Map(), replaced: [], referred: [] };
    if (!written) return { missing: this.#objects.missing ?? [] };
    return { ...written, keys: [...this.#keys], complete: this.#complete };
  }

  #applyOperation({ key, flags, dirent }: Operation, journal: Journal): void {
    const normal = normalizeKey(key);
    if (normal === ROOT_KEY) throw new FluxError('EINVAL', 'the root directory cannot be replaced');
    const place = this.#findPlace(normal.split('.'), dirent === null, journal);
    const entry = place && this.#find(place.directory, place.name);
    if (entry === undefined) return;
    const now = this.#newEntry(entry, dirent, flags);
    if (now !== undefined && now !== entry) journal.set(place!.directory, place!.name, now);
  }

  /**
   * The directory that a key's last name is in; directories on the way are made.
   *
   * @returns undefined when something is missing, or there is nothing to be unlinked
   */
  #findPlace(
    key: readonly string[],
    isUnlink: boolean,
    journal: Journal,
  ): { directory: DraftDirectory; name: string } | undefined {
    let names = key;
    let directory = this.#openRoot();
    let links = 0;
    for (let next = 0; directory; next++) {
      const name = names[next]!;
      if (next === names.length - 1) return { directory, name };
      const entry = this.#find(directory, name);
      if (entry === undefined) return undefined;
      if (entry?.type === 'symlink') {
        if (links++ === LINKS_MAX) throw new FluxError('ELOOP', `more than ${LINKS_MAX} symlinks in a key`);
        names = this.#followLink(entry, names.slice(next + 1));
        journal.followedLink = true;
        directory = this.#openRoot();
        next = -1;
        continue;
      }
      const below = this.#openEntry(entry);
      if (below === null && isUnlink) return undefined;
      const child: DraftDirectory | undefined = below === null ? new DraftDirectory() : below;
      if (child && child !== entry) journal.set(directory, name, child);
      directory = child;
    }
    return undefined;
  }

  #openRoot(): DraftDirectory | undefined {
    const base = this.#root ? undefined : this.#objects.directory(this.#rootref);
    if (base) this.#root = new DraftDirectory(this.#rootref, base);
    return this.#root;
  }

  /** An entry as a directory; null where it is none, undefined when it is missing. */
  #openEntry(entry: DraftEntry): DraftDirectory | null | undefined {
    if (entry?.type === 'draft') return entry;
    if (entry?.type === 'dir') return this.#draftOf(entry);
    if (entry?.type !== 'dirref') return null;
    const blobref = blobrefOf(entry);
    const base = this.#objects.directory(blobref);
    return base && new DraftDirectory(blobref, base);
  }

  /** The names of a key that goes on behind a symlink. */
  #followLink({ data: { namespace, target } }: Symlink, rest: readonly string[]): readonly string[] {
    if (namespace !== undefined && namespace !== this.#settings.namespace)
      throw new FluxError('EINVAL', `a symlink leads to another namespace, ${namespace}`);
    return normalizeKey(`${target}.${rest.join('.')}`).split('.');
  }

  /** What a name stands for in a draft; null when it is not there, undefined when an object is missing. */
  #find(draft: DraftDirectory, name: string): DraftEntry | undefined {
    const changed = draft.changes.get(name);
    if (changed !== undefined) return changed;
    let directory = draft.base;
    for (let level = 0; directory instanceof HashedDirectory; level++) {
      const bucket = directory.buckets[bucketOf(name, level, directory.buckets.length)];
      if (typeof bucket !== 'string') return null;
      directory = this.#objects.directory(bucket);
      if (!directory) return undefined;
    }
    return directory?.get(name) ?? null;
  }

  /** What an entry becomes; undefined when an object is missing. */
  #newEntry(entry: DraftEntry, dirent: Treeobj | null, flags: number): DraftEntry | undefined {
    if (dirent === null) return null;
    return flags & OperationFlag.append ? this.#values.append(entry, dirent) : this.#entryOf(dirent);
  }

  /** A tree object as an entry of a draft. */
  #entryOf(object: Treeobj): DraftEntry {
    switch (object.type) {
      case 'val':
        return this.#values.entry(object);
      case 'dir':
        return this.#draftOf(object);
      case 'valref':
      case 'dirref':
      case 'symlink':
        return object;
    }
  }

  #draftOf({ data }: Dir): DraftDirectory {
    const draft = new DraftDirectory();
    for (const [name, object] of Object.entries(data)) draft.changes.set(name, this.#entryOf(object));
    return draft;
  }
}
