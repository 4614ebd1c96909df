/** The roots of a namespace: `flux kvs getroot`, `version`, `wait` and `sync`. */

import { CommitFlag } from '../core/formats/kvs-flags.ts';
import { Kvs } from '../core/handle/kvs.ts';
import { KvsTransaction } from '../core/handle/kvs-transaction.ts';
import { count, withHandle } from './command.ts';
import { commit, printRoot } from './kvs-commit.ts';
import { aboutKvs, type NamespaceOption, namespaceOption } from './kvs-options.ts';
import type { NestedCommand } from './nested.ts';
import { print } from './print.ts';

interface GetrootOptions extends NamespaceOption {
  sequence?: boolean;
  owner?: boolean;
  blobref?: boolean;
}

export const getrootCommand: NestedCommand = {
  summary: 'Show the newest root, as a dirref',
  define: (command) =>
    namespaceOption(command)
      .option('-s, --sequence', 'Show its sequence number.')
      .option('-o, --owner', "Show the namespace's owner, a userid.")
      .option('-b, --blobref', 'Show its blobref.')
      .action((options: GetrootOptions) => withKvs(options, (kvs) => getroot(kvs, options))),
};

export const versionCommand: NestedCommand = {
  summary: 'Show how many commits there were',
  define: (command) =>
    namespaceOption(command).action((options: NamespaceOption) =>
      withKvs(options, async (kvs) => print((await kvs.getroot()).rootseq)),
    ),
};

export const waitCommand: NestedCommand = {
  summary: 'Wait until there were so many commits',
  define: (command) =>
    namespaceOption(command.argument('<version>', 'how many', count)).action(
      (version: number, options: NamespaceOption) => withKvs(options, (kvs) => kvs.waitVersion(version)),
    ),
};

export const syncCommand: NestedCommand = {
  summary: 'Wait until all that was committed is on disk',
  define: (command) =>
    command.action(() =>
      withHandle(async (handle) => {
        await commit(new Kvs(handle), new KvsTransaction(), CommitFlag.sync);
      }),
    ),
};

/** Runs `work` with a namespace; errors are about that. */
function withKvs(options: NamespaceOption, work: (kvs: Kvs) => Promise<unknown>): Promise<void> {
  return withHandle(async (handle) => {
    const kvs = new Kvs(handle, options.namespace);
    await work(kvs).catch((error: unknown) => {
      throw aboutKvs(kvs.namespace, kvs.namespace, error);
    });
  });
}

async function getroot(kvs: Kvs, { owner, sequence, blobref }: GetrootOptions): Promise<void> {
  const root = await kvs.getroot();
  if (owner) print(root.owner);
  else printRoot(root, { treeobjRoot: !sequence && !blobref, sequence: sequence ?? false, blobref: !sequence });
}
