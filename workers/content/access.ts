/**
 * What the services of the store (`content`, `kvs`, `kvs-watch`) share when they run on one thread: they call each other
 * by these interfaces, without messages.
 */

import { FluxError } from '../../core/errno.ts';
import type { HashName } from '../../core/formats/blobref.ts';
import type { Reference } from '../../core/formats/tree-references.ts';
import type { JsonValue } from '../../core/json.ts';
import { isObject, unpack } from '../../core/message/unpack.ts';
import type { KvsFollower } from '../kvs/follower.ts';
import type { Replacement } from './reference-changes.ts';

/** A root that the backing store remembers (`content.checkpoint-put`, `-get`). */
export interface Checkpoint {
  readonly version: 1;
  readonly rootref: string;
  /** The root's sequence number; 0 when it has none. */
  readonly sequence: number;
  /** Seconds since the epoch. */
  readonly timestamp: number;
}

/**
 * The checkpoints that `checkpoint-get` answers with.
 *
 * @throws FluxError EPROTO: they are none
 */
export function readCheckpoints(payload: JsonValue | undefined): readonly Checkpoint[] {
  return unpack(payload, { value: 'a' }).value.map((value) => {
    const fields = { rootref: 's', sequence: 'i?', timestamp: 'n?' } as const;
    const { rootref, sequence = 0, timestamp = 0 } = unpack(isObject(value) ? value : undefined, fields);
    if (rootref === '') throw new FluxError('EPROTO', 'a checkpoint has no rootref');
    return { version: 1, rootref, sequence, timestamp };
  });
}

/**
 * Takes what the KVS knows of references to blobs, so that the backing store can remove garbage. Each store of a blob by
 * `ContentAccess` stands for one reference to it, and for all that a directory object refers to who stores it vouches:
 * that it replaces another one that referred to it, or that it is stored, or told, for this directory.
 */
export interface ReferenceLog {
  /** Seconds for which garbage stays. */
  grace: number;
  /** From now on all references are told. */
  use(): void;
  /** Some are not told: nothing is removed any more. */
  abandon(): void;
  /** Places refer to blobs that have not been stored for that. */
  add(references: readonly Reference[]): void;
  /** One more place refers to a blob that the KVS has stored. */
  addStored(blobref: string): void;
  /** Directories were stored that are not used after all. */
  doubt(directories: Iterable<string>): void;
  /** Directories were replaced: each by one that refers to what it referred to, those that are in it after itself. */
  replace(replacements: readonly Replacement[]): void;
  /** A root is used no more. */
  release(rootref: string): void;
}

/** The store of blobs as other services on this thread see it. */
export interface ContentAccess {
  /** `content.hash`. */
  readonly hash: HashName;
  /** Absent where garbage is never collected. */
  readonly references?: ReferenceLog;
  /** A blob that is in the cache now. */
  get(blobref: string): Uint8Array | undefined;
  /** Reads a blob; rejects with FluxError ENOENT when there is none. */
  load(blobref: string): Promise<Uint8Array>;
  /**
   * Keeps a blob, whose reference the caller has computed, and writes it behind.
   *
   * @param isCounted it is stored once for each reference, as `references` wants it; true when absent
   * @returns a promise when too much is dirty already: wait for it before storing more; rejects with FluxError ENOSPC or
   *   EIO
   */
  store(blobref: string, bytes: Uint8Array, isCounted?: boolean): void | Promise<void>;
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
