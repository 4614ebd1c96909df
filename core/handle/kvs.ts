/**
 * The key-value store of an instance (RFC 10): typed calls to the services `kvs` and `kvs-watch`.
 *
 *     const kvs = new Kvs(handle);
 *     await kvs.commit(new KvsTransaction().put('a.b', 'text').putJson('a.c', { n: 1 }));
 *     const text = await kvs.getText('a.b');
 */

import { FluxError } from '../errno.ts';
import { type HashName, makeBlobref } from '../formats/blobref.ts';
import { LookupFlag } from '../formats/kvs-flags.ts';
import {
  compareNames,
  encodeTreeobj,
  makeDir,
  makeDirref,
  type Symlink,
  type Treeobj,
  valBytes,
} from '../formats/treeobj.ts';
import { type JsonObject, type JsonValue, parseJson } from '../json.ts';
import { USERID_UNKNOWN } from '../message/credentials.ts';
import { Flag } from '../message/message.ts';
import type { Handle } from './handle.ts';
import type { KvsTransaction } from './kvs-transaction.ts';
import { type Caller, Stream } from './rpc.ts';

/** The namespace that every instance has. */
export const PRIMARY_NAMESPACE = 'primary';

/** A state of a namespace: its root directory's blobref, and how many commits it has seen. */
export interface KvsRoot {
  readonly rootref: string;
  readonly rootseq: number;
}

export interface NamespaceEntry {
  readonly namespace: string;
  /** Userid of the user who may use it beside the instance owner. */
  readonly owner: number;
  readonly flags: number;
}

export interface NamespaceRoot extends NamespaceEntry, KvsRoot {}

export interface CommitOptions {
  /** `CommitFlag` bits. */
  readonly flags?: number;
}

export interface SnapshotOptions {
  /** Look there instead of at the namespace's newest root: a root's blobref, or a `dirref` as it is. */
  readonly at?: JsonValue | undefined;
}

export interface LookupOptions extends SnapshotOptions {
  /** `LookupFlag` bits. */
  readonly flags?: number;
}

/** A lookup's answer with the root that it comes from; no value when there is no such key. */
export interface LookupPlus extends KvsRoot {
  readonly value: Treeobj | undefined;
}

/** A key with what it is. */
export interface KvsEntry {
  readonly key: string;
  readonly value: Treeobj;
}

/** A namespace of the KVS as one caller sees it. */
export class Kvs {
  readonly namespace: string;
  readonly #caller: Caller;

  /** @param namespace FLUX_KVS_NAMESPACE of the environment, else `primary`, when absent */
  constructor(caller: Caller, namespace = process.env.FLUX_KVS_NAMESPACE ?? PRIMARY_NAMESPACE) {
    this.#caller = caller;
    this.namespace = namespace;
  }

  // ---- changing

  /**
   * Makes all changes of a transaction, or none.
   *
   * @returns the root that has them; changes of others may be in it, too
   * @throws FluxError EINVAL, EISDIR, EOPNOTSUPP: a change that cannot be made; EOPNOTSUPP: no such namespace; EPERM
   */
  commit(transaction: KvsTransaction, { flags = 0 }: CommitOptions = {}): Promise<KvsRoot> {
    const { operations } = transaction;
    return this.#rpc<KvsRoot>('kvs.commit', { namespace: this.namespace, flags, ops: operations });
  }

  /**
   * As `commit`, together with others: it is made when `count` transactions have come under this name.
   *
   * @throws FluxError as `commit`, for all of them when one cannot be made
   */
  fence(name: string, count: number, transaction: KvsTransaction, { flags = 0 }: CommitOptions = {}): Promise<KvsRoot> {
    const { operations } = transaction;
    const payload = { name, nprocs: count, namespace: this.namespace, flags, ops: operations };
    return this.#rpc<KvsRoot>('kvs.fence', payload);
  }

  // ---- reading

