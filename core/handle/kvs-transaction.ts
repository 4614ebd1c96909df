/**
 * Changes to a KVS namespace that happen together or not at all: the operations of a commit, in the order in which they
 * were asked for.
 */

import { FluxError } from '../errno.ts';
import { type EventlogEntry, encodeEventlogEntry } from '../formats/eventlog.ts';
import { OperationFlag } from '../formats/kvs-flags.ts';
import { makeDir, makeSymlink, makeVal, type Treeobj } from '../formats/treeobj.ts';
import { type JsonValue, stringifyJson } from '../json.ts';

/** One change as `kvs.commit` takes it. */
export type KvsOperation = {
  readonly key: string;
  readonly flags: number;
  /** What the key is to be; null removes it. */
  readonly dirent: Treeobj | null;
};

/** Each method adds a change and returns the transaction; all of them throw EINVAL for an empty key. */
export class KvsTransaction {
  readonly #operations: KvsOperation[] = [];

  /** What has been asked for so far. */
  get operations(): readonly KvsOperation[] {
    return this.#operations;
  }

  /** Sets a key to bytes; a text is stored as UTF-8. */
  put(key: string, value: string | Uint8Array): this {
    return this.#add(key, makeVal(toBytes(value)));
  }

  /** Sets a key to the JSON text of a value. */
  putJson(key: string, value: JsonValue): this {
    return this.put(key, stringifyJson(value));
  }

  /** Puts bytes behind those that the key has; it need not exist. */
  append(key: string, value: string | Uint8Array): this {
    return this.#add(key, makeVal(toBytes(value)), OperationFlag.append);
  }

  /** Puts an event behind those of an event log (RFC 18); it need not exist. */
  appendEvent(key: string, entry: EventlogEntry): this {
    return this.append(key, encodeEventlogEntry(entry));
  }

  /** Makes an empty directory. */
  mkdir(key: string): this {
    return this.#add(key, makeDir());
  }

  /** Makes a key that stands for another one, in another namespace if one is given. */
  symlink(key: string, target: string, namespace?: string): this {
    return this.#add(key, makeSymlink(target, namespace));
  }

  /** Removes a key with all that is below it; it need not exist. */
  unlink(key: string): this {
    return this.#add(key, null);
  }

  /** Sets a key to a tree object (RFC 11), one that was looked up for example. */
  putTreeobj(key: string, treeobj: Treeobj): this {
    return this.#add(key, treeobj);
  }

  #add(key: string, dirent: Treeobj | null, flags = 0): this {
    if (key === '') throw new FluxError('EINVAL', 'a key of the KVS is not empty');
    this.#operations.push({ key, flags, dirent });
    return this;
  }
}

function toBytes(value: string | Uint8Array): Uint8Array {
  return typeof value === 'string' ? Buffer.from(value) : value;
}
