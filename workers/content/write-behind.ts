/**
 * The blobs that the backing store does not have yet. They go there in the order in which they came, many at a time. One
 * that cannot be stored stays here and is tried again, ever more rarely, until it can.
 */

import type { Clock, Timer } from '../../core/broker/service.ts';
import { asFluxError, FluxError } from '../../core/errno.ts';
import type { Backing } from './backing.ts';
import { Deferred } from './deferred.ts';
import { EntryList, type Listed } from './entry-list.ts';
import { type CacheSettings, weight } from './settings.ts';

/** What became dirty between two flushes, and who waits for it. */
export interface Generation {
  dirty: number;
  waiting: Deferred<void>[];
}

/** A blob of the cache; while it is dirty it is in no list of others. */
export interface Writable<T> extends Listed<T> {
  readonly blobref: string;
  bytes: Uint8Array | undefined;
  /** As whoever stored it first said. */
  isCounted: boolean;
  /** Set while it is dirty. */
  generation: Generation | undefined;
  /** Who waits for just this one, where stores are answered once they are done. */
  waiting: Deferred<void>[] | undefined;
}

export interface WriteBehindOptions<T> {
  readonly clock: Clock;
  readonly settings: CacheSettings;
  /** Each store is answered when it is done, not when the blob is here: the way of ranks other than 0 (RFC 10). */
  readonly isWriteThrough: boolean;
  /** The backing store has a blob. */
  stored(blob: T): void;
  /** Stores have begun to fail. */
  failing(error: FluxError): void;
}

/** Bytes under way at one time, as long as it is more than one blob. */
const SIZE_UNDER_WAY = 16 * 1024 * 1024;
/** Bytes not stored beyond which no more are taken from those who do not wait. */
const DIRTY_SIZE_MAX = 1024 * 1024 * 1024;
/** Blobs that are worth waking the thread that stores; so is half of what may be dirty. */
const BATCH = 256;
/** So often what is gathered waits for more, as long as more comes. */
const GATHERINGS_MAX = 20;
/** Seconds until what failed is tried again, at first and at last. */
const RETRY_FIRST = 0.05;
const RETRY_LAST = 30;

export class WriteBehind<T extends Writable<T>> {
  readonly #options: WriteBehindOptions<T>;
  #backing: Backing | undefined;
  readonly #queue = new EntryList<T>();
  readonly #failed = new EntryList<T>();
  /** The oldest first; what becomes dirty belongs to the last. */
  #generations: Generation[] = [{ dirty: 0, waiting: [] }];
  #waitingForRoom: Deferred<void>[] = [];
  #count = 0;
  #size = 0;
  #failedSize = 0;
  #storing = 0;
  #storingSize = 0;
  #failure: FluxError | undefined;
  #retrySeconds = RETRY_FIRST;
  #retryTimer: Timer | undefined;
  #gathering: Timer | undefined;
  /** Blobs that came, ever. */
  #taken = 0;
  /** The blob by which is seen whether stores work again. */
  #probe: T | undefined;

  constructor(options: WriteBehindOptions<T>) {
    this.#options = options;
  }

  /** Blobs that are not stored. */
  get count(): number {
    return this.#count;
  }
  get size(): number {
    return this.#size;
  }
  /** Stores under way. */
  get storing(): number {
    return this.#storing;
  }

