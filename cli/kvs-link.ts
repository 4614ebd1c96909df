/** `flux kvs link` and `flux kvs readlink`: keys that stand for others. */

import type { Command } from 'commander';
import { Kvs } from '../core/handle/kvs.ts';
import { KvsTransaction } from '../core/handle/kvs-transaction.ts';
import { withHandle } from './command.ts';
import { commit, printRoot, type RootOptions, rootOptions } from './kvs-commit.ts';
import { type AtOption, aboutKvs, atOption, type NamespaceOption, namespaceOption } from './kvs-options.ts';
import type { NestedCommand } from './nested.ts';
import { print } from './print.ts';

interface LinkOptions extends NamespaceOption, RootOptions {
  targetNamespace?: string;
}

interface ReadlinkOptions extends NamespaceOption, AtOption {
  namespaceOnly?: boolean;
  keyOnly?: boolean;
}

export const linkCommand: NestedCommand = {
  summary: 'Make a key that stands for another',
  define: (command: Command) =>
    rootOptions(
      namespaceOption(command.argument('<target>', 'the key that it stands for').argument('<linkname>', 'the new key')),
    )
      .option('-T, --target-namespace <NAME>', "The target's namespace; by default that of the link.")
      .action((target: string, name: string, options: LinkOptions) =>
        withHandle(async (handle) => {
          const transaction = new KvsTransaction().symlink(name, target, options.targetNamespace);
          printRoot(await commit(new Kvs(handle, options.namespace), transaction), options);
        }),
      ),
};

export const readlinkCommand: NestedCommand = {
  summary: 'Show what links stand for',
  define: (command: Command) =>
    atOption(namespaceOption(command.argument('<key...>', 'the links')))
      .option('-o, --namespace-only', 'Show only the namespace, where there is one.')
      .option('-k, --key-only', 'Show only the key.')
      .action((keys: string[], options: ReadlinkOptions) =>
        withHandle(async (handle) => {
          const kvs = new Kvs(handle, options.namespace);
          for (const key of keys) print(await readlink(kvs, key, options));
        }),
      ),
};

async function readlink(kvs: Kvs, key: string, { at, namespaceOnly, keyOnly }: ReadlinkOptions): Promise<string> {
  const link = await kvs.readlink(key, { at }).catch((error: unknown) => {
    throw aboutKvs(key, kvs.namespace, error);
  });
  if (namespaceOnly && link.namespace !== undefined) return link.namespace;
  return keyOnly ? link.target : formatLink(link);
}

/** A link's target with its namespace, when that is said: `other::a.b`. */
export function formatLink({ namespace, target }: { readonly namespace?: string; readonly target: string }): string {
  return namespace === undefined ? target : `${namespace}::${target}`;
}
