/** `flux kvs copy` and `flux kvs move`: a key, with all below it, to another place. */

import type { Command } from 'commander';
import { FluxError } from '../core/errno.ts';
import { LookupFlag } from '../core/formats/kvs-flags.ts';
import type { Handle } from '../core/handle/handle.ts';
import { Kvs } from '../core/handle/kvs.ts';
import { KvsTransaction } from '../core/handle/kvs-transaction.ts';
import { withHandle } from './command.ts';
import { commit } from './kvs-commit.ts';
import { aboutKvs } from './kvs-options.ts';
import type { NestedCommand } from './nested.ts';

interface Options {
  srcNamespace?: string;
  dstNamespace?: string;
}

export const copyCommand = define('Copy a key', false);
export const moveCommand = define('Move a key', true);

function define(summary: string, removes: boolean): NestedCommand {
  return {
    summary,
    define: (command: Command) =>
      command
        .argument('<source>', 'the key')
        .argument('<destination>', 'where to')
        .option('-S, --src-namespace <NAME>', 'The namespace of the source; by default FLUX_KVS_NAMESPACE, or primary.')
        .option('-D, --dst-namespace <NAME>', 'The namespace of the destination; by default the same.')
        .action((source: string, destination: string, options: Options) =>
          withHandle((handle) => copy(handle, source, destination, options, removes)),
        ),
  };
}

async function copy(
  handle: Handle,
  source: string,
  destination: string,
  { srcNamespace, dstNamespace }: Options,
  removes: boolean,
): Promise<void> {
  const from = new Kvs(handle, srcNamespace);
  const to = new Kvs(handle, dstNamespace);
  const isOneNamespace = from.namespace === to.namespace;
  if (removes && isOneNamespace && isWithin(destination, source))
    throw new FluxError('EINVAL', `cannot move '${source}' to '${destination}', which is the same or in it`);
  const treeobj = await from.lookup(source, { flags: LookupFlag.treeobj }).catch((error: unknown) => {
    throw aboutKvs(source, from.namespace, error);
  });
  const transaction = new KvsTransaction().putTreeobj(destination, treeobj);
  if (removes && isOneNamespace) transaction.unlink(source);
  await commit(to, transaction);
  if (removes && !isOneNamespace) await commit(from, new KvsTransaction().unlink(source));
}

/** Whether a key is another one or below it. */
function isWithin(key: string, directory: string): boolean {
  const names = namesOf(key);
  return namesOf(directory).every((name, index) => name === names[index]);
}

function namesOf(key: string): string[] {
  return key.split('.').filter(Boolean);
}
