/**
 * A store of blobs in memory, with a cache in front of it: what is stored is durable once it is flushed, and a crash loses
 * the rest. It can be slow, full or damaged.
 */

import { FluxError } from '../../../core/errno.ts';
import type { HashName } from '../../../core/formats/blobref.ts';
import type { Checkpoint, ContentAccess } from '../../../workers/content/access.ts';

/** What survives a crash. */
export class Disk {
  readonly blobs = new Map<string, Uint8Array>();
  checkpoints: Checkpoint[] = [];
}

const CHECKPOINTS_MAX = 5;

export class MemoryContent implements ContentAccess {
  readonly hash: HashName = 'sha1';
  readonly disk: Disk;
  readonly cache = new Map<string, Uint8Array>();
  readonly #dirty = new Set<string>();
  /** Resolves when something that takes time is done. */
  pause: () => Promise<void> = async () => {};
  /** What storing a blob fails with. */
  storeError: FluxError | undefined;
  /** What writing to the disk fails with. */
  flushError: FluxError | undefined;
  /** What reading checkpoints fails with. */
  checkpointsError: FluxError | undefined;
  /** Storing takes time. */
  isFull = false;
  hasBacking = true;
  loads = 0;
  flushes = 0;

  constructor(disk = new Disk()) {
    this.disk = disk;
  }

  get(blobref: string): Uint8Array | undefined {
    return this.cache.get(blobref);
  }

  async load(blobref: string): Promise<Uint8Array> {
    this.loads++;
    await this.pause();
    const bytes = this.cache.get(blobref) ?? this.disk.blobs.get(blobref);
    if (!bytes) throw new FluxError('ENOENT', `there is no blob ${blobref}`);
    return bytes;
  }

  store(blobref: string, bytes: Uint8Array): void | Promise<void> {
    if (this.isFull) return this.#storeLater(blobref, bytes);
    if (this.storeError) throw this.storeError;
    this.#keep(blobref, bytes);
  }

  async #storeLater(blobref: string, bytes: Uint8Array): Promise<void> {
    await this.pause();
    if (this.storeError) throw this.storeError;
    this.#keep(blobref, bytes);
  }

  #keep(blobref: string, bytes: Uint8Array): void {
    this.cache.set(blobref, bytes);
    this.#dirty.add(blobref);
  }

  async flush(): Promise<void> {
    this.flushes++;
    this.#checkBacking();
    const dirty = [...this.#dirty];
    await this.pause();
    if (this.flushError) throw this.flushError;
    for (const blobref of dirty) {
      this.#dirty.delete(blobref);
      this.disk.blobs.set(blobref, this.cache.get(blobref)!);
    }
  }

  async checkpointPut(value: Checkpoint): Promise<void> {
    this.#checkBacking();
    await this.pause();
    this.disk.checkpoints = [value, ...this.disk.checkpoints].slice(0, CHECKPOINTS_MAX);
  }

  async checkpoints(): Promise<readonly Checkpoint[]> {
    this.#checkBacking();
    if (this.checkpointsError) throw this.checkpointsError;
    return this.disk.checkpoints;
  }

  #checkBacking(): void {
    if (!this.hasBacking) throw new FluxError('ENOSYS');
  }

  /** Forgets what can be loaded again. */
  evict(): void {
    for (const blobref of this.cache.keys()) if (!this.#dirty.has(blobref)) this.cache.delete(blobref);
  }
}
