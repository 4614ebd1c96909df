/** `flux kvs namespace`: makes, removes and lists namespaces. */

import { about } from '../core/errno.ts';
import type { Handle } from '../core/handle/handle.ts';
import { createNamespace, listNamespaces, removeNamespace } from '../core/handle/kvs.ts';
import { reader, withHandle } from './command.ts';
import type { NestedCommand } from './nested.ts';
import { print } from './print.ts';

interface CreateOptions {
  owner?: number;
  rootref?: string;
}

const userid = reader((text) => {
  const number = Number(text);
  if (!/^-?\d+$/.test(text) || number < -1 || number > 0xffffffff) throw new Error(`'${text}' is not a userid.`);
  return number;
});

export const namespaceCommands: Readonly<Record<string, NestedCommand>> = {
  create: {
    summary: 'Make namespaces',
    define: (command) =>
      command
        .argument('<name...>', 'their names')
        .option('-o, --owner <UID>', 'Who may use it beside the instance owner.', userid)
        .option('-r, --rootref <BLOBREF>', 'Begin with this root.')
        .action((names: string[], options: CreateOptions) =>
          withHandle((handle) => each(names, (name) => createNamespace(handle, name, options))),
        ),
  },
  remove: {
    summary: 'Remove namespaces',
    define: (command) =>
      command
        .argument('<name...>', 'their names')
        .action((names: string[]) => withHandle((handle) => each(names, (name) => removeNamespace(handle, name)))),
  },
  list: {
    summary: 'List the namespaces',
    define: (command) => command.action(() => withHandle(list)),
  },
};

/** One after another; errors are about the name. */
async function each(names: readonly string[], work: (name: string) => Promise<void>): Promise<void> {
  for (const name of names) {
    await work(name).catch((error: unknown) => {
      throw about(name, error);
    });
  }
}

async function list(handle: Handle): Promise<void> {
  const namespaces = await listNamespaces(handle);
  const line = (name: string, owner: string, flags: string) =>
    `${name.padEnd(36)} ${owner.padStart(10)} ${flags.padStart(10)}`;
  print(line('NAMESPACE', 'OWNER', 'FLAGS'));
  for (const { namespace, owner, flags } of namespaces.toSorted((a, b) => (a.namespace < b.namespace ? -1 : 1)))
    print(line(namespace, String(owner), `0x${flags.toString(16).toUpperCase().padStart(8, '0')}`));
}
