/** `flux kvs put`: sets keys to values, all of them at once. */

import type { Command } from 'commander';
import { about, FluxError } from '../core/errno.ts';
import { CommitFlag } from '../core/formats/kvs-flags.ts';
import { checkTreeobj, type Treeobj } from '../core/formats/treeobj.ts';
import type { Handle } from '../core/handle/handle.ts';
import { Kvs } from '../core/handle/kvs.ts';
import { KvsTransaction } from '../core/handle/kvs-transaction.ts';
import { parseJson } from '../core/json.ts';
import { withHandle } from './command.ts';
import { commit, printRoot, type RootOptions, rootOptions } from './kvs-commit.ts';
import { type NamespaceOption, namespaceOption } from './kvs-options.ts';
import type { NestedCommand } from './nested.ts';

interface Options extends NamespaceOption, RootOptions {
  raw?: boolean;
  treeobj?: boolean;
  merge: boolean;
  append?: boolean;
  sync?: boolean;
}

export const putCommand: NestedCommand = {
  summary: 'Set keys to values',
  define: (command: Command) =>
    rootOptions(namespaceOption(command.argument('<key=value...>', 'keys, and what they are to be')))
      .option('-r, --raw', 'The value `-` is what comes from standard input.')
      .option('-t, --treeobj', 'Values are tree objects (RFC 11); `-` is that from standard input.')
      .option('-n, --no-merge', "Make no one commit of this and of others'.")
      .option('-A, --append', 'Put the values behind those that the keys have.')
      .option('-S, --sync', 'Wait until all that was committed is on disk.')
      .action((pairs: string[], options: Options) => withHandle((handle) => put(handle, pairs, options))),
};

async function put(handle: Handle, pairs: readonly string[], options: Options): Promise<void> {
  const transaction = new KvsTransaction();
  for (const pair of pairs) {
    const end = pair.indexOf('=');
    if (end < 0) throw new FluxError('EINVAL', `'${pair}' is not KEY=VALUE`);
    await add(handle, transaction, pair.slice(0, end), pair.slice(end + 1), options);
  }
  const flags = (options.merge ? 0 : CommitFlag.noMerge) | (options.sync ? CommitFlag.sync : 0);
  printRoot(await commit(new Kvs(handle, options.namespace), transaction, flags), options);
}

async function add(
  handle: Handle,
  transaction: KvsTransaction,
  key: string,
  value: string,
  options: Options,
): Promise<void> {
  const input = value === '-' && (options.treeobj || options.raw) ? await import('./kvs-input.ts') : undefined;
  if (options.treeobj) transaction.putTreeobj(key, parseTreeobj(key, input ? String(await input.readInput()) : value));
  else if (options.append) transaction.append(key, input ? await input.readInput() : value);
  else if (!input) transaction.put(key, value);
  else {
    const { Content } = await import('../core/handle/content.ts');
    transaction.putTreeobj(key, await input.readValue(new Content(handle)));
  }
}

function parseTreeobj(key: string, text: string): Treeobj {
  try {
    return checkTreeobj(parseJson(text));
  } catch (error) {
    throw error instanceof SyntaxError
      ? new FluxError('EINVAL', `${key}: the value is not JSON: ${error.message}`)
      : about(key, error);
  }
}
