/**
 * How another service on the thread follows the KVS: roots and their changes without events, lookups without requests.
 *
 * The object outlives the module: callbacks stay when `kvs` is removed and loaded again, and in between there is no
 * namespace.
 */

import { FluxError } from '../../core/errno.ts';
import type { Treeobj } from '../../core/formats/treeobj.ts';
import type { Credentials } from '../../core/message/credentials.ts';

/** The root of a namespace. */
export interface Root {
  readonly namespace: string;
  /** Userid of the user who may use it beside the instance owner. */
  readonly owner: number;
  readonly flags: number;
  readonly rootref: string;
  readonly rootseq: number;
}

/** A root that has changed. */
export interface Setroot extends Root {
  /** Normalized keys that the commit changed. */
  readonly keys: readonly string[];
  /** False when operations went through symlinks, and so changed keys that are not named. */
  readonly complete: boolean;
}

export interface KvsFollower {
  /** The root of a namespace, which changes with each commit; undefined when there is no such namespace. */
  root(namespace: string): Root | undefined;
  /** Calls back when a namespace was made. */
  onCreated(callback: (root: Root) => void): () => void;
  /**
   * Calls back after each commit, when `root()` is the new one, in the turn in which the commits are answered.
   *
   * @returns a function that ends that
   */
  onSetroot(callback: (setroot: Setroot) => void): () => void;
  /** Calls back when a namespace was removed, and for each of them when the KVS stops. */
  onRemoved(callback: (namespace: string) => void): () => void;
  /**
   * What `kvs.lookup` answers: a value when all blobs are at hand, else a promise; undefined when there is no such key.
   *
   * @param flags bits of `core/formats/kvs-flags.ts`
   * @param user who asks: a guest reads its own namespaces only
   * @param rootref the root directory to read in, instead of the namespace's
   * @throws FluxError EOPNOTSUPP (no such namespace), EPERM, EISDIR, ENOTDIR, EINVAL, ELOOP, EIO, or rejects with it
   */
  lookup(
    namespace: string,
    key: string,
    flags: number,
    user: Credentials,
    rootref?: string,
  ): Treeobj | undefined | Promise<Treeobj | undefined>;
}

/** What of the service a follower asks. */
export type FollowedKvs = Pick<KvsFollower, 'root' | 'lookup'>;

/** The follower of a thread: the module kvs attaches itself to it while it runs. */
export class Follower implements KvsFollower {
  #kvs: FollowedKvs | undefined;
  readonly #onCreated = new Set<(root: Root) => void>();
  readonly #onSetroot = new Set<(setroot: Setroot) => void>();
  readonly #onRemoved = new Set<(namespace: string) => void>();

  attach(kvs: FollowedKvs | undefined): void {
    this.#kvs = kvs;
  }

  created(root: Root): void {
    for (const callback of this.#onCreated) callback(root);
  }

  changed(setroot: Setroot): void {
    for (const callback of this.#onSetroot) callback(setroot);
  }

  removed(namespace: string): void {
    for (const callback of this.#onRemoved) callback(namespace);
  }

  root(namespace: string): Root | undefined {
    return this.#kvs?.root(namespace);
  }

  onCreated(callback: (root: Root) => void): () => void {
    this.#onCreated.add(callback);
    return () => this.#onCreated.delete(callback);
  }

  onSetroot(callback: (setroot: Setroot) => void): () => void {
    this.#onSetroot.add(callback);
    return () => this.#onSetroot.delete(callback);
  }

  onRemoved(callback: (namespace: string) => void): () => void {
    this.#onRemoved.add(callback);
    return () => this.#onRemoved.delete(callback);
  }

  lookup(...args: Parameters<KvsFollower['lookup']>): ReturnType<KvsFollower['lookup']> {
    if (!this.#kvs) throw new FluxError('ENOSYS', 'the module kvs is not loaded');
    return this.#kvs.lookup(...args);
  }
}
