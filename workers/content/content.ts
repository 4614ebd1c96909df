/**
 * The module `content` (RFC 10): blobs by the hash of their bytes. At rank 0 it is a cache in front of a backing store
 * that another module offers; a rank whose node does not host rank 0 has a cache in front of its parent's.
 */

import type { ModuleDefinition, Service, ServiceContext } from '../../core/broker/service.ts';
import { asFluxError, FluxError } from '../../core/errno.ts';
import {
  blobrefToDigest,
  type HashName,
  isHashName,
  makeBlobref,
  makeBlobrefElsewhere,
} from '../../core/formats/blobref.ts';
import type { Methods, Reply, Request } from '../../core/handle/methods.ts';
import { type JsonObject, type JsonValue, real } from '../../core/json.ts';
import { Flag } from '../../core/message/message.ts';
import { type Checkpoint, type ContentAccess, readCheckpoints, type StoreThread } from './access.ts';
import { type Backing, BackingService } from './backing.ts';
import { requestedBlobref } from './backing-store.ts';
import { ContentCache } from './cache.ts';
import { type FileSource, MappedFiles, realFiles } from './mapped-files.ts';
import { References } from './references.ts';
import { type CacheSettings, parseSettings } from './settings.ts';

/** @param shared what the services of the store on this thread share; at rank 0 this one puts its face there */
export function contentModule(shared: StoreThread, files: FileSource = realFiles): ModuleDefinition {
  return {
    async start(context, args) {
      const settings = parseSettings(args);
      const content = new Content(context, await hashName(context), settings, files);
      if (context.rank === 0) shared.content = content;
      return content.service(() => {
        if (shared.content === content) shared.content = undefined;
      });
    },
  };
}

const DEFAULT_HASH = 'sha1';
/** Bytes of a blob that is hashed on another thread: here it would keep all others waiting for milliseconds. */
const LARGE = 4 * 1024 * 1024;

async function hashName(context: ServiceContext): Promise<HashName> {
  const name = context.attribute('content.hash');
  if (name === undefined) await context.rpc('attr.set', { name: 'content.hash', value: DEFAULT_HASH });
  const hash = name ?? DEFAULT_HASH;
  if (!isHashName(hash)) throw new FluxError('EINVAL', `${hash}: unknown hash type`);
  return hash;
}

class Content implements ContentAccess {
  readonly hash: HashName;
  readonly references: References;
  readonly #context: ServiceContext;
  readonly #cache: ContentCache;
  readonly #files: MappedFiles | undefined;
  /** Of large blobs that are not in the cache yet. */
  readonly #hashing = new Set<Promise<string>>();
  /** The name of the backing store, once it is known; it stays the same. */
  #backingName: string | undefined;

