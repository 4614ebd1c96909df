/** Values as entries of a directory: what is short stands in it, what is longer is a blob or, after appends, several. */

import { FluxError } from '../../core/errno.ts';
import { type HashName, makeBlobref } from '../../core/formats/blobref.ts';
import { makeValref, type Treeobj, type Val, type Valref, valBytes } from '../../core/formats/treeobj.ts';
import { findJoinable } from './append.ts';
import type { DraftEntry } from './draft.ts';
import type { HeldObjects } from './held-objects.ts';

/** Bytes of base64 in a directory; the same as in flux-core, or hashes would differ. */
const INLINE_MAX = 72;

export class Values {
  readonly #hash: HashName;
  readonly #objects: HeldObjects;
  readonly #blobs = new Map<string, Uint8Array>();
  /** Those of the transaction that is being applied. */
  readonly #fresh = new Map<string, Uint8Array>();

  constructor(hash: HashName, objects: HeldObjects) {
    this.#hash = hash;
    this.#objects = objects;
  }

  /** Blobs of values that transactions brought, by blobref. */
  get blobs(): ReadonlyMap<string, Uint8Array> {
    return this.#blobs;
  }

  /** A transaction is over: its blobs count if it was applied. */
  endTransaction(isApplied: boolean): void {
    if (isApplied) for (const [blobref, bytes] of this.#fresh) this.#blobs.set(blobref, bytes);
    this.#fresh.clear();
  }

  /**
   * The entry of a value.
   *
   * @throws FluxError EPROTO: a long value is no base64
   */
  entry(val: Val): Val | Valref {
    const { data } = val;
    return data.length > INLINE_MAX || Buffer.byteLength(data) > INLINE_MAX ? makeValref([this.#blob(val)]) : val;
  }

  /**
   * The entry of a value with another behind it; undefined when blobs are missing.
   *
   * @param entry what is there now; null when nothing is
   * @throws FluxError EPROTO: what is added is no value; EISDIR, EOPNOTSUPP: what is there is a directory, a symlink
   */
  append(entry: DraftEntry, added: Treeobj): Treeobj | undefined {
    if (added.type !== 'val') throw new FluxError('EPROTO', `a ${added.type} cannot be appended`);
    switch (entry?.type) {
      case undefined:
        return this.entry(added);
      case 'val':
        return this.#join([this.#blob(entry), this.#blob(added)]);
      case 'valref':
        return this.#join([...entry.data, this.#blob(added)]);
      case 'symlink':
        throw new FluxError('EOPNOTSUPP');
      default:
        throw new FluxError('EISDIR');
    }
  }

  #blob(val: Val): string {
    return this.#add(valBytes(val));
  }

  #add(bytes: Uint8Array): string {
    const blobref = makeBlobref(this.#hash, bytes);
    this.#fresh.set(blobref, bytes);
    return blobref;
  }

  #join(blobrefs: readonly string[]): Valref | undefined {
    const bytesOf = (blobref: string) => {
      return this.#fresh.get(blobref) ?? this.#blobs.get(blobref) ?? this.#objects.blob(blobref);
    };
    const first = findJoinable(blobrefs.length, (index) => bytesOf(blobrefs[index]!)?.length);
    if (first === undefined) return undefined;
    if (first === blobrefs.length) return makeValref(blobrefs);
    const joined = Buffer.concat(blobrefs.slice(first).map((blobref) => bytesOf(blobref)!));
    return makeValref([...blobrefs.slice(0, first), this.#add(joined)]);
  }
}
