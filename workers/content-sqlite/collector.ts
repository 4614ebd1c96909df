/**
 * Removes blobs to which nothing refers any more, a few at a time. It counts references from when the store was opened;
 * of what is not counted it removes nothing.
 *
 * A blob has at least as many references counted as there are: in directory objects, from the roots of namespaces, and
 * from checkpoints. A directory that takes the place of another one has not all that it refers to counted again: it takes
 * over the references of the old one, which is removed when its turn comes. Where something else refers to the old one,
 * so that it stays, both have them, and they are counted then.
 */

import { FluxError } from '../../core/errno.ts';
import { blobrefToDigest, type HashName } from '../../core/formats/blobref.ts';
import { directoryReferences, type Reference, withoutReferences } from '../../core/formats/tree-references.ts';
import { type ReferenceChange, type Replacement, readReferences } from '../content/reference-changes.ts';
import type { BlobDatabase, CountedRow } from './blob-database.ts';

export type CountedBlobs = Pick<
  BlobDatabase,
  'transaction' | 'find' | 'setReferences' | 'setRead' | 'setUnread' | 'remove'
>;

/** What the collector did, and has to do. */
export interface CollectorStats {
  readonly removed: number;
  readonly waiting: number;
}

/** References to blobs that are not there, of which so many are remembered. */
const AWAITED_MAX = 100_000;

export class Collector {
  readonly #blobs: CountedBlobs;
  readonly #hash: HashName;
  readonly #load: (blobref: string) => Uint8Array | undefined;
  readonly #changes = new Queue<ReferenceChange>();
  /** References that are no more, the next one last. */
  readonly #gone: Reference[] = [];
  /** Whether the KVS has told of anything. Before that nothing is counted. */
  #isUsed = false;
  /** Roots of the checkpoints that were made since the store was opened. */
  readonly #roots: string[] = [];
  /** Roots of checkpoints that are no more since the KVS told of changes. */
  #goneRoots: string[] = [];
  /** How many places refer to blobs that are not there; they count when somebody stores them. */
  readonly #awaited = new Map<string, number>();
  #isStopped = false;
  #removed = 0;

  /** `load` reads a blob of the store. */
  constructor(blobs: CountedBlobs, hash: HashName, load: (blobref: string) => Uint8Array | undefined) {
    this.#blobs = blobs;
    this.#hash = hash;
    this.#load = load;
  }

