/**
 * How another service on the thread follows the KVS: roots and their changes without events, lookups without requests.
 *
 * The object outlives the module: callbacks stay when `kvs` is removed and loaded again, and in between there is no
 * namespace.
 */

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
}

export interface KvsFollower {
  /** The root of a namespace now; undefined when there is no such namespace. */
  root(namespace: string): Root | undefined;
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