  /**
   * What a key is, as the service says it: `val` for a value; with `LookupFlag.readdir` a `dir`, with `readlink` a
   * `symlink`, with `treeobj` the object as it is stored. With `waitcreate` it waits until there is such a key.
   *
   * @throws FluxError ENOENT: no such key; EISDIR, ENOTDIR, EINVAL: it is something else; ELOOP; EOPNOTSUPP: no such
   *   namespace; EPERM
   */
  async lookup(key: string, { flags = 0, at }: LookupOptions = {}): Promise<Treeobj> {
    const topic = flags & LookupFlag.waitcreate ? 'kvs-watch.lookup' : 'kvs.lookup';
    return (await this.#rpc<{ val: Treeobj }>(topic, this.#place(key, flags, at))).val;
  }

  /** As `lookup`, with the root that was looked at; a missing key is no error. */
  async lookupPlus(key: string, { flags = 0, at }: LookupOptions = {}): Promise<LookupPlus> {
    const answer = await this.#rpc<KvsRoot & { val?: Treeobj }>('kvs.lookup-plus', this.#place(key, flags, at));
    return { value: answer.val, rootref: answer.rootref, rootseq: answer.rootseq };
  }

  /** A key's value. */
  async get(key: string, options?: SnapshotOptions): Promise<Uint8Array> {
    return valBytes(await this.lookup(key, options));
  }

  /** A key's value as text. */
  async getText(key: string, options?: SnapshotOptions): Promise<string> {
    return Buffer.from(await this.get(key, options)).toString();
  }

  /**
   * A key's value, which is a JSON text.
   *
   * @throws FluxError EINVAL when it is none, and what `lookup` throws
   */
  async getJson<T = JsonValue>(key: string, options?: SnapshotOptions): Promise<T> {
    const text = await this.getText(key, options);
    try {
      return parseJson(text) as T;
    } catch (error) {
      throw new FluxError('EINVAL', `the value of ${key} is not JSON: ${(error as Error).message}`);
    }
  }

  /** The entries of a directory by name, sorted; directories in it are references. */
  async readdir(key = '.', options: SnapshotOptions = {}): Promise<ReadonlyMap<string, Treeobj>> {
    const dir = await this.lookup(key, { ...options, flags: LookupFlag.readdir });
    if (dir.type !== 'dir') throw new FluxError('EPROTO', `the listing of ${key} is a ${dir.type}`);
    const names = Object.keys(dir.data).sort(compareNames);
    return new Map(names.map((name) => [name, dir.data[name]!]));
  }

  /** Where a symbolic link leads. */
  async readlink(key: string, options: SnapshotOptions = {}): Promise<Symlink['data']> {
    const link = await this.lookup(key, { ...options, flags: LookupFlag.readlink });
    if (link.type !== 'symlink') throw new FluxError('EPROTO', `the link ${key} is a ${link.type}`);
    return link.data;
  }

  /**
   * All that is below a directory at one moment, sorted, each directory before what is in it. Symbolic links are not
   * followed.
   */
  async *walk(key = '.', { at }: SnapshotOptions = {}): AsyncGenerator<KvsEntry, void, undefined> {
    const snapshot = at ?? (await this.getroot()).rootref;
    const entries = await this.readdir(key, { at: snapshot });
    const parent = key.replace(/^\.+|\.+$/g, '');
    for (const [name, value] of entries) {
      const path = parent ? `${parent}.${name}` : name;
      yield { key: path, value };
      if (value.type !== 'dirref') continue;
      for await (const entry of this.walk('.', { at: value })) yield { ...entry, key: `${path}.${entry.key}` };
    }
  }

  /** The namespace's newest root. */
  async getroot(): Promise<NamespaceRoot> {
    return withUserid(await this.#rpc<NamespaceRoot>('kvs.getroot', { namespace: this.namespace, flags: 0 }));
  }

  /** Resolves when the namespace has seen so many commits, to its root then. */
  waitVersion(rootseq: number): Promise<KvsRoot> {
    return this.#rpc<KvsRoot>('kvs.wait-version', { namespace: this.namespace, rootseq });
  }

  // ---- watching

  /**
   * What a key is now, and again when a commit has changed it, until the loop is left.
   *
   * @param flags `LookupFlag` bits: `watchFull` (after every change to the value, whatever key made it), `watchUniq` (not
   *   when it is the same as before), `watchAppend` (each piece that is put behind it), `waitcreate`, and those of
   *   `lookup`. With `initialSentinel` undefined stands between what is there at first and what comes later.
   * @throws FluxError in the loop: what `lookup` throws; EINVAL when a key watched with `watchAppend` is overwritten
   */
  watch(key: string, flags = 0): Stream<Treeobj | undefined> {
    return this.#stream(key, flags | LookupFlag.watch, (answer) => answer?.val);
  }

  /** A key's value piece by piece, as it was appended. */
  stream(key: string, flags = 0): Stream<Uint8Array> {
    return this.#stream(key, flags | LookupFlag.stream, (answer) => valBytes(answer?.val));
  }

  #stream<T>(key: string, flags: number, convert: (answer: { readonly val: Treeobj } | undefined) => T): Stream<T> {
    const payload = { namespace: this.namespace, key, flags };
    const responses = this.#caller.request('kvs-watch.lookup', payload, { flags: Flag.streaming });
    const cancel = () => this.#caller.notify('kvs-watch.cancel', { matchtag: responses.matchtag });
    return new Stream(responses, (message) => convert(message.json as { val: Treeobj } | undefined), cancel);
  }

  #place(key: string, flags: number, at: JsonValue | undefined): JsonObject {
    if (at === undefined) return { namespace: this.namespace, key, flags };
    return { key, flags, rootdir: typeof at === 'string' ? makeDirref(at) : at };
  }

