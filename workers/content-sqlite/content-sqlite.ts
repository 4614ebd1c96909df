/**
 * The module `content-sqlite`: keeps what the service `content` stores in a file, `content.sqlite` in the instance's state
 * directory, with flux-core's tables. It offers the service `content-backing` (RFC 10).
 *
 * What is stored in one turn is one transaction, and answered when that is done.
 */

import path from 'node:path';
import type { ModuleDefinition, Service, ServiceContext } from '../../core/broker/service.ts';
import { asFluxError, FluxError } from '../../core/errno.ts';
import { blobrefToDigest, type HashName, isBlobref, makeBlobref } from '../../core/formats/blobref.ts';
import { LATER, type Methods, type Request } from '../../core/handle/methods.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import { Role } from '../../core/message/credentials.ts';
import { Flag } from '../../core/message/message.ts';
import { isObject } from '../../core/message/unpack.ts';
import {
  checkpointText,
  contentHash,
  isTemporary,
  offerBackingStore,
  parseCheckpoint,
  requestedBlobref,
  storeDirectory,
  withdrawBackingStore,
} from '../content/backing-store.ts';
import { Tally } from '../tally.ts';
import type { BlobDatabase, NewRow, StoredCheckpoint } from './blob-database.ts';
import { Collector } from './collector.ts';
import { type StoreOptions, storeOptions } from './options.ts';
import { PacedCollector } from './paced-collector.ts';
import { type Lz4, packRow, unpackRow } from './rows.ts';
import { openSqlite, type SqliteOptions } from './sqlite.ts';

/** Opens the database of a file; the simulator has its own. */
export type OpenDatabase = (file: string, options: SqliteOptions) => Promise<BlobDatabase>;

export const contentSqlite = contentSqliteIn(openSqlite);

/** The module with databases of another kind. */
export function contentSqliteIn(open: OpenDatabase): ModuleDefinition {
  return {
    async start(context, args) {
      const options = storeOptions(args, context.config, isTemporary(context));
      const file = `${storeDirectory(context)}/content.sqlite`;
      const log = (severity: 'err' | 'info', text: string) => context.log(severity, text);
      const { default: lz4 } = await import('lz4-wasm-nodejs');
      const database = await open(file, { ...options, log });
      try {
        const { journalMode, synchronous } = options;
        context.log('debug', `${file} journal_mode=${journalMode} synchronous=${synchronous}`);
        const store = new ContentSqlite(context, database, options, lz4);
        await offerBackingStore(context);
        return store;
      } catch (error) {
        database.close();
        throw error;
      }
    },
  };
}

interface PendingStore {
  readonly request: Request;
  readonly bytes: Uint8Array;
  readonly digest: Uint8Array;
  readonly blobref: string;
}

/** References in one request to mark: some 16 ms. */
const MARK_MAX = 16384;
/** Rows deleted, and rows looked at, in one request to sweep: some 100 ms. */
const SWEEP_DELETE_MAX = 8192;
const SWEEP_WINDOW_MAX = 1 << 19;

class ContentSqlite implements Service {
  readonly #context: ServiceContext;
  readonly #database: BlobDatabase;
  readonly #options: StoreOptions;
  readonly #lz4: Lz4;
  readonly #hash: HashName;
  readonly #loadTimes = new Tally();
  readonly #storeTimes = new Tally();
  readonly #collector: Collector;
  readonly #pacedCollector: PacedCollector;
  #pending: PendingStore[] = [];
  /** The newest checkpoint's id; rows have that of when they were stored last. */
  #epoch: number;

  constructor(context: ServiceContext, database: BlobDatabase, options: StoreOptions, lz4: Lz4) {
    this.#context = context;
    this.#database = database;
    this.#options = options;
    this.#lz4 = lz4;
    this.#hash = contentHash(context);
    this.#epoch = database.lastCheckpoint();
    this.#collector = new Collector(database, this.#hash, (blobref) => this.#read(blobref));
    this.#pacedCollector = new PacedCollector(context, this.#collector);
  }

