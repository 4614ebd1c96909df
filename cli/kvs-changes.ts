/** Changes of the KVS, from one root to another, as `flux kvs diff` and `flux kvs log` show them. */

import { about } from '../core/errno.ts';
import { checkDirectory, type Dir, type Hdir, makeDirref } from '../core/formats/treeobj.ts';
import { Content } from '../core/handle/content.ts';
import type { Handle } from '../core/handle/handle.ts';
import { type JsonObject, parseJson } from '../core/json.ts';

import { type Change, differences } from './kvs-difference.ts';
import type { Painter } from './terminal.ts';

/**
 * The changes between two roots, which are blobrefs.
 *
 * @throws FluxError ENOENT: a root, or what it refers to, is no longer there; EPERM: only the instance owner may ask
 */
export function changesBetween(handle: Handle, before: string, after: string): AsyncGenerator<Change, void, undefined> {
  const content = new Content(handle);
  const load = async (blobref: string): Promise<Dir | Hdir> => {
    try {
      return checkDirectory(parseJson(Buffer.from(await content.load(blobref)).toString()));
    } catch (error) {
      throw about(blobref, error);
    }
  };
  return differences(makeDirref(before), makeDirref(after), load);
}

/** `+`, `-` or `~`, and the key. */
export function formatChange(change: Change, paint: Painter): string {
  const { before, after } = change;
  if (!before) return paint('green', `+ ${labelOf(change)}`);
  return after ? paint('yellow', `~ ${labelOf(change)}`) : paint('red', `- ${labelOf(change)}`);
}

/** The key, with a dot when it is an empty directory. */
function labelOf({ key, before, after }: Change): string {
  return (after ?? before)!.type.startsWith('dir') ? `${key}.` : key;
}

/** For scripts: the key, what was done with it, and the tree objects (RFC 11). */
export function changeToJson({ key, before, after }: Change): JsonObject {
  const change = !before ? 'added' : after ? 'changed' : 'removed';
  return { key, change, before, after };
}
