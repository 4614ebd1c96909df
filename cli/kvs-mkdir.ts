/** `flux kvs mkdir`: makes empty directories, all of them at once. */

import { Kvs } from '../core/handle/kvs.ts';
import { KvsTransaction } from '../core/handle/kvs-transaction.ts';
import { withHandle } from './command.ts';
import { commit, printRoot, type RootOptions, rootOptions } from './kvs-commit.ts';
import { type NamespaceOption, namespaceOption } from './kvs-options.ts';
import type { NestedCommand } from './nested.ts';

export const mkdirCommand: NestedCommand = {
  summary: 'Make empty directories',
  define: (command) =>
    rootOptions(namespaceOption(command.argument('<key...>', 'the keys; what they were is lost'))).action(
      (keys: string[], options: NamespaceOption & RootOptions) =>
        withHandle(async (handle) => {
          const transaction = new KvsTransaction();
          for (const key of keys) transaction.mkdir(key);
          printRoot(await commit(new Kvs(handle, options.namespace), transaction), options);
        }),
    ),
};
