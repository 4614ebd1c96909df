/** What requests to the KVS hold. Commits and lookups are read by hand: they are most of what comes. */

import { FluxError } from '../../core/errno.ts';
import { checkTreeobj } from '../../core/formats/treeobj.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import { isObject, unpack } from '../../core/message/unpack.ts';

export interface CommitRequest {
  readonly namespace: string;
  /** `CommitFlag` bits; others are let pass. */
  readonly flags: number;
  readonly ops: JsonValue;
}

export interface LookupRequest {
  readonly key: string;
  /** `LookupFlag` bits. */
  readonly flags: number;
  /** Undefined only with a root directory, which is then looked in whosever it is. */
  readonly namespace: string | undefined;
  readonly rootref: string | undefined;
  /** The version of the root directory, if the sender knows it. */
  readonly rootseq: number | undefined;
}

/** @throws FluxError EPROTO */
export function readCommit(payload: JsonValue | undefined): CommitRequest {
  const { namespace, flags, ops } = asObject(payload);
  if (typeof namespace !== 'string' || !isInteger(flags) || ops === undefined)
    throw new FluxError('EPROTO', 'a commit has a namespace, flags and ops');
  return { namespace, flags, ops };
}

/** @throws FluxError EPROTO; EINVAL: the root directory is no dirref */
export function readLookup(payload: JsonValue | undefined): LookupRequest {
  const { key, flags, namespace, rootdir, rootseq } = asObject(payload);
  if (typeof key !== 'string' || !isInteger(flags)) throw new FluxError('EPROTO', 'a lookup has a key and flags');
  if (namespace !== undefined && typeof namespace !== 'string')
    throw new FluxError('EPROTO', 'the namespace of a lookup is a string');
  if (rootseq !== undefined && !isInteger(rootseq))
    throw new FluxError('EPROTO', 'the rootseq of a lookup is an integer');
  if (namespace === undefined && rootdir === undefined)
    throw new FluxError('EPROTO', 'a lookup has a namespace or a root directory');
  return { key, flags, namespace, rootref: rootdir === undefined ? undefined : readRootdir(rootdir), rootseq };
}

function readRootdir(value: JsonValue): string {
  const object = checkTreeobj(value);
  if (object.type !== 'dirref') throw new FluxError('EINVAL', `a root directory is a dirref, not a ${object.type}`);
  return object.data[0]!;
}

function asObject(payload: JsonValue | undefined): JsonObject {
  if (!isObject(payload)) throw new FluxError('EPROTO', 'the payload is not a JSON object');
  return payload;
}

function isInteger(value: JsonValue | undefined): value is number {
  return Number.isInteger(value);
}

/**
 * Guests store what they bring along, and no references to what is not theirs.
 *
 * @throws FluxError EPROTO: no operation; EPERM: an object that only the instance owner may store
 */
export function checkGuestMayCommit(ops: JsonValue): void {
  if (!Array.isArray(ops)) return;
  for (const op of ops) {
    const { dirent } = unpack(op, { key: 's', flags: 'i', dirent: '*' });
    if (dirent !== null && !isOwn(dirent))
      throw new FluxError('EPERM', `guests may not commit ${describe(dirent)} objects`);
  }
}

function isOwn(dirent: JsonValue): boolean {
  if (!isObject(dirent) || dirent.ver !== 1) return false;
  const { type, data } = dirent;
  return type === 'val' || (type === 'dir' && isObject(data) && Object.keys(data).length === 0);
}

function describe(dirent: JsonValue): string {
  if (!isObject(dirent) || typeof dirent.type !== 'string') return 'unknown';
  return dirent.type === 'dir' ? 'non-empty dir' : dirent.type;
}
