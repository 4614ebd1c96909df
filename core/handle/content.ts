/**
 * The content store of an instance (RFC 10): blobs by the hash of their bytes, and the roots that outlive a restart.
 */

import { blobrefToDigest, digestToBlobref } from '../formats/blobref.ts';
import { type JsonValue, real } from '../json.ts';
import type { Handle } from './handle.ts';
import type { RpcOptions } from './rpc.ts';

/** A root of the KVS that the backing store remembers. */
export interface ContentCheckpoint {
  readonly rootref: string;
  /** The root's sequence number. */
  readonly sequence: number;
  /** Seconds since the epoch. */
  readonly timestamp: number;
}

export interface ContentOptions {
  /** Ask the backing store itself, not the cache in front of it. */
  readonly bypassCache?: boolean;
}

/** The length of a sha256 digest; a shorter one is sha1. */
const SHA256_BYTES = 32;

export class Content {
  readonly #handle: Handle;
  readonly #service: string;
  readonly #options: RpcOptions;

  constructor(handle: Handle, { bypassCache = false }: ContentOptions = {}) {
    this.#handle = handle;
    this.#service = bypassCache ? 'content-backing' : 'content';
    this.#options = bypassCache ? { nodeid: 0 } : {};
  }

  /**
   * A blob's bytes.
   *
   * @throws FluxError ENOENT: there is no such blob; EINVAL: this is no blobref; EPERM: only the instance owner may ask
   */
  async load(blobref: string): Promise<Uint8Array> {
    return this.#handle.rpcBytes(`${this.#service}.load`, blobrefToDigest(blobref).digest, this.#options);
  }

  /** Keeps bytes and resolves to their blobref. */
  async store(bytes: Uint8Array): Promise<string> {
    const digest = await this.#handle.rpcBytes(`${this.#service}.store`, bytes, this.#options);
    return digestToBlobref(digest.length === SHA256_BYTES ? 'sha256' : 'sha1', digest);
  }

  /** Resolves when all that was stored is in the backing store. */
  async flush(): Promise<void> {
    await this.#handle.rpc('content.flush');
  }

  /** Makes the cache forget what the backing store has. */
  async dropCache(): Promise<void> {
    await this.#handle.rpc('content.dropcache');
  }

  /** The roots that are remembered, newest first. */
  async checkpoints(): Promise<readonly ContentCheckpoint[]> {
    const { value } = await this.#handle.rpc<{ value: RawCheckpoint[] }>(`${this.#service}.checkpoint-get`, undefined, {
      nodeid: 0,
    });
    return value.map(({ rootref, sequence, timestamp }) => ({ rootref, sequence, timestamp: Number(timestamp) }));
  }

  /** Remembers a root. */
  async putCheckpoint({ rootref, sequence, timestamp }: ContentCheckpoint): Promise<void> {
    const value: JsonValue = { version: 1, rootref, sequence, timestamp: real(timestamp) };
    await this.#handle.rpc(`${this.#service}.checkpoint-put`, { value }, { nodeid: 0 });
  }
}

/** A timestamp without a fraction comes as a `Real`. */
type RawCheckpoint = Omit<ContentCheckpoint, 'timestamp'> & { readonly timestamp: JsonValue };
