/** `flux kvs unlink`: removes keys, all of them at once. */

import type { Command } from 'commander';
import { asFluxError, errno, FluxError } from '../core/errno.ts';
import { LookupFlag } from '../core/formats/kvs-flags.ts';
import { Kvs } from '../core/handle/kvs.ts';
import { KvsTransaction } from '../core/handle/kvs-transaction.ts';
import { withHandle } from './command.ts';
import { ahead } from './kvs-ahead.ts';
import { commit, printRoot, type RootOptions, rootOptions } from './kvs-commit.ts';
import { aboutKvs, type NamespaceOption, namespaceOption } from './kvs-options.ts';
import type { NestedCommand } from './nested.ts';

interface Options extends NamespaceOption, RootOptions {
  recursive?: boolean;
  force?: boolean;
}

export const unlinkCommand: NestedCommand = {
  summary: 'Remove keys',
  define: (command: Command) =>
    rootOptions(namespaceOption(command.argument('<key...>', 'the keys')))
      .option('-R, --recursive', 'Remove directories with all that is in them.')
      .option('-f, --force', 'Let keys be missing.')
      .action((keys: string[], options: Options) =>
        withHandle((handle) => unlink(new Kvs(handle, options.namespace), keys, options)),
      ),
};

async function unlink(kvs: Kvs, keys: readonly string[], options: Options): Promise<void> {
  const transaction = new KvsTransaction();
  const check = (key: string) =>
    mayUnlink(kvs, key, options).catch((error: unknown) => {
      throw aboutKvs(`cannot unlink '${key}'`, kvs.namespace, error);
    });
  const answers = ahead(keys, check);
  for (const key of keys) if ((await answers.next()).value) transaction.unlink(key);
  printRoot(await commit(kvs, transaction), options);
}

/** Whether there is something to remove; throws when it is not to be removed. */
async function mayUnlink(kvs: Kvs, key: string, { recursive, force }: Options): Promise<boolean> {
  try {
    const { type } = await kvs.lookup(key, { flags: LookupFlag.treeobj });
    if (recursive || !type.startsWith('dir')) return true;
    if ((await kvs.readdir(key)).size === 0) return true;
  } catch (error) {
    if (force && asFluxError(error).errno === errno.ENOENT) return false;
    throw error;
  }
  throw new FluxError('ENOTEMPTY');
}
