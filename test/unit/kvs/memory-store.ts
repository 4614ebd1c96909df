/** A store of blobs in memory, and commits and lookups in it that load what they miss. */

import type { FluxError } from '../../../core/errno.ts';
import { type HashName, isBlobref, makeBlobref } from '../../../core/formats/blobref.ts';
import type { Treeobj } from '../../../core/formats/treeobj.ts';
import { Commit, type NewRoot } from '../../../workers/kvs/commit.ts';
import { Directory } from '../../../workers/kvs/directory.ts';
import { decodeDirectory } from '../../../workers/kvs/directory-object.ts';
import { Lookup } from '../../../workers/kvs/lookup.ts';
import type { AnyDirectory, Objects } from '../../../workers/kvs/objects.ts';
import type { Operation } from '../../../workers/kvs/transaction.ts';

export class MemoryStore implements Objects {
  readonly hash: HashName;
  readonly namespace = 'test';
  maxdirent: number;
  readonly blobs = new Map<string, Uint8Array>();
  rootref: string;
  /** Blobs that are at hand; all of them where this is not set. */
  here: Set<string> | undefined;
  /** How often something had to be loaded. */
  loads = 0;

  constructor(hash: HashName = 'sha1', maxdirent = 0) {
    this.hash = hash;
    this.maxdirent = maxdirent;
    this.rootref = this.add(Directory.empty.bytes);
  }

  add(bytes: Uint8Array): string {
    const blobref = makeBlobref(this.hash, bytes);
    this.blobs.set(blobref, bytes);
    return blobref;
  }

  text(blobref: string): string {
    return Buffer.from(this.blobs.get(blobref)!).toString();
  }

  blob(blobref: string): Uint8Array | undefined {
    return this.here && !this.here.has(blobref) ? undefined : this.blobs.get(blobref);
  }

  directory(blobref: string): AnyDirectory | undefined {
    const bytes = this.blob(blobref);
    return bytes && decodeDirectory(bytes);
  }

  /** Makes one of the blobs that are missing be at hand, and nothing else. */
  load(missing: readonly string[]): void {
    const loaded = missing[this.loads++ % missing.length]!;
    if (!isBlobref(loaded) || !this.blobs.has(loaded)) throw new Error(`${loaded} was never stored`);
    this.here = new Set([loaded]);
  }

  /** Commits transactions as one; returns what became of the root, and the errors of those that could not be applied. */
  commit(...transactions: readonly (readonly Operation[])[]): { root: NewRoot; errors: FluxError[] } {
    const { rootref, namespace, hash, maxdirent } = this;
    const commit = new Commit(rootref, { namespace, hash, maxdirent });
    const errors: FluxError[] = [];
    for (const operations of transactions) {
      try {
        for (let missing = commit.apply(operations, this); missing; missing = commit.apply(operations, this))
          this.load(missing);
      } catch (error) {
        errors.push(error as FluxError);
      }
    }
    let root = commit.finish(this);
    for (; 'missing' in root; root = commit.finish(this)) this.load(root.missing);
    for (const [blobref, bytes] of root.store) this.blobs.set(blobref, bytes);
    this.rootref = root.rootref;
    return { root, errors };
  }

  /** Commits one transaction; throws where it cannot be applied. */
  apply(...operations: readonly Operation[]): NewRoot {
    const { root, errors } = this.commit(operations);
    if (errors.length) throw errors[0];
    return root;
  }

  /** What a key stands for; the roots of other namespaces are this one's. */
  lookup(key: string, flags = 0, rootref = this.rootref): Treeobj | undefined {
    const lookup = new Lookup(rootref, key, flags);
    for (;;) {
      const step = lookup.step(this);
      if ('value' in step) return step.value;
      if ('namespace' in step) lookup.enter(this.rootref);
      else this.load(step.missing);
    }
  }
}
