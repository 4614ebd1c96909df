/**
 * The module `kvs-watch`: answers lookups of the KVS that go on, each time that a commit has changed a key; those that
 * wait for a key; and those that want a large value in pieces.
 */

import type { ModuleDefinition, Service, ServiceContext } from '../../core/broker/service.ts';
import { endOfStream, FluxError } from '../../core/errno.ts';
import { LookupFlag } from '../../core/formats/kvs-flags.ts';
import { normalizeKey } from '../../core/formats/kvs-key.ts';
import { LATER, type Methods, type Request } from '../../core/handle/methods.ts';
import { mayEnd } from '../../core/handle/request-list.ts';
import type { JsonObject } from '../../core/json.ts';
import { Role } from '../../core/message/credentials.ts';
import type { StoreThread } from '../content/access.ts';
import type { SlowReaders } from '../rexec/slow-readers.ts';
import { Reader } from './reader.ts';
import { makeSource, type Source } from './source.ts';
import { WatchedNamespace } from './watched-namespace.ts';
import { Watcher } from './watcher.ts';

/**
 * @param shared the services of the store on this thread; where `kvs` is not among them, it is asked by messages
 * @param slowReaders knows which clients do not take what they are sent
 */
export function kvsWatchModule(shared: StoreThread, slowReaders?: SlowReaders): ModuleDefinition {
  return { start: (context) => new KvsWatch(context, makeSource(context, shared), slowReaders) };
}

class KvsWatch implements Service {
  readonly #context: ServiceContext;
  readonly #source: Source;
  readonly #slowReaders: SlowReaders | undefined;
  readonly #namespaces = new Map<string, WatchedNamespace>();
  // By who asked, and the matchtag of the request.
  readonly #watchers = new Map<string, Map<number, Watcher>>();
  readonly #readers = new Map<string, Reader>();

  constructor(context: ServiceContext, source: Source, slowReaders: SlowReaders | undefined) {
    this.#context = context;
    this.#source = source;
    this.#slowReaders = slowReaders;
    source.follow({
      created: (root) => this.#namespaces.get(root.namespace)?.exists(root),
      changed: (root, keys, isComplete) => this.#namespaces.get(root.namespace)?.changed(root, keys, isComplete),
      removed: (namespace) => this.#namespaces.get(namespace)?.removed(),
    });
  }

  stop(): void {
    this.#source.close();
    for (const reader of this.#readers.values()) this.#slowReaders?.remove(reader);
  }

  /** @param way ids on the way of the answers, where who asks sends them on to somebody else */
  #watch(request: Request, name: string, key: string, flags: number, way: readonly string[] | undefined): void {
    const { sender, message } = request;
    if (!message.wantsResponse) return;
    const own = this.#watchers.get(sender) ?? new Map<number, Watcher>();
    if (own.has(message.matchtag))
      throw new FluxError('EINVAL', `the matchtag ${message.matchtag} is that of another watch`);
    const namespace = this.#namespace(name);
    const reader = this.#reader(request, way ?? message.routes.ids());
    const watcher = new Watcher(request, normalizeKey(key), flags, reader, namespace);
    own.set(message.matchtag, watcher);
    this.#watchers.set(sender, own);
    namespace.add(watcher);
  }

  #reader(request: Request, way: readonly string[]): Reader {
    const name = way.join(' ');
    let reader = this.#readers.get(name);
    if (!reader) {
      reader = new Reader(name);
      this.#readers.set(name, reader);
      this.#slowReaders?.add(request, reader, way);
    }
    reader.count++;
    return reader;
  }

  #namespace(name: string): WatchedNamespace {
    let namespace = this.#namespaces.get(name);
    if (!namespace) {
      namespace = new WatchedNamespace(name, this.#source, this.#turn, (watcher, of) => this.#forget(watcher, of));
      this.#namespaces.set(name, namespace);
    }
    return namespace;
  }

  readonly #turn = () => new Promise<void>((resolve) => this.#context.clock.after(0, resolve));

  #forget({ request: { sender, message }, reader }: Watcher, namespace: WatchedNamespace): void {
    const own = this.#watchers.get(sender)!;
    own.delete(message.matchtag);
    if (own.size === 0) this.#watchers.delete(sender);
    if (--reader.count === 0) {
      this.#readers.delete(reader.way);
      this.#slowReaders?.remove(reader);
    }
    if (namespace.count === 0) this.#namespaces.delete(namespace.name);
  }

  readonly methods: Methods = {
    lookup: {
      allow: Role.user,
      handler: (request: Request) => {
        const { namespace, key, flags, way } = request.unpack({ namespace: 's', key: 's', flags: 'i', way: 'a?' });
        checkFlags(request, flags);
        this.#watch(request, namespace, key, flags, request.isOwner ? way?.map(String) : undefined);
        return LATER;
      },
    },
    cancel: {
      allow: Role.user,
      handler: (request: Request) => {
        const { matchtag } = request.unpack({ matchtag: 'i' });
        const watcher = this.#watchers.get(request.sender)?.get(matchtag);
        if (watcher && mayEnd(request, watcher.request)) watcher.fail(endOfStream);
        return undefined;
      },
    },
    disconnect: {
      allow: Role.user,
      handler: (request: Request) => {
        for (const watcher of [...(this.#watchers.get(request.sender)?.values() ?? [])])
          if (mayEnd(request, watcher.request)) watcher.drop();
        return undefined;
      },
    },
  };

  stats(): JsonObject {
    const namespaces = [...this.#namespaces.values()];
    return {
      watchers: namespaces.reduce((sum, { count }) => sum + count, 0),
      'namespace-count': namespaces.length,
      namespaces: Object.fromEntries(namespaces.map((namespace) => [namespace.name, describe(namespace)])),
    };
  }
}

function describe({ root, count }: WatchedNamespace): JsonObject {
  // What is not known is written as C clients know it.
  return {
    owner: root ? root.owner | 0 : -1,
    rootseq: root?.rootseq ?? -1,
    rootref: root?.rootref ?? '(null)',
    watchers: count,
  };
}

/** Flags that mean something to a watch only. */
const WATCH_FLAGS = LookupFlag.watchFull | LookupFlag.watchUniq | LookupFlag.watchAppend | LookupFlag.initialSentinel;

function checkFlags(request: Request, flags: number): void {
  const { watch, stream, watchAppend, initialSentinel } = LookupFlag;
  if (flags & watch && !request.isStreaming)
    throw new FluxError('EPROTO', 'KVS watch request rejected without streaming RPC flag');
  if (flags & stream && !request.isStreaming)
    throw new FluxError('EPROTO', 'KVS stream request rejected without streaming RPC flag');
  if (flags & watch && flags & stream) throw new FluxError('EINVAL', 'Cannot KVS watch and stream at the same time');
  if (!(flags & watch) && flags & WATCH_FLAGS)
    throw new FluxError('EINVAL', 'Must set KVS watch flag with other watch flags');
  if (!(flags & watchAppend) && flags & initialSentinel)
    throw new FluxError('EINVAL', 'Must set KVS watch append flag with initial sentinel flag');
}
