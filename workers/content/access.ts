/**
 * What the services of the store (`content`, `kvs`, `kvs-watch`) share when they run on one thread: they call each other
 * by these interfaces, without messages.
 */

import type { HashName } from '../../core/formats/blobref.ts';
import type { KvsFollower } from '../kvs/follower.ts';

/** A root that the backing store remembers (`content.checkpoint-put`, `-get`). */
export interface Checkpoint {
  readonly version: 1;
  readonly rootref: string;
  /** The root's sequence number; 0 when it has none. */
  readonly sequence: number;
  /** Seconds since the epoch. */
  readonly timestamp: number;
}

/** The store of blobs as other services on this thread see it. */
export interface ContentAccess {
  /** `content.hash`. */
  readonly hash: HashName;
  /** A blob that is in the cache now. */
  get(blobref: string): Uint8Array | undefined;
  /** Reads a blob; rejects with FluxError ENOENT when there is none. */
  load(blobref: string): Promise<Uint8Array>;
  /**
   * Keeps a blob, whose reference the caller has computed, and writes it behind.
   *
   * @returns a promise when too much is dirty already: wait for it before storing more; rejects with FluxError ENOSPC or
   *   EIO
   */
  store(blobref: string, bytes: Uint8Array): void | Promise<void>;
  /** Resolves when all that is dirty now is in the backing store; rejects with ENOSYS when there is none. */
  flush(): Promise<void>;
  checkpointPut(value: Checkpoint): Promise<void>;
  /** The checkpoints that are kept, newest first. */
  checkpoints(): Promise<readonly Checkpoint[]>;
}

/** One thread's services of the store; each puts its face here when it starts and takes it away when it stops. */
export interface StoreThread {
  content?: ContentAccess | undefined;
  kvs?: KvsFollower | undefined;
  /**
   * Calls back when the thread has handled the messages that have come, before it sends the answers and sleeps; where
   * nobody sets it, services use a microtask.
   */
  soon?: (callback: () => void) => void;
}
