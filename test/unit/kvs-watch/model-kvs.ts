/**
 * A KVS in memory that is simple enough to be right: trees of maps, one for each root, copied where they change. What
 * watchers are told comes from it, and what a test expects of them, too.
 */

import type { ModuleDefinition } from '../../../core/broker/service.ts';
import { FluxError } from '../../../core/errno.ts';
import { makeBlobref } from '../../../core/formats/blobref.ts';
import { LookupFlag, OperationFlag } from '../../../core/formats/kvs-flags.ts';
import { normalizeKey } from '../../../core/formats/kvs-key.ts';
import { makeDir, makeDirref, makeVal, makeValref, type Treeobj, valBytes } from '../../../core/formats/treeobj.ts';
import type { KvsTransaction } from '../../../core/handle/kvs-transaction.ts';
import type { Request } from '../../../core/handle/methods.ts';
import { type Credentials, Role } from '../../../core/message/credentials.ts';
import type { ContentAccess } from '../../../workers/content/access.ts';
import type { KvsFollower, Root, Setroot } from '../../../workers/kvs/follower.ts';
import type { Change } from './expected.ts';

/** A directory, or what else a key can be. */
type Node = ReadonlyMap<string, Node> | Treeobj;

type Listener<T> = (told: T) => void;

export class ModelKvs implements KvsFollower {
  readonly blobs = new Map<string, Uint8Array>();
  /** All roots of a namespace since it was made, with what was named. */
  readonly history = new Map<string, Change[]>();
  readonly #roots = new Map<string, Root>();
  readonly #trees = new Map<string, Node>();
  readonly #onCreated = new Set<Listener<Root>>();
  readonly #onSetroot = new Set<Listener<Setroot>>();
  readonly #onRemoved = new Set<Listener<string>>();
  #lastRoot = 0;
  // What lookups and loads wait for while they are held up.
  #held: (() => void)[] | undefined;
  #heldName: string | undefined;

  // ---- changing

  create(namespace: string, owner = 0): void {
    const root = this.#newRoot({ namespace, owner, flags: 0, rootseq: 0 }, new Map());
    this.history.set(namespace, [{ root, keys: [] }]);
    for (const tell of this.#onCreated) tell(root);
  }

  #newRoot(root: Omit<Root, 'rootref'>, tree: Node): Root {
    const rootref = `sha1-${(++this.#lastRoot).toString(16).padStart(40, '0')}`;
    const made = { ...root, rootref };
    this.#trees.set(rootref, tree);
    this.#roots.set(root.namespace, made);
    return made;
  }

