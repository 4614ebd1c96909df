/**
 * The blobs that the backing store does not have yet. They go there in the order in which they came, many at a time. One
 * that cannot be stored stays here and is tried again, ever more rarely, until it can.
 */

import type { Clock, Timer } from '../../core/broker/service.ts';
import { asFluxError, FluxError } from '../../core/errno.ts';
import type { Backing } from './backing.ts';
import { Deferred } from './deferred.ts';
import { EntryList, type Listed } from './entry-list.ts';
import type { CacheSettings } from './settings.ts';

/** What became dirty between two flushes, and who waits for it. */
interface Generation {
  dirty: number;
  waiting: Deferred<void>[];
}

interface DirtyBlob extends Listed<DirtyBlob> {
  readonly blobref: string;
  readonly bytes: Uint8Array;
  readonly generation: Generation;
  /** Who waits for just this one, where stores are answered once they are done. */
  waiting: Deferred<void>[] | undefined;
}

export interface WriteBehindOptions {
  readonly clock: Clock;
  readonly settings: CacheSettings;
  /** Each store is answered when it is done, not when the blob is here: the way of ranks other than 0 (RFC 10). */
  readonly isWriteThrough: boolean;
  /** The backing store has a blob. */
  stored(blobref: string): void;
  /** Stores have begun to fail. */
  failing(error: FluxError): void;
}

/** Bytes under way at one time, as long as it is more than one blob. */
const BYTES_UNDER_WAY = 16 * 1024 * 1024;
/** Bytes not stored beyond which no more are taken from those who do not wait. */
const DIRTY_BYTES_MAX = 1024 * 1024 * 1024;
/** Seconds until what failed is tried again, at first and at last. */
const RETRY_FIRST = 0.05;
const RETRY_LAST = 30;

export class WriteBehind {
  readonly #options: WriteBehindOptions;
  #backing: Backing | undefined;
  readonly #dirty = new Map<string, DirtyBlob>();
  readonly #queue = new EntryList<DirtyBlob>();
  readonly #failed = new EntryList<DirtyBlob>();
  /** The oldest first; what becomes dirty belongs to the last. */
  #generations: Generation[] = [{ dirty: 0, waiting: [] }];
  #waitingForRoom: Deferred<void>[] = [];
  #bytes = 0;
  #failedBytes = 0;
  #storing = 0;
  #storingBytes = 0;
  #failure: FluxError | undefined;
  #retrySeconds = RETRY_FIRST;
  #retryTimer: Timer | undefined;
  /** The blob by which is seen whether stores work again. */
  #probe: string | undefined;

  constructor(options: WriteBehindOptions) {
    this.#options = options;
  }

  /** Blobs that are not stored. */
  get count(): number {
    return this.#dirty.size;
  }
  get bytes(): number {
    return this.#bytes;
  }
  /** Stores under way. */
  get storing(): number {
    return this.#storing;
  }

  has(blobref: string): boolean {
    return this.#dirty.has(blobref);
  }

