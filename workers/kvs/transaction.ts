/** The operations of a transaction, as requests carry them: `[{key, flags, dirent}, ...]`. */

import { FluxError } from '../../core/errno.ts';
import { OperationFlag } from '../../core/formats/kvs-flags.ts';
import { checkTreeobj, type Treeobj } from '../../core/formats/treeobj.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import { isObject, unpack } from '../../core/message/unpack.ts';

export interface Operation {
  readonly key: string;
  /** Bits of `OperationFlag`. */
  readonly flags: number;
  /** What the key is to stand for; null takes it away. */
  readonly dirent: Treeobj | null;
}

/**
 * Reads the operations of a request; what is no array counts as none, as in flux-core.
 *
 * @throws FluxError EPROTO: an operation that has not just key, flags and dirent, or appends what is no value; EINVAL: a
 *   dirent that is no tree object
 */
export function readOperations(ops: JsonValue): Operation[] {
  return Array.isArray(ops) ? ops.map(readOperation) : [];
}

function readOperation(op: JsonValue): Operation {
  const { key, flags, dirent } = unpack(op, { key: 's', flags: 'i', dirent: '*' });
  if (Object.keys(op as JsonObject).length !== 3)
    throw new FluxError('EPROTO', `the operation on '${key}' has members that nobody knows`);
  if (dirent === null) return { key, flags, dirent };
  if (flags & OperationFlag.append && !(isObject(dirent) && dirent.type === 'val'))
    throw new FluxError('EPROTO', `what is appended to '${key}' is no value`);
  return { key, flags, dirent: checkTreeobj(dirent) };
}
