/** Large values, piece by piece. */

import { asFluxError, errno } from '../core/errno.ts';
import { LookupFlag } from '../core/formats/kvs-flags.ts';
import { valBytes } from '../core/formats/treeobj.ts';
import { Content } from '../core/handle/content.ts';
import type { Handle } from '../core/handle/handle.ts';
import type { Kvs } from '../core/handle/kvs.ts';
import { ahead } from './kvs-ahead.ts';

/** How many blobs are asked for at a time: a broker parts with clients that leave much of what they asked for unread. */
const BLOBS_AHEAD = 4;

/**
 * The pieces of a key's value, each asked for when those before it are nearly used up. Guests, who may not ask for
 * blobs, get them as fast as the service sends them.
 *
 * @param flags `LookupFlag.waitcreate` or none
 * @throws FluxError what `Kvs.lookup` throws
 */
export async function* streamValue(
  handle: Handle,
  kvs: Kvs,
  key: string,
  flags: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  const object = await kvs.lookup(key, { flags: flags | LookupFlag.treeobj });
  if (object.type === 'val') return yield valBytes(object);
  // The service streams what a link leads to as little as a directory.
  if (object.type !== 'valref') return yield valBytes(await kvs.lookup(key, { flags }));
  const blobs = ahead(object.data, loader(handle), BLOBS_AHEAD);
  const first = await blobs.next().catch(unlessForbidden);
  if (!first || first.done) return yield* kvs.stream(key, flags);
  yield first.value;
  yield* blobs;
}

function loader(handle: Handle): (blobref: string) => Promise<Uint8Array> {
  const content = new Content(handle);
  return (blobref) => content.load(blobref);
}

function unlessForbidden(error: unknown): undefined {
  if (asFluxError(error).errno !== errno.EPERM) throw error;
}