  /** Why no further blob is taken; undefined when one is. */
  refusal(): FluxError | undefined {
    if (!this.#backing) return undefined;
    if (this.#failedSize >= this.#options.settings.dirtySizeLimit) return this.#failure;
    if (this.#size >= DIRTY_SIZE_MAX) return new FluxError('EAGAIN', 'too much waits to be stored');
    return undefined;
  }

  /**
   * Stores a blob, now or later.
   *
   * @returns a promise when who gives it is to wait; it rejects with what storing failed with
   */
  add(blob: T): void | Promise<void> {
    if (!blob.generation) {
      blob.generation = this.#generations.at(-1)!;
      blob.generation.dirty++;
      this.#count++;
      this.#size += weight(blob.bytes!);
      this.#queue.add(blob);
      this.#taken++;
      this.#pumpSoon();
    }
    if (this.#options.isWriteThrough) {
      blob.waiting ??= [];
      return waitIn(blob.waiting);
    }
    if (this.#hasRoom) return undefined;
    return waitIn(this.#waitingForRoom);
  }

  get #hasRoom(): boolean {
    return !this.#backing || this.#size - this.#failedSize < this.#options.settings.dirtySizeLimit;
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
    if (!this.#count) return Promise.resolve();
    let last = this.#generations.at(-1)!;
    if (last.dirty) this.#generations.push({ dirty: 0, waiting: [] });
    else last = this.#generations.at(-2)!;
    const flushed = waitIn(last.waiting);
    this.#retryAll();
    return flushed;
  }

  // ---- on the way

  /**
   * Sends what waits when somebody waits for it, or it is worth waking the thread that stores; else in a moment in which
   * nothing came: whoever stores much has the processor until then.
   */
  #pumpSoon(): void {
    if (this.#options.settings.flushDelay === 0 || this.#isBatch || this.#isAwaited) this.#pump();
    else if (this.#queue.oldest && this.#backing) this.#gather(GATHERINGS_MAX);
  }

  #gather(times: number): void {
    const taken = this.#taken;
    this.#gathering ??= this.#options.clock.after(this.#options.settings.flushDelay / 1000, () => {
      this.#gathering = undefined;
      if (this.#taken === taken || times === 1) this.#pump();
      else this.#gather(times - 1);
    });
  }

  get #isBatch(): boolean {
    if (this.#count - this.#storing >= BATCH) return true;
    return this.#size - this.#storingSize >= this.#options.settings.dirtySizeLimit / 2;
  }

  get #isAwaited(): boolean {
    const { isWriteThrough } = this.#options;
    return isWriteThrough || !this.#hasRoom || this.#generations.some(({ waiting }) => waiting.length > 0);
  }

  #pump(): void {
    const { flushBatchLimit } = this.#options.settings;
    while (this.#backing && this.#storing < flushBatchLimit && this.#storingSize < SIZE_UNDER_WAY) {
      const blob = this.#queue.oldest;
      if (!blob) return;
      this.#queue.remove(blob);
      void this.#store(this.#backing, blob);
    }
  }

  async #store(backing: Backing, blob: T): Promise<void> {
    this.#storing++;
    this.#storingSize += weight(blob.bytes!);
    let failure: FluxError | undefined;
    try {
      await backing.store(blob.blobref, blob.bytes!, blob.isCounted);
    } catch (error) {
      failure = asFluxError(error);
    }
    this.#storing--;
    this.#storingSize -= weight(blob.bytes!);
    if (failure) this.#fail(blob, failure);
    else this.#succeed(blob);
    this.#pumpSoon();
  }

  #succeed(blob: T): void {
    const { waiting } = blob;
    blob.generation!.dirty--;
    blob.generation = undefined;
    blob.waiting = undefined;
    this.#count--;
    this.#size -= weight(blob.bytes!);
    this.#options.stored(blob);
    for (const each of waiting ?? []) each.resolve();
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

  #fail(blob: T, error: FluxError): void {
    this.#failed.add(blob);
    this.#failedSize += weight(blob.bytes!);
    if (this.#failure?.errno !== error.errno && this.#backing) this.#options.failing(error);
    this.#failure = error;
    rejectAll(blob.waiting?.splice(0) ?? [], error);
    // Whoever waits for this generation or a later one waits for this blob, too.
    for (const generation of this.#generations.slice(this.#generations.indexOf(blob.generation!)))
      rejectAll(generation.waiting.splice(0), error);
    if (this.#failedSize >= this.#options.settings.dirtySizeLimit) rejectAll(this.#waitingForRoom.splice(0), error);
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
    this.#probe = probe;
    this.#pump();
  }

  #probeSucceeded(): void {
    if (!this.#probe || this.#probe.generation) return;
    this.#retryAll();
  }

  #retryAll(): void {
    this.#stopRetrying();
    for (let blob = this.#failed.oldest; blob; blob = this.#failed.oldest) this.#requeue(blob);
    this.#pump();
  }

  #requeue(blob: T): void {
    this.#failed.remove(blob);
    this.#failedSize -= weight(blob.bytes!);
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
    this.#gathering?.cancel();
    const gone = new FluxError('ENOSYS', 'the content service is gone');
    for (const list of [this.#queue, this.#failed])
      for (let blob = list.oldest; blob; blob = blob.newer) rejectAll(blob.waiting?.splice(0) ?? [], gone);
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
