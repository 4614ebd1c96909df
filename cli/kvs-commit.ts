/** The end of every command that changes a namespace: its commit, and the root that it made. */

import type { Command } from 'commander';
import { encodeTreeobj, makeDirref } from '../core/formats/treeobj.ts';
import type { Kvs, KvsRoot } from '../core/handle/kvs.ts';
import type { KvsTransaction } from '../core/handle/kvs-transaction.ts';
import { aboutKvs } from './kvs-options.ts';
import { print } from './print.ts';

/** Which parts of the new root to show; the first of these. */
export interface RootOptions {
  treeobjRoot?: boolean;
  blobref?: boolean;
  sequence?: boolean;
}

export function rootOptions(command: Command): Command {
  return command
    .option('-O, --treeobj-root', 'Show the new root, as a dirref.')
    .option('-b, --blobref', 'Show the blobref of the new root.')
    .option('-s, --sequence', 'Show the sequence number of the new root.');
}

/** Makes the changes of a transaction; errors are about its only key, or about the commit. */
export async function commit(kvs: Kvs, transaction: KvsTransaction, flags = 0): Promise<KvsRoot> {
  const keys = transaction.operations.map(({ key }) => key);
  return kvs.commit(transaction, { flags }).catch((error: unknown) => {
    throw aboutKvs(keys.length === 1 ? keys[0]! : 'commit', kvs.namespace, error);
  });
}

export function printRoot({ rootref, rootseq }: KvsRoot, options: RootOptions): void {
  if (options.treeobjRoot) print(encodeTreeobj(makeDirref(rootref)));
  else if (options.blobref) print(rootref);
  else if (options.sequence) print(rootseq);
}