  readonly methods: Methods = {
    load: { raw: true, handler: (request) => this.#load(requestedBlobref(request, this.#hash)) },
    store: { raw: true, handler: (request) => this.#store(request) },
    validate: { raw: true, handler: (request) => this.#validate(requestedBlobref(request, this.#hash)) },
    'checkpoint-get': { handler: () => this.#checkpoints() },
    'checkpoint-put': { handler: (request) => this.#putCheckpoint(request.unpack({ value: '*' }).value) },
    references: { raw: true, handler: (request) => this.#takeReferences(request) },
    'gc-info': { handler: (request) => this.#gcInfo(request) },
    mark: { handler: (request) => this.#mark(request) },
    sweep: { handler: (request) => this.#sweep(request) },
    backup: { handler: (request) => this.#backup(request.unpack({ path: 's' }).path) },
    'stats-get': { allow: Role.user, handler: () => this.#stats() },
  };

  async stop(): Promise<void> {
    this.#pacedCollector.stop();
    this.#commit();
    await withdrawBackingStore(this.#context);
    this.#database.close();
  }

  // ---- storing

  #store(request: Request): typeof LATER {
    const bytes = request.message.bytes ?? new Uint8Array();
    const blobref = makeBlobref(this.#hash, bytes);
    const { digest } = blobrefToDigest(blobref);
    this.#pending.push({ request, bytes, digest, blobref });
    if (this.#pending.length === 1) queueMicrotask(() => this.#commit());
    return LATER;
  }

  #commit(): void {
    const batch = this.#pending;
    if (!batch.length) return;
    this.#pending = [];
    const start = this.#context.clock.monotonic();
    try {
      this.#storeRows(batch);
    } catch {
      // Not all of them need be at fault.
      for (const store of batch) this.#storeAlone(store);
      return;
    }
    const each = (1000 * (this.#context.clock.monotonic() - start)) / batch.length;
    for (const { request, digest } of batch) {
      this.#storeTimes.add(each);
      request.respond(digest);
    }
  }

  #storeRows(batch: readonly PendingStore[]): void {
    const rows: NewRow[] = batch.map(({ digest, bytes, request }) => {
      const isCounted = (request.message.flags & Flag.user1) !== 0;
      return { digest, isCounted, ...packRow(this.#lz4, bytes) };
    });
    this.#database.store(rows, this.#epoch);
    if (this.#collector.awaits)
      this.#pacedCollector.tell((collector) => {
        for (const { blobref } of batch) collector.stored(blobref);
      });
  }

  #storeAlone(store: PendingStore): void {
    try {
      this.#storeRows([store]);
      store.request.respond(store.digest);
    } catch (error) {
      store.request.fail(asFluxError(error));
    }
  }

  // ---- reading

  #load(blobref: string): Uint8Array {
    this.#commit();
    const start = this.#context.clock.monotonic();
    const bytes = this.#read(blobref);
    if (!bytes) throw new FluxError('ENOENT');
    this.#loadTimes.add(1000 * (this.#context.clock.monotonic() - start));
    return bytes;
  }

  #read(blobref: string): Uint8Array | undefined {
    try {
      const row = this.#database.load(blobrefToDigest(blobref).digest);
      const bytes = row && unpackRow(this.#lz4, row);
      if (bytes && makeBlobref(this.#hash, bytes) !== blobref)
        throw new FluxError('EBADMSG', 'its bytes have another hash');
      return bytes;
    } catch (error) {
      const { errno, message } = asFluxError(error);
      const text = `cannot load ${blobref}: ${message}`;
      this.#context.log('err', text);
      throw new FluxError(errno, text, { cause: error });
    }
  }

  #validate(blobref: string): undefined {
    this.#commit();
    if (!this.#database.has(blobrefToDigest(blobref).digest)) throw new FluxError('ENOENT');
  }

  async #backup(file: string): Promise<JsonObject> {
    if (!path.isAbsolute(file)) throw new FluxError('EINVAL', `${file} is no absolute path`);
    this.#commit();
    return { size: await this.#database.backup(file) };
  }

  // ---- checkpoints

  #checkpoints(): JsonObject {
    const value = this.#database.checkpoints().map(({ value: text }) => parseCheckpoint(text));
    if (!value.length) throw new FluxError('ENOENT');
    return { value };
  }

  #putCheckpoint(value: JsonValue): undefined {
    const text = checkpointText(value);
    this.#commit();
    const root = rootOf(value);
    if (root !== undefined) this.#pacedCollector.tell((collector) => collector.keepRoot(root));
    const before = this.#database.checkpoints();
    this.#epoch = this.#database.putCheckpoint(text, this.#options.maxCheckpoints);
    this.#pacedCollector.tell((collector) => this.#releaseRoots(collector, before));
    this.#context.log('debug', `checkpoint-put: advanced epoch to ${this.#epoch}`);
  }

  /** Tells the collector of the checkpoints that are no more. */
  #releaseRoots(collector: Collector, before: readonly StoredCheckpoint[]): void {
    const kept = new Set(this.#database.checkpoints().map(({ id }) => id));
    for (const { id, value } of before) {
      if (kept.has(id)) continue;
      const root = rootOf(parseCheckpoint(value));
      if (root !== undefined) collector.releaseRoot(root);
    }
  }

  // ---- garbage collection

  #takeReferences(request: Request): typeof LATER {
    this.#commit();
    return this.#pacedCollector.take(request);
  }

  #gcInfo(request: Request): JsonObject {
    this.#pacedCollector.hold();
    const { epoch, get_count: wantsCount = false } = request.unpack({ epoch: 'i', get_count: 'b?' });
    this.#commit();
    const info = { current_epoch: this.#epoch, high_water: this.#database.highWater() };
    return wantsCount ? { ...info, candidates: this.#database.countBefore(epoch) } : info;
  }

  #mark(request: Request): JsonObject {
    this.#pacedCollector.hold();
    const { epoch, hashes } = request.unpack({ epoch: 'i', hashes: 'a' });
    if (hashes.length > MARK_MAX)
      throw new FluxError('EINVAL', `mark request of ${hashes.length} hashes exceeds limit of ${MARK_MAX}`);
    const digests = hashes.map((blobref) => this.#digest(blobref));
    this.#commit();
    return { marked: this.#database.mark(digests, epoch) };
  }

  #digest(blobref: JsonValue): Uint8Array {
    if (typeof blobref !== 'string' || !isBlobref(blobref) || !blobref.startsWith(`${this.#hash}-`))
      throw new FluxError('EPROTO', `${blobref} is no ${this.#hash} blobref`);
    return blobrefToDigest(blobref).digest;
  }

  async #sweep(request: Request): Promise<JsonObject> {
    const { epoch, cursor, high_water, delete_cap, window } = request.unpack({
      epoch: 'i',
      cursor: 'i',
      high_water: 'i',
      delete_cap: 'i',
      window: 'i',
    });
    if (cursor < 0 || high_water < 0 || delete_cap <= 0 || window <= 0)
      throw new FluxError('EINVAL', 'cursor, high_water, delete_cap or window is too small');
    const limit = Math.min(delete_cap, SWEEP_DELETE_MAX);
    const end = Math.min(cursor + Math.min(window, SWEEP_WINDOW_MAX), high_water);
    this.#pacedCollector.goOn();
    // What is known to be replaced must not be gone when its turn comes, or else be there again.
    await this.#context.rpc('content.collect', undefined, { nodeid: 0 }).catch((error: unknown) => {
      const { code, message } = asFluxError(error);
      if (code !== 'ENOSYS') this.#context.log('debug', `content.collect: ${message}`);
      this.#collector.stop();
    });
    this.#commit();
    const rows = this.#database.sweep({ cursor, end }, epoch, limit);
    // A full batch may have left garbage behind its last row.
    return { deleted: rows.length, cursor: rows.length === limit ? rows.at(-1)! : end };
  }

  #stats(): JsonObject {
    const { file, free } = this.#database.sizes();
    const { journalMode, synchronous } = this.#options;
    const checkpoints = this.#database
      .checkpoints()
      .map(({ id, value }) => ({ id, value: parseCheckpoint(value) }) satisfies JsonObject);
    return {
      object_count: this.#database.count(),
      current_epoch: this.#epoch,
      dbfile_size: file,
      dbfile_free: free,
      load_time: this.#loadTimes.toJSON(),
      store_time: this.#storeTimes.toJSON(),
      garbage: { ...this.#collector.stats },
      config: { journal_mode: journalMode, synchronous },
      checkpoints,
    };
  }
}

/** The root that a checkpoint remembers, if it is one of the KVS's. */
function rootOf(value: JsonValue): string | undefined {
  const rootref = isObject(value) ? value.rootref : undefined;
  return typeof rootref === 'string' && isBlobref(rootref) ? rootref : undefined;
}