  constructor(context: ServiceContext, hash: HashName, settings: CacheSettings, files: FileSource) {
    const isLeader = context.rank === 0;
    this.hash = hash;
    this.#context = context;
    this.#backingName = context.attribute('content.backing-module');
    this.#files = isLeader ? new MappedFiles(hash, files) : undefined;
    this.#cache = new ContentCache({
      clock: context.clock,
      settings,
      isWriteThrough: !isLeader,
      mapped: (blobref) => this.#files?.read(blobref),
      failing: (error) => context.log(error.code === 'ENOSYS' ? 'debug' : 'crit', `content store: ${error.message}`),
      joined: (blobref) => this.references.addStored(blobref),
    });
    this.references = new References({
      hash,
      clock: context.clock,
      flush: () => this.#cache.flush(),
      abandoned: (reason) => context.log('err', `garbage is not collected any more: ${reason}`),
    });
    if (!isLeader) this.#cache.attach(new BackingService(context));
  }

  // ---- ContentAccess

  get(blobref: string): Uint8Array | undefined {
    return this.#cache.get(blobref);
  }

  load(blobref: string): Promise<Uint8Array> {
    return this.#cache.load(blobref);
  }

  store(blobref: string, bytes: Uint8Array, isCounted = true): void | Promise<void> {
    return this.#cache.store(blobref, bytes, isCounted);
  }

  async flush(): Promise<void> {
    if (this.#hashing.size) await this.#hashed();
    await this.#cache.flush();
  }

  checkpointPut({ version, rootref, sequence, timestamp }: Checkpoint): Promise<void> {
    return this.#putCheckpoint({ version, rootref, sequence, timestamp: real(timestamp) });
  }

  async checkpoints(): Promise<readonly Checkpoint[]> {
    return readCheckpoints(await this.#backing('get').checkpointGet());
  }

  async #putCheckpoint(value: JsonValue): Promise<void> {
    const backing = this.#backing('put');
    await this.flush();
    await backing.checkpointPut(value);
  }

  #backing(what: string): Backing {
    const { backing } = this.#cache;
    if (!backing) throw new FluxError('ENOSYS', `checkpoint ${what} unavailable, no backing store`);
    return backing;
  }

  // ---- the service

  service(stopped: () => void): Service {
    return { methods: this.#methods, stop: () => this.#stop(stopped) };
  }

  async #stop(stopped: () => void): Promise<void> {
    stopped();
    this.references.stop();
    try {
      if (this.#cache.backing) await this.flush();
    } catch (error) {
      this.#context.log('err', `${this.#cache.stats.dirty} blobs are not stored: ${asFluxError(error).message}`);
    }
    this.#cache.stop();
  }

  readonly #methods: Methods = {
    load: { raw: true, handler: (request) => this.#answerLoad(request) },
    store: { raw: true, handler: (request) => this.#answerStore(request) },
    validate: { raw: true, handler: (request) => this.#validate(requestedBlobref(request, this.hash)) },
    flush: { handler: () => this.flush().then(nothing) },
    dropcache: { handler: () => this.#dropCache() },
    'checkpoint-get': { handler: () => this.#backing('get').checkpointGet() },
    'checkpoint-put': {
      handler: (request) => {
        this.#backing('put');
        return this.#putCheckpoint(request.unpack({ value: '*' }).value).then(nothing);
      },
    },
    'register-backing': { handler: (request) => this.#register(request.unpack({ name: 's' }).name) },
    'unregister-backing': { handler: () => this.#unregister() },
    // Tells the backing store of all garbage that there is now.
    collect: { handler: () => this.references.collect().then(nothing) },
    'mmap-add': {
      handler: (request) => {
        const { path, chunksize, tag } = request.unpack({ path: 's', chunksize: 'i', tag: 's' });
        return this.#mappedFiles().add(path, chunksize, tag).then(nothing);
      },
    },
    'mmap-remove': { handler: (request) => this.#unmap(request.unpack({ tag: 's' }).tag) },
    // The owner's, other than the counts of most modules.
    'stats-get': { handler: () => this.#stats() },
  };

  #answerLoad(request: Request): Reply | Promise<Reply> {
    const blobref = requestedBlobref(request, this.hash);
    return this.#loaded(request, blobref, this.#cache.get(blobref)) ?? this.#loadLate(request, blobref);
  }

  async #loadLate(request: Request, blobref: string): Promise<Reply> {
    if (this.#hashing.size) await this.#hashed();
    return this.#loaded(request, blobref, await this.#cache.load(blobref));
  }

  /** Responses have the flags of their request; this one tells that the blob is not stored. */
  #loaded(request: Request, blobref: string, bytes: Uint8Array | undefined): Uint8Array | undefined {
    if (bytes && this.#cache.isEphemeral(blobref)) request.message.flags |= Flag.user1;
    return bytes;
  }

  #answerStore(request: Request): Reply | Promise<Reply> {
    const bytes = ownBytes(request.message.bytes);
    return bytes.length < LARGE ? this.#store(makeBlobref(this.hash, bytes), bytes) : this.#storeLarge(bytes);
  }

  async #storeLarge(bytes: Uint8Array): Promise<Reply> {
    const hashing = makeBlobrefElsewhere(this.hash, bytes).finally(() => this.#hashing.delete(hashing));
    this.#hashing.add(hashing);
    return this.#store(await hashing, bytes);
  }

  #store(blobref: string, bytes: Uint8Array): Reply | Promise<Reply> {
    const stored = this.#cache.store(blobref, bytes);
    const { digest } = blobrefToDigest(blobref);
    return stored ? stored.then(() => digest) : digest;
  }

  /** What came before is in the cache then, as if nothing had been hashed elsewhere. */
  async #hashed(): Promise<void> {
    while (this.#hashing.size) await Promise.allSettled(this.#hashing);
  }

  async #validate(blobref: string): Promise<undefined> {
    if (this.#hashing.size) await this.#hashed();
    if (this.#cache.get(blobref) || (await this.#files?.read(blobref))) return;
    if (!this.#cache.backing) throw new FluxError('ENOENT');
    await this.#cache.backing.validate(blobref);
  }

  #dropCache(): undefined {
    const { count } = this.#cache.stats;
    this.#context.log('debug', `content dropcache ${this.#cache.drop()}/${count}`);
  }

  async #register(name: string): Promise<undefined> {
    if (this.#context.rank !== 0)
      throw new FluxError('EINVAL', 'content backing store can only be registered on rank 0');
    if (await this.#hasLivingBacking()) throw new FluxError('EBUSY', 'content backing store is already active');
    if (this.#backingName === undefined) {
      this.#backingName = name;
      await this.#context.rpc('attr.set', { name: 'content.backing-module', value: name, force: true });
    }
    if (this.#backingName !== name) throw new FluxError('EINVAL', 'content backing store cannot be changed on the fly');
    const backing = new BackingService(this.#context);
    this.references.detach();
    this.references.attach((changes) => backing.tellReferences(changes));
    this.#cache.attach(backing);
    this.#context.log('debug', `content backing store: enabled ${name}`);
  }

  /** A backing store that died has not said so; one that has just been loaded in its place does not answer yet. */
  async #hasLivingBacking(): Promise<boolean> {
    try {
      await this.#cache.backing?.validate(makeBlobref(this.hash, new Uint8Array()));
    } catch (error) {
      return asFluxError(error).code !== 'ENOSYS';
    }
    return this.#cache.backing !== undefined;
  }

  #unregister(): undefined {
    if (!this.#cache.backing) throw new FluxError('EINVAL', 'content backing store is not active');
    this.references.detach();
    this.#cache.detach();
    this.#context.log('debug', 'content backing store: disabled');
    const { dirty } = this.#cache.stats;
    if (dirty) this.#context.log('err', `${dirty} unflushables`);
  }

  #unmap(tag: string): undefined {
    this.#mappedFiles().remove(tag);
  }

  #mappedFiles(): MappedFiles {
    if (!this.#files) throw new FluxError('EINVAL', 'content may only be mmapped on rank 0');
    return this.#files;
  }

  #stats(): JsonObject {
    const { count, valid, dirty, size, storing } = this.#cache.stats;
    return { count, valid, dirty, size, 'flush-batch-count': storing, mmap: this.#files?.toJSON() ?? null };
  }
}

const nothing = () => undefined;

/** A message's bytes may be a small part of all that came with it, which what is kept is not to keep. */
function ownBytes(bytes: Uint8Array | undefined): Uint8Array {
  if (!bytes?.length) return new Uint8Array();
  return 2 * bytes.length >= bytes.buffer.byteLength ? bytes : Buffer.from(bytes);
}
