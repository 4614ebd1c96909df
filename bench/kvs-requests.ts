/** Requests to the KVS, as the benchmarks send them. */

import type { Handle } from '../core/handle/handle.ts';
import { createNamespace, type Kvs, PRIMARY_NAMESPACE } from '../core/handle/kvs.ts';
import { KvsTransaction } from '../core/handle/kvs-transaction.ts';
import { digits, SLOT, Template } from './template.ts';

/** Operations of one commit that fills a directory. */
const FILL = 10_000;

/** Numbers from the first, 0 by default, to before the last. */
export interface Range {
  readonly from?: number;
  readonly to: number;
}

export interface CommitOptions {
  readonly namespace?: string;
  /** Of the commit. */
  readonly flags?: number;
  /** Of the operation. */
  readonly opFlags?: number;
  /** The value, base64 text. */
  readonly data?: string;
}

/** A commit of one key; namespace, key and value may have a slot each, in this order. */
export function commit(key: string, options: CommitOptions = {}): Template {
  const { namespace = PRIMARY_NAMESPACE, flags = 0, opFlags = 0, data = SLOT } = options;
  const operation = { key, flags: opFlags, dirent: { ver: 1, type: 'val', data } };
  return new Template('kvs.commit', { namespace, flags, ops: [operation] });
}

/** A lookup of a key, which may have a slot. */
export function lookup(key: string): Template {
  return new Template('kvs.lookup', { key, namespace: PRIMARY_NAMESPACE, flags: 0 });
}

/** Puts keys `DIR.k00000000`… ten thousand a commit; ends early when `isLate`. */
export async function fillDirectory(kvs: Kvs, directory: string, range: Range, isLate = () => false): Promise<void> {
  for (let start = range.from ?? 0; start < range.to && !isLate(); start += FILL) {
    const transaction = new KvsTransaction();
    for (let index = start; index < Math.min(start + FILL, range.to); index++)
      transaction.put(`${directory}.k${digits(index)}`, `value ${index}`);
    await kvs.commit(transaction);
  }
}

/** Makes namespaces `bench-00000000`…; ends early when `isLate`. */
export async function createNamespaces(handle: Handle, range: Range, isLate = () => false): Promise<void> {
  let made = range.from ?? 0;
  const lane = async () => {
    while (made < range.to && !isLate()) await createNamespace(handle, `bench-${digits(made++)}`);
  };
  await Promise.all(Array.from({ length: 64 }, lane));
}

/** Removes a key and what is below it. */
export async function unlink(kvs: Kvs, key: string): Promise<void> {
  await kvs.commit(new KvsTransaction().unlink(key));
}
