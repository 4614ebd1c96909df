/** What the modules that offer the service `content-backing` have in common. */

import type { ServiceContext } from '../../core/broker/service.ts';
import { FluxError } from '../../core/errno.ts';
import { digestToBlobref, type HashName, isHashName } from '../../core/formats/blobref.ts';
import type { Request } from '../../core/handle/methods.ts';
import { type JsonValue, parseJson, stringifyJson } from '../../core/json.ts';

const SERVICE = 'content-backing';

/** `content.hash` of the instance. */
export function contentHash(context: ServiceContext): HashName {
  const name = context.attribute('content.hash') ?? '';
  if (!isHashName(name)) throw new FluxError('EINVAL', `content.hash: unknown hash type '${name}'`);
  return name;
}

/** The folder in which a store is kept: the instance's state, or else what goes with the instance. */
export function storeDirectory(context: ServiceContext): string {
  const directory = context.attribute('statedir') ?? context.attribute('rundir');
  if (directory === undefined) throw new FluxError('ENOENT', 'statedir is not set');
  return directory;
}

/** Whether the store goes with the instance. */
export function isTemporary(context: ServiceContext): boolean {
  return context.attribute('statedir') === undefined || context.attribute('statedir-cleanup') === '1';
}

/**
 * Tells the service `content` that this module is its backing store.
 *
 * @throws FluxError EBUSY: it has one; EINVAL: it had another one before
 */
export async function offerBackingStore(context: ServiceContext): Promise<void> {
  await context.rpc('service.add', { service: SERVICE });
  await context.rpc('content.register-backing', { name: context.name }, { nodeid: 0 });
}

/** Tells the service `content`, which may be gone, that it has no backing store any more. */
export async function withdrawBackingStore(context: ServiceContext): Promise<void> {
  try {
    await context.rpc('content.unregister-backing', undefined, { nodeid: 0 });
  } catch (error) {
    context.log('debug', `content.unregister-backing: ${(error as Error).message}`);
  }
}

/** The blobref that a request has as a digest; throws FluxError EPROTO when it has none. */
export function requestedBlobref(request: Request, hash: HashName): string {
  try {
    return digestToBlobref(hash, request.message.bytes ?? new Uint8Array());
  } catch (error) {
    throw new FluxError('EPROTO', (error as Error).message);
  }
}

/**
 * A checkpoint as it is kept.
 *
 * @throws FluxError EINVAL: neither an object nor an array
 */
export function checkpointText(value: JsonValue): string {
  const text = stringifyJson(value);
  if (!/^[{[]/.test(text)) throw new FluxError('EINVAL', 'a checkpoint is an object');
  return text;
}

/** @throws FluxError EINVAL: no JSON */
export function parseCheckpoint(text: string): JsonValue {
  try {
    return parseJson(text);
  } catch (error) {
    throw new FluxError('EINVAL', `a checkpoint is no JSON: ${(error as Error).message}`);
  }
}
