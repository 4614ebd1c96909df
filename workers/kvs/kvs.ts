/**
 * The module `kvs`: a key value store of namespaces (RFC 10, RFC 11, RFC 16). It runs at rank 0; requests of other ranks
 * come here.
 *
 * A commit makes a new root directory of a namespace, and never changes what is there: who holds on to a root sees the
 * store as it was then. Each new root is told by an event.
 */

import type { ModuleDefinition, Service, ServiceContext, Timer } from '../../core/broker/service.ts';
import { errno, FluxError } from '../../core/errno.ts';
import { makeBlobref } from '../../core/formats/blobref.ts';
import { LATER, type Methods, type Reply, type Request } from '../../core/handle/methods.ts';
import type { JsonObject } from '../../core/json.ts';
import { type Credentials, Role, USERID_UNKNOWN } from '../../core/message/credentials.ts';
import { unpack } from '../../core/message/unpack.ts';
import type { ContentAccess, StoreThread } from '../content/access.ts';
import { RemoteContent } from '../content/remote-content.ts';
import { Checkpoints } from './checkpoints.ts';
import { Committer } from './committer.ts';
import { Directory } from './directory.ts';
import { type FollowedKvs, Follower, type Root } from './follower.ts';
import { type Namespace, Namespaces, PRIMARY } from './namespaces.ts';
import { LoadedObjects, ObjectCache } from './object-cache.ts';
import { makePlain } from './plain-tree.ts';
import { type Found, Reader } from './reader.ts';
import { type LookupRequest, readLookup } from './requests.ts';
import { RootEvents } from './root-events.ts';
import { type Arguments, kvsArguments, kvsSettings, type Settings } from './settings.ts';

/** Seconds between two looks at whether the cache is old. */
const AGING_PERIOD = 10;

/**
 * The module for a thread; `shared.kvs` is there from when it first runs, and stays.
 *
 * @param owns which namespaces are here, where the KVS is on several threads (`shards.ts`)
 */
export function kvsModule(shared: StoreThread, owns: (namespace: string) => boolean = () => true): ModuleDefinition {
  return {
    async start(context, args) {
      const options = kvsArguments(args);
      const follower = shared.kvs instanceof Follower ? shared.kvs : new Follower();
      const kvs = new Kvs(context, shared, follower, owns, options);
      await kvs.open(options);
      shared.kvs = follower;
      return kvs;
    },
  };
}

class Kvs implements Service, FollowedKvs {
  readonly #context: ServiceContext;
  readonly #content: () => ContentAccess;
  readonly #follower: Follower;
  readonly #namespaces = new Namespaces();
  readonly #cache: ObjectCache;
  readonly #reader: Reader;
  readonly #events: RootEvents;
  readonly #committer: Committer;
  readonly #checkpoints: Checkpoints;
  readonly #owns: (namespace: string) => boolean;
  readonly #owner: number;
  #settings: Settings;
  #aging: Timer | undefined;