  get stats(): CollectorStats {
    return { removed: this.#removed, waiting: this.#changes.length + this.#gone.length };
  }

  /**
   * Takes what has changed, as bytes (`reference-changes.ts`). References that came are counted at once.
   *
   * @throws FluxError EPROTO: no changes; or what the store fails with. Nothing is removed from then on.
   */
  take(bytes: Uint8Array): void {
    if (this.#isStopped) throw new FluxError('ECANCELED', 'the backing store has missed references');
    this.#orStop(() => {
      for (const blobref of this.#goneRoots.splice(0)) this.#gone.push({ blobref, isDirectory: true });
      const early = this.#isUsed ? [] : this.#roots;
      const added = early.map((blobref): ReferenceChange => ({ kind: 'link', blobref }));
      this.#isUsed = true;
      for (const change of readReferences(this.#hash, bytes))
        if (change.kind === 'release' || change.kind === 'replacement') this.#changes.add(change);
        else added.push(change);
      if (added.length) this.#blobs.transaction(() => this.#count(added));
    });
  }

  #count(added: readonly ReferenceChange[]): void {
    for (const change of added)
      if (change.kind === 'link') this.#link(change.blobref);
      else if (change.kind === 'addition') this.#add(change.blobref);
      else if (change.kind === 'doubt') this.#doubt(change.blobref);
  }

  /** Whether `stored` is to be told of blobs. */
  get awaits(): boolean {
    return this.#awaited.size > 0;
  }

  /** Somebody has stored a blob. */
  stored(blobref: string): void {
    const references = this.#awaited.get(blobref);
    if (references === undefined) return;
    this.#orStop(() =>
      this.#blobs.transaction(() => {
        this.#awaited.delete(blobref);
        const row = this.#find(blobref);
        if (row) this.#blobs.setReferences(row, row.references + references);
        // One of them may be to a directory.
        this.#read([blobref]);
      }),
    );
  }

  /** There is a new checkpoint. */
  keepRoot(blobref: string): void {
    this.#roots.push(blobref);
    if (this.#isUsed) this.#orStop(() => this.#blobs.transaction(() => this.#link(blobref)));
  }

  /** A checkpoint is no more. */
  releaseRoot(blobref: string): void {
    const index = this.#roots.indexOf(blobref);
    if (index < 0) return;
    this.#roots.splice(index, 1);
    if (this.#isUsed) this.#goneRoots.push(blobref);
  }

  /**
   * Does some of what is to be done, in one transaction, until `isEnough`.
   *
   * @returns whether there is more to do
   * @throws FluxError what the store fails with. Nothing is removed from then on.
   */
  step(isEnough: () => boolean): boolean {
    this.#orStop(() => this.#blobs.transaction(() => this.#work(isEnough)));
    return this.#hasWork;
  }

  get #hasWork(): boolean {
    return this.#gone.length > 0 || this.#changes.length > 0;
  }

  #work(isEnough: () => boolean): void {
    while (this.#hasWork && !isEnough()) {
      const gone = this.#gone.pop();
      if (gone) this.#release(gone);
      else this.#apply(this.#changes.next()!);
    }
  }

  /** Whoever may have missed a change removes nothing more. */
  #orStop(action: () => void): void {
    if (this.#isStopped) return;
    try {
      action();
    } catch (error) {
      this.stop();
      throw error;
    }
  }

  /** Removes nothing any more. */
  stop(): void {
    this.#isStopped = true;
    this.#changes.clear();
    this.#gone.length = 0;
    this.#awaited.clear();
  }

  // ---- one change

  #apply(change: ReferenceChange): void {
    if (change.kind === 'release') this.#release({ blobref: change.blobref, isDirectory: true });
    else if (change.kind === 'replacement') this.#replace(change);
  }

  #replace({ old, removed }: Replacement): void {
    const row = this.#find(old);
    if (!row) return;
    if (row.references === 1) {
      this.#remove(row);
      this.#gone.push(...removed);
      return;
    }
    this.#blobs.setReferences(row, row.references - 1);
    const references = this.#referencesOf(old);
    if (!references) throw new FluxError('EINVAL', `${old} was replaced as a directory, and is none`);
    for (const { blobref } of withoutReferences(references, removed)) this.#add(blobref);
  }

  #release({ blobref, isDirectory }: Reference): void {
    const row = this.#find(blobref);
    if (!row) return;
    if (row.references > 1) {
      this.#blobs.setReferences(row, row.references - 1);
      return;
    }
    if (isDirectory) for (const reference of this.#referencesOf(blobref) ?? []) this.#gone.push(reference);
    this.#remove(row);
  }

  #add(blobref: string): void {
    const row = this.#find(blobref);
    if (row) this.#blobs.setReferences(row, row.references + 1);
    else this.#await(blobref);
  }

  #await(blobref: string): void {
    this.#awaited.set(blobref, (this.#awaited.get(blobref) ?? 0) + 1);
    if (this.#awaited.size > AWAITED_MAX) throw new FluxError('EOVERFLOW', 'too many blobs are missing');
  }

  #link(blobref: string): void {
    this.#add(blobref);
    this.#read([blobref]);
  }

  /** Counts references of directories, and of those below them, that nobody has counted. */
  #read(directories: string[]): void {
    for (let next = directories.pop(); next !== undefined; next = directories.pop()) {
      const row = this.#find(next);
      if (!row?.isUnread) continue;
      this.#blobs.setRead(row);
      for (const reference of this.#referencesOf(next) ?? []) {
        this.#add(reference.blobref);
        if (reference.isDirectory) directories.push(reference.blobref);
      }
    }
  }

  #doubt(blobref: string): void {
    const row = this.#find(blobref);
    if (row) this.#blobs.setUnread(row);
  }

  #remove(row: CountedRow): void {
    this.#blobs.remove(row);
    this.#removed++;
  }

  #find(blobref: string): CountedRow | undefined {
    const { hash, digest } = blobrefToDigest(blobref);
    return hash === this.#hash ? this.#blobs.find(digest) : undefined;
  }

  /** To what a directory refers; undefined for a blob that is none. */
  #referencesOf(blobref: string): readonly Reference[] | undefined {
    const bytes = this.#load(blobref);
    return bytes && directoryReferences(bytes);
  }
}

/** First in, first out. */
class Queue<T> {
  #items: T[] = [];
  #first = 0;

  get length(): number {
    return this.#items.length - this.#first;
  }

  add(item: T): void {
    this.#items.push(item);
  }

  next(): T | undefined {
    const item = this.#items[this.#first++];
    if (this.#first >= this.#items.length) this.clear();
    return item;
  }

  clear(): void {
    this.#items = [];
    this.#first = 0;
  }
}
