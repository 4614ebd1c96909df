/**
 * Finds what a key stands for, name by name, without waiting: a step ends when an object is missing, and the next one
 * goes on from there.
 */

import { FluxError } from '../../core/errno.ts';
import { LookupFlag } from '../../core/formats/kvs-flags.ts';
import { normalizeKey, ROOT_KEY } from '../../core/formats/kvs-key.ts';
import {
  type Dir,
  type Dirref,
  makeDir,
  makeDirref,
  makeVal,
  type Symlink,
  type Treeobj,
  type Valref,
} from '../../core/formats/treeobj.ts';
import { Directory } from './directory.ts';
import { bucketOf } from './hashed-directory.ts';
import { type AnyDirectory, blobrefOf, type Objects } from './objects.ts';

export type LookupStep =
  /** Blobs that have to be loaded first. */
  | { readonly missing: readonly string[] }
  /** A symlink leads into a namespace, whose root is to be handed to `enter`. */
  | { readonly namespace: string }
  /** What the key stands for; undefined when there is no such key. */
  | { readonly value: Treeobj | undefined };

/** A key that is followed: the one looked up, or the target of a symlink. */
interface Path {
  readonly rootref: string;
  readonly names: readonly string[];
  /** Index of the name that is next. */
  next: number;
}

/** Symlinks that lead from one to another, as far as flux-core follows them. */
const LINKS_MAX = 10;
/** Longer values do not fit a string. */
const VALUE_BYTES_MAX = 400_000_000;

export class Lookup {
  readonly #flags: number;
  /** The last one is followed now. */
  readonly #paths: Path[];
  /** What the names so far stand for. */
  #object: Treeobj;
  /** Buckets on the way to the next name. */
  #level = 0;
  #bucket: string | undefined;
  /** What was read of an object that takes many blobs: they may be gone again when the last has come. */
  readonly #directories = new Map<string, AnyDirectory>();
  readonly #blobs = new Map<string, Uint8Array>();
  /** The target of a symlink into another namespace. */
  #target = '';

  /** @param flags bits of `LookupFlag`: `readdir`, `readlink`, `treeobj` */
  constructor(rootref: string, key: string, flags: number) {
    this.#flags = flags;
    this.#paths = [{ rootref, names: namesOf(normalizeKey(key)), next: 0 }];
    this.#object = makeDirref(rootref);
  }

  /**
   * Goes on as far as it goes with the objects that are here.
   *
   * @throws FluxError ENOTDIR, EISDIR, EINVAL: not what was asked for; ELOOP: symlinks lead in a circle; EINVAL: the root
   *   is no directory; ENOTRECOVERABLE: what is stored makes no sense; EOVERFLOW: the value is too long
   */
  step(objects: Objects): LookupStep {
    for (;;) {
      const path = this.#paths.at(-1)!;
      if (path.next < path.names.length) {
        const step = this.#walk(path, objects);
        if (step) return step;
      } else if (this.#paths.length > 1) {
        this.#paths.pop();
      } else {
        return this.#finish(this.#object, objects);
      }
    }
  }

  /** Follows a symlink below another root. */
  enter(rootref: string): void {
    this.#follow(this.#target, rootref);
  }

  /** Takes the next name of a path. */
  #walk(path: Path, objects: Objects): LookupStep | undefined {
    const { type } = this.#object;
    if (type === 'val' || type === 'valref') return { value: undefined };
    if (type !== 'dirref') throw new FluxError('ENOTRECOVERABLE', `a ${type} stands where a dirref belongs`);
    const name = path.names[path.next]!;
    const blobref = this.#bucket ?? blobrefOf(this.#object);
    const directory = this.#open(blobref, objects);
    if (!directory) return { missing: [blobref] };
    if (!(directory instanceof Directory)) {
      const bucket = directory.buckets[bucketOf(name, this.#level, directory.buckets.length)];
      if (typeof bucket !== 'string') return { value: undefined };
      this.#bucket = bucket;
      this.#level++;
      return undefined;
    }
    const object = directory.get(name);
    if (!object) return { value: undefined };
    path.next++;
    this.#enter(object);
    return object.type === 'symlink' ? this.#link(object, path.rootref) : undefined;
  }

  #enter(object: Treeobj): void {
    this.#object = object;
    this.#bucket = undefined;
    this.#level = 0;
  }