  /** Why no further blob is taken; undefined when one is. */
  refusal(): FluxError | undefined {
    if (!this.#backing) return undefined;
    if (this.#failedBytes >= this.#options.settings.dirtySizeLimit) return this.#failure;
    if (this.#bytes >= DIRTY_BYTES_MAX) return new FluxError('EAGAIN', 'too much waits to be stored');
    return undefined;
  }

  /**
   * Stores a blob, now or later.
   *
   * @returns a promise when who gives it is to wait; it rejects with what storing failed with
   */
  add(blobref: string, bytes: Uint8Array): void | Promise<void> {
    let blob = this.#dirty.get(blobref);
    if (!blob) {
      const generation = this.#generations.at(-1)!;
      generation.dirty++;
      blob = { blobref, bytes, generation, waiting: undefined, older: undefined, newer: undefined };
      this.#dirty.set(blobref, blob);
      this.#bytes += bytes.length;
      this.#queue.add(blob);
      this.#pump();
    }
    if (this.#options.isWriteThrough) {
      blob.waiting ??= [];
      return waitIn(blob.waiting);
    }
    if (this.#hasRoom) return undefined;
    return waitIn(this.#waitingForRoom);
  }

  get #hasRoom(): boolean {
    return !this.#backing || this.#bytes - this.#failedBytes < this.#options.settings.dirtySizeLimit;
  }

  /** There is a backing store now; all that is dirty goes there. */
  attach(backing: Backing): void {
    this.#backing = backing;
    this.#retryAll();
  }

  /** There is no backing store any more. */
  detach(): void {
    this.#backing = undefined;
    this.#stopRetrying();
    for (const generation of this.#generations) rejectAll(generation.waiting.splice(0), new FluxError('ENOSYS'));
    this.#letIn();
  }

  /** Resolves when all that is dirty now is stored; rejects when some of it cannot be, and with ENOSYS without a store. */
  flush(): Promise<void> {
    if (!this.#backing) return Promise.reject(new FluxError('ENOSYS', 'there is no backing store'));
    if (!this.#dirty.size) return Promise.resolve();
    let last = this.#generations.at(-1)!;
    if (last.dirty) this.#generations.push({ dirty: 0, waiting: [] });
    else last = this.#generations.at(-2)!;
    const flushed = waitIn(last.waiting);
    this.#retryAll();
    return flushed;
  }

  // ---- on the way

  #pump(): void {
    const { flushBatchLimit } = this.#options.settings;
    while (this.#backing && this.#storing < flushBatchLimit && this.#storingBytes < BYTES_UNDER_WAY) {
      const blob = this.#queue.oldest;
      if (!blob) return;
      this.#queue.remove(blob);
      void this.#store(this.#backing, blob);
    }
  }

  async #store(backing: Backing, blob: DirtyBlob): Promise<void> {
    this.#storing++;
    this.#storingBytes += blob.bytes.length;
    let failure: FluxError | undefined;
    try {
      await backing.store(blob.blobref, blob.bytes);
    } catch (error) {
      failure = asFluxError(error);
    }
    this.#storing--;
    this.#storingBytes -= blob.bytes.length;
    if (failure) this.#fail(blob, failure);
    else this.#succeed(blob);
    this.#pump();
  }

  #succeed(blob: DirtyBlob): void {
    const { generation, waiting } = blob;
    this.#dirty.delete(blob.blobref);
    this.#bytes -= blob.bytes.length;
    this.#options.stored(blob.blobref);
    for (const each of waiting ?? []) each.resolve();
    generation.dirty--;
    while (this.#generations.length > 1 && !this.#generations[0]!.dirty)
      for (const each of this.#generations.shift()!.waiting) each.resolve();
    this.#letIn();
    if (this.#failure) this.#probeSucceeded();
  }

  #letIn(): void {
    if (!this.#waitingForRoom.length || !this.#hasRoom) return;
    for (const each of this.#waitingForRoom.splice(0)) each.resolve();
  }

  // ---- what failed

  #fail(blob: DirtyBlob, error: FluxError): void {
    this.#failed.add(blob);
    this.#failedBytes += blob.bytes.length;
    if (this.#failure?.errno !== error.errno && this.#backing) this.#options.failing(error);
    this.#failure = error;
    rejectAll(blob.waiting?.splice(0) ?? [], error);
    // Whoever waits for this generation or a later one waits for this blob, too.
    for (const generation of this.#generations.slice(this.#generations.indexOf(blob.generation)))
      rejectAll(generation.waiting.splice(0), error);
    if (this.#failedBytes >= this.#options.settings.dirtySizeLimit) rejectAll(this.#waitingForRoom.splice(0), error);
    else this.#letIn();
    this.#retryLater();
  }

  #retryLater(): void {
    if (this.#retryTimer || !this.#backing) return;
    this.#retryTimer = this.#options.clock.after(this.#retrySeconds, () => {
      this.#retryTimer = undefined;
      this.#retrySeconds = Math.min(2 * this.#retrySeconds, RETRY_LAST);
      this.#retryOne();
    });
  }

  /** One is tried before the others are. */
  #retryOne(): void {
    const probe = this.#failed.oldest;
    if (!probe) return;
    this.#requeue(probe);
    this.#probe = probe.blobref;
    this.#pump();
  }

  #probeSucceeded(): void {
    if (this.#probe === undefined || this.#dirty.has(this.#probe)) return;
    this.#retryAll();
  }

  #retryAll(): void {
    this.#stopRetrying();
    for (let blob = this.#failed.oldest; blob; blob = this.#failed.oldest) this.#requeue(blob);
    this.#pump();
  }

  #requeue(blob: DirtyBlob): void {
    this.#failed.remove(blob);
    this.#failedBytes -= blob.bytes.length;
    this.#queue.add(blob);
  }

  #stopRetrying(): void {
    this.#retryTimer?.cancel();
    this.#retryTimer = undefined;
    this.#retrySeconds = RETRY_FIRST;
    this.#probe = undefined;
    this.#failure = undefined;
  }

  /** Nothing is stored any more; who waits is told. */
  stop(): void {
    this.detach();
    for (const { waiting } of this.#dirty.values())
      rejectAll(waiting ?? [], new FluxError('ENOSYS', 'the content service is gone'));
  }
}

function waitIn(waiting: Deferred<void>[]): Promise<void> {
  const deferred = new Deferred<void>();
  waiting.push(deferred);
  return deferred.promise;
}

function rejectAll(waiting: readonly Deferred<void>[], error: Error): void {
  for (const each of waiting) each.reject(error);
}