  /** Makes changes; `joined` keys have their blobs joined to one by the way. */
  commit(namespace: string, transaction: KvsTransaction, joined: readonly string[] = []): void {
    const { rootref, ...root } = this.#roots.get(namespace)!;
    let tree = this.#trees.get(rootref)!;
    let complete = true;
    for (const { key, flags, dirent } of transaction.operations) {
      const path = this.#follow(tree, normalizeKey(key).split('.'));
      complete &&= path.join('.') === normalizeKey(key);
      const treeobj = dirent as unknown as Treeobj | null;
      const node = flags & OperationFlag.append ? this.#append(find(tree, path), treeobj!) : treeobj && toNode(treeobj);
      tree = put(tree, path, node ?? undefined);
    }
    for (const key of joined) tree = put(tree, key.split('.'), this.#join(find(tree, key.split('.'))));
    const keys = [...new Set(transaction.operations.map(({ key }) => normalizeKey(key)))];
    const made = this.#newRoot({ ...root, rootseq: root.rootseq + 1 }, tree);
    this.history.get(namespace)!.push({ root: made, keys });
    for (const tell of this.#onSetroot) tell({ ...made, keys, complete });
  }

  /** The path without the symbolic links on it. */
  #follow(tree: Node, path: readonly string[]): string[] {
    for (let i = 1; i < path.length; i++) {
      const link = find(tree, path.slice(0, i));
      if (link && !(link instanceof Map) && (link as Treeobj).type === 'symlink')
        return this.#follow(tree, [...targetOf(link as Treeobj), ...path.slice(i)]);
    }
    return [...path];
  }

  #append(node: Node | undefined, value: Treeobj): Node {
    if (node === undefined) return value;
    const blobs = this.#blobsOf(node);
    if (!blobs) throw new FluxError('EISDIR');
    return makeValref([...blobs, this.#store(valBytes(value))]);
  }

  #blobsOf(node: Node | undefined): readonly string[] | undefined {
    if (node === undefined || node instanceof Map) return undefined;
    const treeobj = node as Treeobj;
    if (treeobj.type === 'valref') return treeobj.data;
    return treeobj.type === 'val' ? [this.#store(valBytes(treeobj))] : undefined;
  }

  #join(node: Node | undefined): Node | undefined {
    const isAppended = node && !(node instanceof Map) && (node as Treeobj).type === 'valref';
    return isAppended ? makeValref([this.#store(this.bytes(node as Treeobj))]) : node;
  }

  #store(bytes: Uint8Array): string {
    const blobref = makeBlobref('sha1', bytes);
    this.blobs.set(blobref, bytes);
    return blobref;
  }

  remove(namespace: string): void {
    this.#roots.delete(namespace);
    for (const tell of this.#onRemoved) tell(namespace);
  }

  // ---- reading

  root(namespace: string): Root | undefined {
    return this.#roots.get(namespace);
  }

  /** What a key is in a root, at once. */
  at(root: Pick<Root, 'rootref'>, key: string, flags = 0): Treeobj | undefined {
    const tree = this.#trees.get(root.rootref)!;
    const path = normalizeKey(key) === '.' ? [] : normalizeKey(key).split('.');
    const last = find(tree, this.#follow(tree, path));
    const isLink = last && !(last instanceof Map) && (last as Treeobj).type === 'symlink';
    const followed = isLink && !(flags & (LookupFlag.treeobj | LookupFlag.readlink));
    const node = followed ? find(tree, this.#follow(tree, [...targetOf(last as Treeobj), '']).slice(0, -1)) : last;
    if (node === undefined) return undefined;
    if (flags & LookupFlag.treeobj) return fromNode(node);
    if (flags & LookupFlag.readdir) {
      if (node instanceof Map) return listing(node);
      throw new FluxError('ENOTDIR');
    }
    if (flags & LookupFlag.readlink) {
      if (isLink) return node as Treeobj;
      throw new FluxError('EINVAL');
    }
    if (node instanceof Map) throw new FluxError('EISDIR');
    return makeVal(this.bytes(node as Treeobj));
  }

  /** The bytes of a value. */
  bytes(treeobj: Treeobj): Uint8Array {
    if (treeobj.type === 'val') return valBytes(treeobj);
    return Buffer.concat((treeobj.data as readonly string[]).map((blobref) => this.blobs.get(blobref)!));
  }

  lookup(namespace: string, key: string, flags: number, _user: Credentials, rootref?: string) {
    const root = rootref === undefined ? this.#roots.get(namespace) : { rootref };
    if (!root) throw new FluxError('EOPNOTSUPP');
    return this.#now(key, () => this.at(root, key, flags));
  }

  /** Lets lookups of a key, loads of a blob or `getroot` wait from now on; without a name, all lookups and loads. */
  hold(name?: string): void {
    this.#held ??= [];
    this.#heldName = name;
  }

  /** Lets go on what waits; what comes then is answered at once. */
  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const goOn of held) goOn();
  }

  #isHeld(name: string): boolean {
    if (!this.#held) return false;
    return this.#heldName === undefined ? name !== 'getroot' : this.#heldName === name;
  }

  #now<T>(name: string, read: () => T): T | Promise<T> {
    if (!this.#isHeld(name)) return read();
    return new Promise<void>((resolve) => this.#held!.push(resolve)).then(read);
  }

  /** The blobs, as the module content has them. */
  get content(): ContentAccess {
    const { blobs } = this;
    return {
      hash: 'sha1',
      get: (blobref) => (this.#isHeld(blobref) ? undefined : blobs.get(blobref)),
      load: async (blobref) => this.#now(blobref, () => blobs.get(blobref)!),
    } as ContentAccess;
  }

  onCreated(callback: Listener<Root>): () => void {
    return listen(this.#onCreated, callback);
  }
  onSetroot(callback: Listener<Setroot>): () => void {
    return listen(this.#onSetroot, callback);
  }
  onRemoved(callback: Listener<string>): () => void {
    return listen(this.#onRemoved, callback);
  }

  // ---- as modules

  /** The modules `kvs` and `content`, for watchers that ask by messages. */
  get modules(): Readonly<Record<'kvs' | 'content', ModuleDefinition>> {
    return {
      kvs: {
        start: (context) => {
          const publish = (what: string, root: Root, more = {}) =>
            void context.publish(`kvs.namespace-${root.namespace}-${what}`, { ...root, ...more }, { private: true });
          this.onCreated((root) => publish('created', root));
          this.onSetroot(({ keys, complete: _, ...root }) =>
            publish('setroot', root, { names: [], keys: Object.fromEntries(keys.map((key) => [key, null])) }),
          );
          this.onRemoved((namespace) => void context.publish(`kvs.namespace-${namespace}-removed`, { namespace }));
          return {
            methods: {
              getroot: { handler: (request) => this.#getroot(request) },
              lookup: { allow: Role.user, handler: (request) => this.#answerLookup(request) },
            },
          };
        },
      },
      content: {
        start: () => ({
          methods: {
            load: {
              raw: true,
              handler: async ({ message }) => this.content.load(`sha1-${Buffer.from(message.bytes!).toString('hex')}`),
            },
          },
        }),
      },
    };
  }

  async #getroot(request: Request) {
    const { namespace } = request.unpack({ namespace: 's' });
    return this.#now('getroot', () => {
      const root = this.root(namespace);
      if (!root) throw new FluxError('EOPNOTSUPP');
      return { ...root };
    });
  }

  async #answerLookup(request: Request) {
    const { key, flags, rootdir } = request.unpack({ key: 's', flags: 'i', rootdir: 'o' });
    const rootref = (rootdir.data as string[])[0]!;
    const val = await this.lookup('', key, flags, request, rootref);
    if (!val) throw new FluxError('ENOENT');
    return { val: val };
  }
}

function listen<T>(listeners: Set<T>, listener: T): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function targetOf(link: Treeobj): string[] {
  return (link.data as { target: string }).target.split('.');
}

function find(node: Node | undefined, path: readonly string[]): Node | undefined {
  const [name, ...rest] = path;
  if (name === undefined) return node;
  return node instanceof Map ? find(node.get(name), rest) : undefined;
}

function put(node: Node | undefined, [name, ...rest]: readonly string[], value: Node | undefined): Node {
  const copy = new Map(node instanceof Map ? node : []);
  const isMissing = value === undefined && !(copy.get(name!) instanceof Map);
  if (rest.length && !isMissing) copy.set(name!, put(copy.get(name!), rest, value));
  else if (!rest.length && value === undefined) copy.delete(name!);
  else if (!rest.length) copy.set(name!, value!);
  return copy;
}

function toNode(treeobj: Treeobj): Node {
  return treeobj.type === 'dir' ? new Map() : treeobj;
}

/** A directory's reference is the hash of all that is below it. */
function fromNode(node: Node): Treeobj {
  if (!(node instanceof Map)) return node as Treeobj;
  return makeDirref(makeBlobref('sha1', Buffer.from(JSON.stringify(listing(node)))));
}

function listing(node: ReadonlyMap<string, Node>): Treeobj {
  const names = [...node.keys()].sort();
  return makeDir(Object.fromEntries(names.map((name) => [name, fromNode(node.get(name)!)])));
}
