/**
 * Blobs in memory, in front of a backing store: what was read or stored lately, and what is not stored yet.
 *
 * What the store has goes when it is old and the cache is large, the least recently used first, and in any case when the
 * cache is full. What it does not have stays.
 */

import type { Clock, Timer } from '../../core/broker/service.ts';
import { asFluxError, FluxError } from '../../core/errno.ts';
import type { Backing, LoadedBlob } from './backing.ts';
import { Deferred } from './deferred.ts';
import { EntryList } from './entry-list.ts';
import { type CacheSettings, weight } from './settings.ts';
import { type Writable, WriteBehind } from './write-behind.ts';

/** Its bytes are absent while it is loaded. */
interface Entry extends Writable<Entry> {
  readonly loading: Deferred<Uint8Array> | undefined;
  /** It may go: it has bytes, and the store has them too or somebody has them in a file. */
  isClean: boolean;
  isEphemeral: boolean;
  /** Seconds on the monotonic clock. */
  lastUsed: number;
}

export interface CacheOptions {
  readonly clock: Clock;
  readonly settings: CacheSettings;
  readonly isWriteThrough: boolean;
  /** Reads a blob that is part of a mapped file; undefined when it is in none. */
  mapped(blobref: string): Promise<Uint8Array> | undefined;
  /** Stores have begun to fail. */
  failing(error: FluxError): void;
  /** A blob is stored once for several who stored it. */
  joined?(blobref: string): void;
}

export interface CacheStats {
  /** Blobs that are here or on their way. */
  readonly count: number;
  readonly valid: number;
  readonly dirty: number;
  /** Bytes of all that is here. */
  readonly size: number;
  readonly storing: number;
}

/** Blobs that go for their age in one turn, so that nobody waits for a million of them. */
const PURGE_MAX = 1000;

export class ContentCache {
  readonly #options: CacheOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #clean = new EntryList<Entry>();
  readonly #dirty: WriteBehind<Entry>;
  #backing: Backing | undefined;
  #valid = 0;
  #size = 0;
  #cleanSize = 0;
  #purgeTimer: Timer | undefined;

