/**
 * Directories that were decoded, by blobref: what lookups and commits work on. Values are read from the content service,
 * which keeps them.
 *
 * Two generations: what is used is in the young one. When that is half as large, or half as old, as the cache may be, it
 * becomes the old one, and the old one is forgotten; so nothing is ever searched for what may go.
 */

import type { Clock } from '../../core/broker/service.ts';
import { type HashName, makeBlobref } from '../../core/formats/blobref.ts';
import { type JsonObject, real } from '../../core/json.ts';
import type { ContentAccess } from '../content/access.ts';
import { Tally } from '../tally.ts';
import { Directory } from './directory.ts';
import { decodeDirectory } from './directory-object.ts';
import type { AnyDirectory, Objects } from './objects.ts';

export interface CacheLimits {
  /** Bytes of the directories' blobs. */
  readonly bytes: number;
  /** Seconds that a directory is kept which nobody uses. */
  readonly age: number;
}

const defaultLimits: CacheLimits = { bytes: 256 * 1024 * 1024, age: 60 };
/** Bytes that an entry takes beside its blob. */
const ENTRY_BYTES = 256;

export class ObjectCache implements Objects {
  readonly #content: () => ContentAccess;
  readonly #clock: Clock;
  readonly #limits: CacheLimits;
  #young = new Map<string, AnyDirectory>();
  #old = new Map<string, AnyDirectory>();
  #youngBytes = 0;
  #bornAt: number;
  /** The empty directory is always here: all jobs begin with it, and it would come and go with each. */
  #empty: string | undefined;
  #loading = 0;
  #faults = 0;

  constructor(content: () => ContentAccess, clock: Clock, limits = defaultLimits) {
    this.#content = content;
    this.#clock = clock;
    this.#limits = limits;
    this.#bornAt = clock.monotonic();
  }

  get hash(): HashName {
    return this.#content().hash;
  }

  #isEmpty(blobref: string): boolean {
    this.#empty ??= makeBlobref(this.hash, Directory.empty.bytes);
    return blobref === this.#empty;
  }

  directory(blobref: string): AnyDirectory | undefined {
    if (this.#isEmpty(blobref)) return Directory.empty;
    const young = this.#young.get(blobref);
    if (young) return young;
    const old = this.#old.get(blobref) ?? this.#decode(this.#content().get(blobref));
    if (old) this.keep(blobref, old);
    return old;
  }

  #decode(bytes: Uint8Array | undefined): AnyDirectory | undefined {
    return bytes && decodeDirectory(bytes);
  }

  blob(blobref: string): Uint8Array | undefined {
    return this.#content().get(blobref);
  }

  /** Keeps a directory. */
  keep(blobref: string, directory: AnyDirectory): void {
    if (this.#young.has(blobref) || this.#isEmpty(blobref)) return;
    this.#young.set(blobref, directory);
    this.#youngBytes += directory.bytes.length + ENTRY_BYTES;
    if (this.#youngBytes > this.#limits.bytes / 2) this.#turnOver();
  }

  /** Forgets a directory: nobody will ask for it soon. */
  drop(blobref: string): void {
    const dropped = this.#young.get(blobref);
    this.#old.delete(blobref);
    if (!dropped) return;
    this.#young.delete(blobref);
    this.#youngBytes -= dropped.bytes.length + ENTRY_BYTES;
  }

  /** Lets the generations grow older; to be called now and then. */
  age(): void {
    if (this.#clock.monotonic() - this.#bornAt > this.#limits.age / 2) this.#turnOver();
  }

  #turnOver(): void {
    this.#old = this.#young;
    this.#young = new Map();
    this.#youngBytes = 0;
    this.#bornAt = this.#clock.monotonic();
  }

  /** Reads a blob from the content service; rejects with FluxError, ENOENT when there is no such blob. */
  async load(blobref: string): Promise<Uint8Array> {
    this.#loading++;
    this.#faults++;
    try {
      return await this.#content().load(blobref);
    } finally {
      this.#loading--;
    }
  }

  clearStats(): void {
    this.#faults = 0;
  }

  stats(): JsonObject {
    const sizes = new Tally();
    let bytes = 0;
    for (const directory of new Map([...this.#old, ...this.#young]).values()) {
      sizes.add(directory.bytes.length);
      bytes += directory.bytes.length;
    }
    return {
      'obj size total (MiB)': real(bytes / 1048576),
      'obj size (KiB)': sizes.inUnits(1000),
      '#obj dirty': 0,
      '#obj incomplete': this.#loading,
      '#faults': this.#faults,
    };
  }
}

/**
 * The objects of one operation that had to load some: what was loaded stays until it is done, however full the caches
 * are.
 */
export class LoadedObjects implements Objects {
  readonly #cache: ObjectCache;
  readonly #blobs = new Map<string, Uint8Array>();

  constructor(cache: ObjectCache) {
    this.#cache = cache;
  }

  get hash(): HashName {
    return this.#cache.hash;
  }

  directory(blobref: string): AnyDirectory | undefined {
    const known = this.#cache.directory(blobref);
    const bytes = known ? undefined : this.#blobs.get(blobref);
    if (!bytes) return known;
    const directory = decodeDirectory(bytes);
    this.#cache.keep(blobref, directory);
    return directory;
  }

  blob(blobref: string): Uint8Array | undefined {
    return this.#blobs.get(blobref) ?? this.#cache.blob(blobref);
  }

  /** Loads blobs; rejects with FluxError ENOENT when one is nowhere. */
  async load(blobrefs: readonly string[]): Promise<void> {
    const load = async (blobref: string) => this.#blobs.set(blobref, await this.#cache.load(blobref));
    await Promise.all(blobrefs.map(load));
  }
}
