/**
 * Where watchers learn of the KVS: from the service on the same thread, by calls, or from one elsewhere, by messages.
 */

import type { ServiceContext } from '../../core/broker/service.ts';
import { errno, FluxError } from '../../core/errno.ts';
import { LookupFlag } from '../../core/formats/kvs-flags.ts';
import { makeDirref, type Treeobj } from '../../core/formats/treeobj.ts';
import type { JsonValue } from '../../core/json.ts';
import type { Credentials } from '../../core/message/credentials.ts';
import type { Message } from '../../core/message/message.ts';
import { unpack } from '../../core/message/unpack.ts';
import type { StoreThread } from '../content/access.ts';
import { RemoteContent } from '../content/remote-content.ts';
import type { KvsFollower, Root } from '../kvs/follower.ts';

export type Eventually<T> = T | Promise<T>;

/** Goes on with a value: at once when it is there. */
export function whenThere<T, R>(value: Eventually<T>, goOn: (value: T) => R): Eventually<Awaited<R>> {
  return (value instanceof Promise ? value.then(goOn) : goOn(value)) as Eventually<Awaited<R>>;
}

export interface SourceListener {
  /** A namespace is there. */
  created(root: Root): void;
  /**
   * A commit has changed a namespace.
   *
   * @param keys normalized keys that it named
   * @param isComplete whether nothing changed but these keys, what is above them and what is below
   */
  changed(root: Root, keys: readonly string[], isComplete: boolean): void;
  removed(namespace: string): void;
}

export interface Source {
  /** Whether it tells which commits changed more than they name; otherwise all might have. */
  readonly isPrecise: boolean;
  /** Begins to tell of all namespaces; called once, before anything else. */
  follow(listener: SourceListener): void;
  /** @throws FluxError EOPNOTSUPP: there is no such namespace; or rejects with it */
  root(namespace: string): Eventually<Root>;
  /** What a key is in a root of its namespace, to a user; undefined when there is no such key. */
  lookup(root: Root, key: string, flags: number, user: Credentials): Eventually<Treeobj | undefined>;
  load(blobref: string): Eventually<Uint8Array>;
  /** Tells of nothing any more. */
  close(): void;
}

export function makeSource(context: ServiceContext, shared: StoreThread): Source {
  const remote = new RemoteContent(context);
  const load = (blobref: string) => {
    const { content = remote } = shared;
    return content.get(blobref) ?? content.load(blobref);
  };
  return shared.kvs ? new LocalSource(shared.kvs, load) : new RemoteSource(context, load);
}

type Load = Source['load'];

/** The services on this thread. */
class LocalSource implements Source {
  readonly isPrecise = true;
  readonly load: Load;
  readonly #kvs: KvsFollower;
  readonly #ends: (() => void)[] = [];

  constructor(kvs: KvsFollower, load: Load) {
    this.#kvs = kvs;
    this.load = load;
  }

  follow(listener: SourceListener): void {
    this.#ends.push(
      this.#kvs.onCreated((root) => listener.created(copyRoot(root))),
      this.#kvs.onSetroot((setroot) => listener.changed(copyRoot(setroot), setroot.keys, setroot.complete)),
      this.#kvs.onRemoved((namespace) => listener.removed(namespace)),
    );
  }

  root(namespace: string): Root {
    const root = this.#kvs.root(namespace);
    if (!root) throw new FluxError('EOPNOTSUPP', `there is no namespace ${namespace}`);
    return copyRoot(root);
  }

  lookup(root: Root, key: string, flags: number, user: Credentials): Eventually<Treeobj | undefined> {
    return this.#kvs.lookup(root.namespace, key, flags, user, root.rootref);
  }

  close(): void {
    for (const end of this.#ends.splice(0)) end();
  }
}

/** A root as it is now; what the service hands out may change later. */
function copyRoot({ namespace, owner, flags, rootref, rootseq }: Root): Root {
  return { namespace, owner, flags, rootref, rootseq };
}

/** What `kvs.lookup` is asked for; the rest of a watcher's flags is its own business. */
const LOOKUP_FLAGS = LookupFlag.readdir | LookupFlag.readlink | LookupFlag.treeobj;

/** Services on another thread or another rank. */
class RemoteSource implements Source {
  readonly isPrecise = false;
  readonly load: Load;
  readonly #context: ServiceContext;

  constructor(context: ServiceContext, load: Load) {
    this.#context = context;
    this.load = load;
  }

  follow(listener: SourceListener): void {
    this.#context.subscribe('kvs.namespace-', (event) => takeEvent(event, listener));
  }

  async root(namespace: string): Promise<Root> {
    return readRoot(await this.#context.rpc('kvs.getroot', { namespace, flags: 0 }));
  }

  async lookup(root: Root, key: string, flags: number, user: Credentials): Promise<Treeobj | undefined> {
    // The root is what counts; the namespace says which thread has it.
    const { namespace, rootref } = root;
    const payload = { namespace, key, flags: flags & LOOKUP_FLAGS, rootdir: makeDirref(rootref) };
    const { userid, rolemask } = user;
    const response = await this.#context.request('kvs.lookup', payload, { credentials: { userid, rolemask } }).next();
    if (response.errnum === errno.ENOENT) return undefined;
    if (response.errnum) throw response.error();
    return response.unpack({ val: 'o' }).val as unknown as Treeobj;
  }

  close(): void {}
}

const rootFields = { namespace: 's', owner: 'i', rootref: 's', rootseq: 'i', flags: 'i?' } as const;

function readRoot(payload: JsonValue | undefined): Root {
  const { owner, flags = 0, ...root } = unpack(payload, rootFields);
  // The service writes userids as signed integers.
  return { ...root, owner: owner >>> 0, flags };
}

function takeEvent(event: Message, listener: SourceListener): void {
  const { topic = '' } = event;
  if (topic.endsWith('-removed')) listener.removed(event.unpack({ namespace: 's' }).namespace);
  else if (topic.endsWith('-created')) listener.created(readRoot(event.json));
  // Commits may have gone through symbolic links, and the event does not say so.
  else if (topic.endsWith('-setroot'))
    listener.changed(readRoot(event.json), Object.keys(event.unpack({ keys: 'o' }).keys), false);
}