  constructor(options: CacheOptions) {
    this.#options = options;
    const { clock, settings, isWriteThrough } = options;
    this.#dirty = new WriteBehind({
      clock,
      settings,
      isWriteThrough,
      stored: (entry) => this.#makeClean(entry),
      failing: (error) => options.failing(error),
    });
  }

  get stats(): CacheStats {
    const { count: dirty, storing } = this.#dirty;
    return { count: this.#entries.size, valid: this.#valid, dirty, size: this.#size, storing };
  }

  get backing(): Backing | undefined {
    return this.#backing;
  }

  /** There is a backing store now; what is dirty goes there. */
  attach(backing: Backing): void {
    this.#backing = backing;
    this.#dirty.attach(backing);
  }

  /** There is no backing store any more; what it does not have stays here. */
  detach(): void {
    this.#backing = undefined;
    this.#dirty.detach();
  }

  // ---- reading

  /** A blob that is here. */
  get(blobref: string): Uint8Array | undefined {
    const entry = this.#entries.get(blobref);
    if (entry?.isClean) this.#touch(entry);
    return entry?.bytes;
  }

  /** Whether a blob that is here is in no store, but in a file that somebody mapped. */
  isEphemeral(blobref: string): boolean {
    return this.#entries.get(blobref)?.isEphemeral ?? false;
  }

  /**
   * Reads a blob; all who read one at the same time share one request.
   *
   * @returns rejects with FluxError ENOENT when there is none, or with what reading it failed with
   */
  load(blobref: string): Promise<Uint8Array> {
    const bytes = this.get(blobref);
    if (bytes) return Promise.resolve(bytes);
    const loading = this.#entries.get(blobref)?.loading;
    if (loading) return loading.promise;
    const mapped = this.#options.mapped(blobref);
    if (!mapped && !this.#backing) return Promise.reject(new FluxError('ENOENT'));
    const entry = this.#insert(blobref, new Deferred());
    void this.#fill(
      entry,
      mapped?.then((part) => ({ bytes: part, isEphemeral: true })) ?? this.#backing!.load(blobref),
    );
    return entry.loading!.promise;
  }

  async #fill(entry: Entry, source: Promise<LoadedBlob>): Promise<void> {
    try {
      const { bytes, isEphemeral } = await source;
      // It may have been stored meanwhile.
      if (entry.bytes) return;
      entry.isEphemeral = isEphemeral;
      this.#setBytes(entry, bytes);
      this.#makeClean(entry);
    } catch (error) {
      if (entry.bytes) return;
      this.#entries.delete(entry.blobref);
      entry.loading!.reject(loadError(error));
    }
  }

  // ---- storing

  /**
   * Keeps a blob and stores it behind.
   *
   * @param isCounted by the KVS, which tells of references
   * @returns a promise when who gives it is to wait before giving more; it rejects with what storing failed with
   */
  store(blobref: string, bytes: Uint8Array, isCounted = false): void | Promise<void> {
    if (bytes.length > this.#options.settings.blobSizeLimit)
      return Promise.reject(new FluxError('EFBIG', `a blob has at most ${this.#options.settings.blobSizeLimit} bytes`));
    let entry = this.#entries.get(blobref);
    if (!entry?.generation) {
      const refusal = this.#dirty.refusal();
      if (refusal) return Promise.reject(refusal);
    }
    entry ??= this.#insert(blobref, undefined);
    if (entry.generation) this.#options.joined?.(blobref);
    else entry.isCounted = isCounted;
    if (!entry.bytes) this.#setBytes(entry, bytes);
    // What is here already is stored again, which tells garbage collection that it is in use.
    else if (entry.isClean) this.#takeFromClean(entry);
    entry.isEphemeral = false;
    return this.#dirty.add(entry);
  }

  /** Resolves when all that is dirty now is stored. */
  flush(): Promise<void> {
    return this.#dirty.flush();
  }

  // ---- entries

  #insert(blobref: string, loading: Deferred<Uint8Array> | undefined): Entry {
    const entry: Entry = {
      blobref,
      bytes: undefined,
      loading,
      isClean: false,
      isEphemeral: false,
      isCounted: false,
      lastUsed: 0,
      generation: undefined,
      waiting: undefined,
      older: undefined,
      newer: undefined,
    };
    this.#entries.set(blobref, entry);
    return entry;
  }

  #setBytes(entry: Entry, bytes: Uint8Array): void {
    entry.bytes = bytes;
    this.#valid++;
    this.#size += bytes.length;
    entry.loading?.resolve(bytes);
  }

  #makeClean(entry: Entry): void {
    entry.isClean = true;
    entry.lastUsed = this.#options.clock.monotonic();
    this.#clean.add(entry);
    this.#cleanSize += weight(entry.bytes!);
    this.#purge();
  }

  #touch(entry: Entry): void {
    entry.lastUsed = this.#options.clock.monotonic();
    this.#clean.remove(entry);
    this.#clean.add(entry);
  }

  #takeFromClean(entry: Entry): void {
    entry.isClean = false;
    this.#clean.remove(entry);
    this.#cleanSize -= weight(entry.bytes!);
  }

  #evict(entry: Entry): void {
    this.#takeFromClean(entry);
    this.#entries.delete(entry.blobref);
    this.#valid--;
    this.#size -= entry.bytes!.length;
  }

  // ---- what goes

  /** Drops all that may go, and returns how many blobs that were. */
  drop(): number {
    const before = this.#entries.size;
    for (let entry = this.#clean.oldest; entry; entry = this.#clean.oldest) this.#evict(entry);
    return before - this.#entries.size;
  }

  #purge(): void {
    const { cleanSizeLimit, purgeOldEntry } = this.#options.settings;
    while (this.#cleanSize > cleanSizeLimit) this.#evict(this.#clean.oldest!);
    if (this.#isLarge) this.#purgeTimer ??= this.#options.clock.after(purgeOldEntry, () => this.#purgeOld());
  }

  get #isLarge(): boolean {
    return (
      this.#clean.oldest !== undefined && this.#cleanSize + this.#dirty.size > this.#options.settings.purgeTargetSize
    );
  }

  #purgeOld(): void {
    const { clock, settings } = this.#options;
    this.#purgeTimer = undefined;
    const now = clock.monotonic();
    for (let purged = 0; this.#isLarge; purged++) {
      const oldest = this.#clean.oldest!;
      const rest = settings.purgeOldEntry - (now - oldest.lastUsed);
      if (rest > 0 || purged === PURGE_MAX) {
        this.#purgeTimer = clock.after(Math.max(rest, 0), () => this.#purgeOld());
        return;
      }
      this.#evict(oldest);
    }
  }

  /** Nothing is stored or purged any more; who waits is told. */
  stop(): void {
    this.#purgeTimer?.cancel();
    this.#dirty.stop();
  }
}

/** Without a service that has it, there is no such blob. */
function loadError(error: unknown): FluxError {
  const failure = asFluxError(error);
  return failure.code === 'ENOENT' || failure.code === 'ENOSYS'
    ? new FluxError('ENOENT', 'No such file or directory')
    : failure;
}