  #rpc<T>(topic: string, payload: JsonObject): Promise<T> {
    return this.#caller.rpc(topic, payload) as Promise<T>;
  }
}

// ---- namespaces

export interface NamespaceOptions {
  /** Userid of the user who may use it beside the instance owner; the instance owner alone when absent. */
  readonly owner?: number;
  /** Blobref of the root it begins with; an empty directory when absent. */
  readonly rootref?: string;
}

/** @throws FluxError EEXIST: there is one of that name; EPERM: only the instance owner makes namespaces */
export async function createNamespace(
  handle: Handle,
  namespace: string,
  options: NamespaceOptions = {},
): Promise<void> {
  const { owner = USERID_UNKNOWN, rootref = await emptyRoot(handle) } = options;
  // C clients send the userid as a signed integer, and the service takes it as one.
  await handle.rpc('kvs.namespace-create', { namespace, rootref, owner: owner | 0, flags: 0 }, { nodeid: 0 });
}

async function emptyRoot(handle: Handle): Promise<string> {
  const hash = (await handle.attribute('content.hash')) as HashName;
  return makeBlobref(hash, Buffer.from(encodeTreeobj(makeDir())));
}

/**
 * Removes a namespace and all that is in it; one that is not there is no error.
 *
 * @throws FluxError EOPNOTSUPP: the primary namespace; EPERM
 */
export async function removeNamespace(handle: Handle, namespace: string): Promise<void> {
  await handle.rpc('kvs.namespace-remove', { namespace }, { nodeid: 0 });
}

/** All namespaces, in no order. */
export async function listNamespaces(handle: Handle): Promise<readonly NamespaceEntry[]> {
  return (await handle.rpc<{ namespaces: NamespaceEntry[] }>('kvs.namespace-list')).namespaces.map(withUserid);
}

/** The service writes userids as signed integers. */
function withUserid<T extends NamespaceEntry>(entry: T): T {
  return { ...entry, owner: entry.owner >>> 0 };
}
