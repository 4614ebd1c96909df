/** The store of blobs where it is on another thread: by requests to the service `content`. */

import type { ServiceContext } from '../../core/broker/service.ts';
import { blobrefToDigest, type HashName } from '../../core/formats/blobref.ts';
import { real } from '../../core/json.ts';
import type { Payload } from '../../core/message/message.ts';
import { type Checkpoint, type ContentAccess, readCheckpoints } from './access.ts';

export class RemoteContent implements ContentAccess {
  readonly #context: ServiceContext;

  constructor(context: ServiceContext) {
    this.#context = context;
  }

  get hash(): HashName {
    return this.#context.attribute('content.hash') === 'sha256' ? 'sha256' : 'sha1';
  }

  get(): undefined {
    return undefined;
  }

  async load(blobref: string): Promise<Uint8Array> {
    return (await this.#ask('content.load', blobrefToDigest(blobref).digest)) ?? new Uint8Array();
  }

  async store(_blobref: string, bytes: Uint8Array): Promise<void> {
    await this.#ask('content.store', bytes);
  }

  async flush(): Promise<void> {
    await this.#ask('content.flush');
  }

  async checkpointPut(value: Checkpoint): Promise<void> {
    await this.#context.rpc('content.checkpoint-put', { value: { ...value, timestamp: real(value.timestamp) } });
  }

  async checkpoints(): Promise<readonly Checkpoint[]> {
    return readCheckpoints(await this.#context.rpc('content.checkpoint-get'));
  }

  /** Bytes for bytes. */
  async #ask(topic: string, payload?: Payload): Promise<Uint8Array | undefined> {
    const answer = await this.#context.request(topic, payload).next();
    if (answer.errnum) throw answer.error();
    return answer.bytes;
  }
}