  constructor(
    context: ServiceContext,
    shared: StoreThread,
    follower: Follower,
    owns: (namespace: string) => boolean,
    { merges }: Arguments,
  ) {
    const remote = new RemoteContent(context);
    this.#context = context;
    this.#content = () => shared.content ?? remote;
    this.#follower = follower;
    this.#owner = Number(context.attribute('security.owner') ?? 0);
    this.#settings = kvsSettings(context.config);
    this.#cache = new ObjectCache(this.#content, context.clock);
    this.#owns = owns;
    this.#reader = new Reader(this.#cache, this.#namespaces, {
      has: (namespace) => !owns(namespace),
      rootref: async (namespace, credentials) =>
        unpack(await context.rpc('kvs.getroot', { namespace }, { credentials }), { rootref: 's' }).rootref,
    });
    this.#events = new RootEvents(context);
    this.#checkpoints = new Checkpoints(context, this.#content, () => this.#namespaces.get(PRIMARY));
    this.#committer = new Committer({
      context,
      follower,
      merges,
      namespaces: this.#namespaces,
      events: this.#events,
      cache: this.#cache,
      content: this.#content,
      maxdirent: () => this.#settings.maxdirent,
      soon: shared.soon ?? queueMicrotask,
      later: (callback) => void context.clock.after(0, callback),
      checkpoint: (rootref, rootseq) => this.#checkpoints.put({ rootref, rootseq }),
    });
  }

  // ---- start and end

  async open(options: Arguments): Promise<void> {
    this.#countReferences();
    const { bytes } = Directory.empty;
    const empty = makeBlobref(this.#cache.hash, bytes);
    await this.#content().store(empty, bytes);
    if (this.#owns(PRIMARY)) await this.#openPrimary(options, empty);
    this.#checkpoints.setPeriod(this.#settings.checkpointPeriod);
    this.#age();
    this.#follower.attach(this);
  }

  #countReferences(): void {
    const { references } = this.#content();
    if (!references) return;
    references.grace = this.#settings.grace;
    if (this.#settings.collects) references.use();
    else references.abandon();
  }

  /** Makes the primary namespace: as it was left, or empty. */
  async #openPrimary({ initialRootref }: Arguments, empty: string): Promise<void> {
    const checkpoint =
      initialRootref === undefined ? await this.#checkpoints.restore((rootref) => this.#checkRoot(rootref)) : undefined;
    const rootref = initialRootref ?? checkpoint?.rootref ?? empty;
    const primary = this.#namespaces.create(PRIMARY, rootref, this.#owner, 0);
    primary.rootseq = checkpoint?.sequence ?? 0;
    this.#referToRoot(rootref);
    if (!this.#settings.maxdirent) await this.#makePlain(primary);
  }

  async #makePlain(namespace: Namespace): Promise<void> {
    const content = this.#content();
    const settings = { namespace: namespace.namespace, hash: content.hash, maxdirent: 0 };
    const plain = await makePlain(namespace.rootref, this.#cache, settings);
    if (!plain) return;
    for (const [blobref, bytes] of plain.store) await content.store(blobref, bytes);
    content.references?.add(plain.referred);
    content.references?.replace(plain.replaced);
    namespace.rootref = plain.rootref;
    namespace.rootseq++;
    this.#context.log('info', `${plain.store.length} directories of the KVS were made plain`);
  }

  #referToRoot(blobref: string): void {
    const content = this.#content();
    const { bytes } = Directory.empty;
    if (blobref !== makeBlobref(content.hash, bytes)) {
      content.references?.add([{ blobref, isDirectory: true }]);
      return;
    }
    // Many begin with it, and it is garbage in between.
    const stored = content.store(blobref, bytes);
    stored?.catch((error) => this.#context.log('err', `an empty root is not stored: ${error.message}`));
  }

  async #checkRoot(rootref: string): Promise<void> {
    const objects = new LoadedObjects(this.#cache);
    await objects.load([rootref]);
    objects.directory(rootref);
  }

  #age(): void {
    this.#cache.age();
    this.#aging = this.#context.clock.after(AGING_PERIOD, () => this.#age());
  }

  async stop(): Promise<void> {
    this.#aging?.cancel();
    this.#committer.stop();
    this.#follower.attach(undefined);
    for (const { namespace, isPrimary, rootref } of this.#namespaces) {
      this.#follower.removed(namespace);
      // What is lost with it; the primary one goes on from its checkpoint.
      if (!isPrimary) this.#content().references?.release(rootref);
    }
    await this.#checkpoints.stop();
  }

  configure(config: JsonObject): void {
    this.#settings = kvsSettings(config);
    const { references } = this.#content();
    if (references) references.grace = this.#settings.grace;
    this.#checkpoints.setPeriod(this.#settings.checkpointPeriod);
  }

  // ---- reading

  root(namespace: string): Root | undefined {
    return this.#namespaces.get(namespace);
  }

  lookup(namespace: string, key: string, flags: number, user: Credentials, rootref?: string): Found | Promise<Found> {
    const root = rootref ?? this.#namespaces.open(namespace, user).rootref;
    return this.#reader.lookup(root, key, flags, user);
  }

  /** Looks something up and answers with what `answer` makes of it and of the root it was found below. */
  #answerLookup(request: Request, answer: (found: Found, root: LookupRoot) => JsonObject): Reply | Promise<Reply> {
    const { key, flags, ...where } = readLookup(request.payload);
    const { rootref, rootseq } = this.#lookupRoot(where, request);
    const found = this.#reader.lookup(rootref, key, flags, request);
    const root = { rootref, rootseq };
    return found instanceof Promise ? found.then((value) => answer(value, root)) : answer(found, root);
  }

  #lookupRoot({ namespace, rootref, rootseq = -1 }: Omit<LookupRequest, 'key' | 'flags'>, user: Request): LookupRoot {
    return rootref === undefined ? this.#namespaces.open(namespace!, user) : { rootref, rootseq };
  }

  #open(request: Request) {
    return this.#namespaces.open(request.unpack({ namespace: 's' }).namespace, request);
  }

  // ---- namespaces

  #createNamespace(request: Request): void {
    const { namespace, rootref, owner, flags } = request.unpack({
      namespace: 's',
      rootref: 's',
      owner: 'i',
      flags: 'i',
    });
    // A C int: nobody's userid is -1.
    const userid = owner >>> 0 === USERID_UNKNOWN ? this.#owner : owner >>> 0;
    const created = this.#namespaces.create(namespace, rootref, userid, flags);
    this.#referToRoot(rootref);
    this.#follower.created(created);
    this.#events.created(created);
  }

  #removeNamespace(request: Request): void {
    const { namespace: name } = request.unpack({ namespace: 's' });
    if (name.toLowerCase() === PRIMARY) throw new FluxError('EOPNOTSUPP', `namespace ${PRIMARY} cannot be removed`);
    const namespace = this.#namespaces.remove(name);
    if (!namespace) return;
    this.#content().references?.release(namespace.rootref);
    this.#events.removed(name);
    this.#follower.removed(name);
    this.#committer.remove(namespace);
    namespace.resume();
    for (const waiting of namespace.waits.take(Infinity)) waiting.fail('EOPNOTSUPP');
  }

  #waitVersion(request: Request): Reply {
    const { rootseq } = request.unpack({ namespace: 's', rootseq: 'i' });
    const namespace = this.#open(request);
    if (namespace.rootseq >= rootseq) return { rootseq: namespace.rootseq, rootref: namespace.rootref };
    namespace.waits.add(rootseq, request);
    return LATER;
  }

  readonly methods: Methods = {
    commit: { allow: Role.user, handler: (request) => this.#committer.commit(request) },
    fence: { allow: Role.user, handler: (request) => this.#committer.fence(request) },
    relaycommit: {
      handler: (request) => {
        this.#committer.relay(request);
        return undefined;
      },
    },
    lookup: {
      allow: Role.user,
      handler: (request) =>
        this.#answerLookup(request, (found) => {
          if (!found) throw new FluxError('ENOENT');
          return { val: found };
        }),
    },
    // As lookup, for who must know in which root something was, or was not.
    'lookup-plus': {
      allow: Role.user,
      handler: (request) =>
        this.#answerLookup(request, (found, { rootref, rootseq }) => {
          const what = found ? { val: found } : { errno: errno.ENOENT };
          return { ...what, rootseq, rootref };
        }),
    },
    getroot: {
      allow: Role.user,
      handler: (request) => {
        const { owner, rootseq, rootref, flags, namespace } = this.#open(request);
        return { owner, rootseq, rootref, flags, namespace };
      },
    },
    'wait-version': { allow: Role.user, handler: (request) => this.#waitVersion(request) },
    'namespace-create': {
      handler: (request) => {
        this.#createNamespace(request);
        return undefined;
      },
    },
    'namespace-remove': {
      handler: (request) => {
        this.#removeNamespace(request);
        return undefined;
      },
    },
    'namespace-list': {
      handler: () => ({
        namespaces: [...this.#namespaces].map(({ namespace, owner, flags }) => ({ namespace, owner, flags })),
      }),
    },
    // Commits are not answered until they are let go on: for tests of programs.
    'setroot-pause': {
      allow: Role.user,
      handler: (request) => {
        this.#open(request).pause();
        return undefined;
      },
    },
    'setroot-unpause': {
      allow: Role.user,
      handler: (request) => {
        this.#open(request).resume();
        return undefined;
      },
    },
    disconnect: {
      allow: Role.user,
      handler: ({ sender }) => {
        this.#namespaces.disconnect(sender);
        this.#committer.disconnect(sender);
        return undefined;
      },
    },
  };

  // ---- statistics

  stats(): JsonObject {
    const namespaces = [...this.#namespaces];
    return {
      cache: this.#cache.stats(),
      namespace: Object.fromEntries(namespaces.map((namespace) => [namespace.namespace, namespace.stats()])),
      'transaction-opcount': this.#committer.stats(),
      pending_requests: namespaces.reduce((sum, { queue, waits }) => sum + queue.length + waits.count, 0),
    };
  }

  clearStats(): void {
    this.#cache.clearStats();
    this.#committer.clearStats();
    for (const namespace of this.#namespaces) namespace.noopCount = 0;
  }
}

interface LookupRoot {
  readonly rootref: string;
  readonly rootseq: number;
}
