/**
 * The module `content-files`: keeps each blob that the service `content` stores in a file of its own, named by its blobref,
 * and the newest checkpoint in one named `kvs-primary`, as flux-core's does. It offers the service `content-backing`.
 */

import type { ModuleDefinition, Service, ServiceContext } from '../../core/broker/service.ts';
import { FluxError } from '../../core/errno.ts';
import { blobrefToDigest, type HashName, makeBlobref } from '../../core/formats/blobref.ts';
import type { Methods, Request } from '../../core/handle/methods.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import { Role } from '../../core/message/credentials.ts';
import {
  checkpointText,
  contentHash,
  offerBackingStore,
  parseCheckpoint,
  requestedBlobref,
  storeDirectory,
  withdrawBackingStore,
} from '../content/backing-store.ts';
import { FileStore } from './file-store.ts';

const CHECKPOINT = 'kvs-primary';

export const contentFiles: ModuleDefinition = {
  async start(context, args) {
    const odd = args.find((arg) => arg !== 'truncate');
    if (odd !== undefined) throw new FluxError('EINVAL', `Unknown module option: '${odd}'`);
    const files = await FileStore.open(`${storeDirectory(context)}/content.files`, args.includes('truncate'));
    await offerBackingStore(context);
    return new ContentFiles(context, files);
  },
};

class ContentFiles implements Service {
  readonly #context: ServiceContext;
  readonly #files: FileStore;
  readonly #hash: HashName;

  constructor(context: ServiceContext, files: FileStore) {
    this.#context = context;
    this.#files = files;
    this.#hash = contentHash(context);
  }

  readonly methods: Methods = {
    load: { raw: true, handler: (request) => this.#load(requestedBlobref(request, this.#hash)) },
    store: { raw: true, handler: (request) => this.#store(request) },
    validate: { raw: true, handler: (request) => this.#validate(requestedBlobref(request, this.#hash)) },
    'checkpoint-get': { handler: () => this.#checkpoints() },
    'checkpoint-put': { handler: (request) => this.#putCheckpoint(request.unpack({ value: '*' }).value) },
    'stats-get': { allow: Role.user, handler: async () => ({ object_count: await this.#files.count() }) },
  };

  async #load(blobref: string): Promise<Uint8Array> {
    const bytes = await this.#files.read(blobref);
    if (makeBlobref(this.#hash, bytes) !== blobref)
      throw new FluxError('EBADMSG', `cannot load ${blobref}: its bytes have another hash`);
    return bytes;
  }

  async #store(request: Request): Promise<Uint8Array> {
    const bytes = request.message.bytes ?? new Uint8Array();
    const blobref = makeBlobref(this.#hash, bytes);
    await this.#files.write(blobref, bytes);
    return blobrefToDigest(blobref).digest;
  }

  async #validate(blobref: string): Promise<undefined> {
    if (!(await this.#files.has(blobref))) throw new FluxError('ENOENT');
  }

  /** There is one only. */
  async #checkpoints(): Promise<JsonObject> {
    return { value: [parseCheckpoint(Buffer.from(await this.#files.read(CHECKPOINT)).toString())] };
  }

  async #putCheckpoint(value: JsonValue): Promise<undefined> {
    await this.#files.write(CHECKPOINT, Buffer.from(checkpointText(value)));
  }

  async stop(): Promise<void> {
    await withdrawBackingStore(this.#context);
  }
}
