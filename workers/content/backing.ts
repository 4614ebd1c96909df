/** What the cache is a cache of: the service `content-backing` at rank 0, the parent's `content` elsewhere. */

import type { ServiceContext } from '../../core/broker/service.ts';
import { FluxError } from '../../core/errno.ts';
import { blobrefToDigest } from '../../core/formats/blobref.ts';
import type { RpcOptions } from '../../core/handle/rpc.ts';
import type { JsonValue } from '../../core/json.ts';
import { Flag, type Message, NODEID_UPSTREAM } from '../../core/message/message.ts';

export interface LoadedBlob {
  readonly bytes: Uint8Array;
  /** It is part of a file that somebody mapped, and nobody has stored it. */
  readonly isEphemeral: boolean;
}

export interface Backing {
  /** Rejects with FluxError ENOENT when there is no such blob. */
  load(blobref: string): Promise<LoadedBlob>;
  /** `isCounted`: by the KVS, which tells of references (`ReferenceLog`). */
  store(blobref: string, bytes: Uint8Array, isCounted: boolean): Promise<void>;
  /** Rejects with FluxError ENOENT when there is no such blob. */
  validate(blobref: string): Promise<void>;
  checkpointGet(): Promise<JsonValue | undefined>;
  checkpointPut(value: JsonValue): Promise<void>;
}

/** The store that is asked by messages. */
export class BackingService implements Backing {
  readonly #context: ServiceContext;
  readonly #service: string;
  readonly #options: RpcOptions;
  readonly #countedOptions: RpcOptions;

  constructor(context: ServiceContext) {
    const isLeader = context.rank === 0;
    this.#context = context;
    this.#service = isLeader ? 'content-backing' : 'content';
    this.#options = { nodeid: isLeader ? 0 : NODEID_UPSTREAM };
    this.#countedOptions = { ...this.#options, flags: Flag.user1 };
  }

  async #ask(method: string, bytes: Uint8Array, options = this.#options): Promise<Message> {
    const response = await this.#context.request(`${this.#service}.${method}`, bytes, options).next();
    if (response.errnum) throw response.error();
    return response;
  }

  async load(blobref: string): Promise<LoadedBlob> {
    const response = await this.#ask('load', blobrefToDigest(blobref).digest);
    return { bytes: response.bytes ?? new Uint8Array(), isEphemeral: (response.flags & Flag.user1) !== 0 };
  }

  async store(blobref: string, bytes: Uint8Array, isCounted: boolean): Promise<void> {
    const options = isCounted ? this.#countedOptions : this.#options;
    const { bytes: digest } = await this.#ask('store', bytes, options);
    if (!digest || Buffer.compare(digest, blobrefToDigest(blobref).digest) !== 0)
      throw new FluxError('EIO', `the backing store kept something else for ${blobref}`);
  }

  async validate(blobref: string): Promise<void> {
    await this.#ask('validate', blobrefToDigest(blobref).digest);
  }

  checkpointGet(): Promise<JsonValue | undefined> {
    return this.#context.rpc(`${this.#service}.checkpoint-get`, undefined, this.#options);
  }

  async checkpointPut(value: JsonValue): Promise<void> {
    await this.#context.rpc(`${this.#service}.checkpoint-put`, { value }, this.#options);
  }

  /** Tells what has become of references (`reference-changes.ts`); resolves when what is garbage by that is gone. */
  async tellReferences(changes: Uint8Array): Promise<void> {
    await this.#ask('references', changes);
  }
}
