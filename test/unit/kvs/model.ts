/** A namespace as plain maps, slow and simple: what lookups must see, and the bytes that flux-core would store. */

import { FluxError } from '../../../core/errno.ts';
import { type HashName, makeBlobref } from '../../../core/formats/blobref.ts';
import { LookupFlag } from '../../../core/formats/kvs-flags.ts';
import {
  encodeTreeobj,
  makeDir,
  makeDirref,
  makeSymlink,
  makeVal,
  makeValref,
  type Treeobj,
} from '../../../core/formats/treeobj.ts';

export type Node =
  | { readonly kind: 'dir'; readonly entries: Map<string, Node> }
  /** A value by the blobs it was put together from. */
  | { readonly kind: 'value'; readonly parts: readonly Buffer[] }
  | { readonly kind: 'link'; readonly target: string; readonly namespace?: string | undefined };

type DirNode = Extract<Node, { kind: 'dir' }>;

export type Change =
  | { readonly key: string; readonly node: Node | null }
  | { readonly key: string; readonly added: Buffer };

export function emptyDir(): DirNode {
  return { kind: 'dir', entries: new Map() };
}

/** A node that changes of the other do not reach. */
export function clone(node: Node): Node {
  if (node.kind !== 'dir') return node;
  return { kind: 'dir', entries: new Map([...node.entries].map(([name, entry]) => [name, clone(entry)])) };
}

function namesOf(key: string): string[] {
  return key.split('.').filter((name) => name !== '');
}

export class Model {
  readonly namespace: string;
  root = emptyDir();

  constructor(namespace: string) {
    this.namespace = namespace;
  }

  /** Makes changes, all or none; throws FluxError. */
  commit(changes: readonly Change[]): void {
    const before = clone(this.root) as DirNode;
    try {
      for (const change of changes) this.#change(change, namesOf(change.key), 0);
    } catch (error) {
      this.root = before;
      throw error;
    }
  }

  #change(change: Change, names: readonly string[], links: number): void {
    if (!names.length) throw new FluxError('EINVAL');
    if (links > 64) throw new FluxError('ELOOP');
    const isUnlink = 'node' in change && change.node === null;
    let directory = this.root;
    for (const [index, name] of names.slice(0, -1).entries()) {
      let entry = directory.entries.get(name);
      if (entry?.kind === 'link') {
        if (entry.namespace !== undefined && entry.namespace !== this.namespace) throw new FluxError('EINVAL');
        this.#change(change, [...namesOf(entry.target), ...names.slice(index + 1)], links + 1);
        return;
      }
      if (entry?.kind !== 'dir') {
        if (isUnlink) return;
        entry = emptyDir();
        directory.entries.set(name, entry);
      }
      directory = entry;
    }
    const name = names.at(-1)!;
    const now = this.#newNode(change, directory.entries.get(name));
    if (now) directory.entries.set(name, now);
    else directory.entries.delete(name);
  }

  #newNode(change: Change, entry: Node | undefined): Node | null {
    if ('node' in change) return change.node && clone(change.node);
    if (entry?.kind === 'dir') throw new FluxError('EISDIR');
    if (entry?.kind === 'link') throw new FluxError('EOPNOTSUPP');
    return { kind: 'value', parts: [...(entry?.parts ?? []), change.added] };
  }

  /** What `kvs.lookup` answers; throws FluxError. */
  lookup(key: string, flags: number): Treeobj | undefined {
    const names = namesOf(key);
    const isLinkWanted = (flags & LookupFlag.readlink) !== 0;
    const node = this.find(key, !isLinkWanted);
    if (!node) return undefined;
    const isDirWanted = (flags & LookupFlag.readdir) !== 0;
    if (!names.length && !isDirWanted) throw new FluxError('EISDIR');
    if (isLinkWanted && node.kind !== 'link' && names.length) throw new FluxError('EINVAL');
    if (isDirWanted && node.kind !== 'dir') throw new FluxError('ENOTDIR');
    if (!isDirWanted && node.kind === 'dir') throw new FluxError('EISDIR');
    if (node.kind === 'value') return makeVal(Buffer.concat(node.parts));
    if (node.kind === 'link') return makeSymlink(node.target, node.namespace);
    return makeDir(Object.fromEntries([...node.entries].map(([name, entry]) => [name, this.entry(entry, 'sha1')])));
  }

  /** What is at a key; symlinks are followed, the last one if `follows`. */
  find(key: string, follows: boolean): Node | undefined {
    const names = namesOf(key);
    return names.length ? this.#resolve(names, follows, 0) : this.root;
  }

  /** What names lead to; links in other namespaces lead here, too. */
  #resolve(names: readonly string[], follows: boolean, links: number): Node | undefined {
    let node: Node | undefined = this.root;
    for (const [index, name] of names.entries()) {
      if (node?.kind !== 'dir') return undefined;
      node = node.entries.get(name);
      if (node?.kind !== 'link' || (index === names.length - 1 && !follows)) continue;
      if (links === 10) throw new FluxError('ELOOP');
      const target = namesOf(node.target);
      node = target.length ? this.#resolve(target, true, links + 1) : this.root;
    }
    return node;
  }

  /** A node as it stands in a directory that flux-core stores. */
  entry(node: Node, hash: HashName): Treeobj {
    if (node.kind === 'dir') return makeDirref(this.blobref(node, hash));
    if (node.kind === 'link') return makeSymlink(node.target, node.namespace);
    const [first] = node.parts;
    if (node.parts.length === 1 && makeVal(first!).data.length <= 72) return makeVal(first!);
    return makeValref(node.parts.map((part) => makeBlobref(hash, part)));
  }

  blobref({ entries }: DirNode, hash: HashName): string {
    const data = Object.fromEntries([...entries].map(([name, node]) => [name, this.entry(node, hash)]));
    return makeBlobref(hash, Buffer.from(encodeTreeobj(makeDir(data))));
  }
}