  #link({ data: { namespace, target } }: Symlink, rootref: string): LookupStep | undefined {
    const isLast = this.#paths.every(({ names, next }) => next === names.length);
    if (isLast && this.#flags & (LookupFlag.readlink | LookupFlag.treeobj)) return undefined;
    if (this.#paths.length > LINKS_MAX) throw new FluxError('ELOOP', `more than ${LINKS_MAX} symlinks in a row`);
    if (namespace === undefined) {
      this.#follow(target, rootref);
      return undefined;
    }
    this.#target = target;
    return { namespace };
  }

  #follow(target: string, rootref: string): void {
    const names = namesOf(target);
    if (names.length) this.#paths.push({ rootref, names, next: 0 });
    this.#enter(makeDirref(rootref));
  }

  #open(blobref: string, objects: Objects): AnyDirectory | undefined {
    try {
      return objects.directory(blobref);
    } catch (error) {
      if (!(error instanceof FluxError) || error.code !== 'EINVAL' || blobref === this.#paths[0]!.rootref) throw error;
      throw new FluxError('ENOTRECOVERABLE', error.message, { cause: error });
    }
  }

  /** The answer about the object that the whole key stands for. */
  #finish(object: Treeobj, objects: Objects): LookupStep {
    if (this.#flags & LookupFlag.treeobj) return { value: object };
    this.#checkKind(object);
    if (object.type === 'dirref') return this.#readDirectory(object, objects);
    return object.type === 'valref' ? this.#readValue(object, objects) : { value: object };
  }

  /** Throws when an object is not what the flags ask for. */
  #checkKind({ type }: Treeobj): void {
    const wantsLink = this.#flags & LookupFlag.readlink;
    const wantsDirectory = this.#flags & LookupFlag.readdir;
    const isDirectory = type === 'dir' || type === 'dirref';
    const isRoot = this.#paths[0]!.names.length === 0;
    if (isRoot && !wantsDirectory) throw new FluxError('EISDIR');
    if (wantsLink && type !== 'symlink' && !isRoot) throw new FluxError('EINVAL');
    if (wantsDirectory && !isDirectory) throw new FluxError('ENOTDIR');
    if (!wantsDirectory && isDirectory) throw new FluxError('EISDIR');
  }

  #readDirectory(dirref: Dirref, objects: Objects): LookupStep {
    const missing: string[] = [];
    const parts: Dir['data'][] = [];
    const open = [blobrefOf(dirref)];
    for (const blobref of open) {
      const directory = this.#directories.get(blobref) ?? this.#open(blobref, objects);
      if (!directory) {
        missing.push(blobref);
        continue;
      }
      this.#directories.set(blobref, directory);
      if (directory instanceof Directory) parts.push(directory.toTreeobj().data);
      else for (const bucket of directory.buckets) if (bucket !== null) open.push(bucket);
    }
    return missing.length
      ? { missing }
      : { value: makeDir(parts.length === 1 ? parts[0] : Object.fromEntries(parts.flatMap(Object.entries))) };
  }

  #readValue({ data }: Valref, objects: Objects): LookupStep {
    const missing: string[] = [];
    const blobs: Uint8Array[] = [];
    let length = 0;
    for (const blobref of data) {
      const blob = this.#blobs.get(blobref) ?? objects.blob(blobref);
      if (!blob) {
        missing.push(blobref);
        continue;
      }
      this.#blobs.set(blobref, blob);
      blobs.push(blob);
      length += blob.length;
    }
    if (length > VALUE_BYTES_MAX) throw new FluxError('EOVERFLOW', `a value has more than ${VALUE_BYTES_MAX} bytes`);
    return missing.length ? { missing } : { value: makeVal(blobs.length === 1 ? blobs[0]! : Buffer.concat(blobs)) };
  }
}

/** The names in a key as it is written; `.` has none. */
function namesOf(key: string): readonly string[] {
  return key === ROOT_KEY ? [] : key.split('.');
}
