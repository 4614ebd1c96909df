/** `flux kvs`: the key-value store of an instance (RFC 11). */

import { copyCommand, moveCommand } from './kvs-copy.ts';
import { dirCommand } from './kvs-dir.ts';
import { eventlogCommands } from './kvs-eventlog.ts';
import { getCommand } from './kvs-get.ts';
import { linkCommand, readlinkCommand } from './kvs-link.ts';
import { lsCommand } from './kvs-ls.ts';
import { mkdirCommand } from './kvs-mkdir.ts';
import { namespaceCommands } from './kvs-namespace.ts';
import { putCommand } from './kvs-put.ts';
import { getrootCommand, syncCommand, versionCommand, waitCommand } from './kvs-roots.ts';
import { unlinkCommand } from './kvs-unlink.ts';
import { type NestedCommand, runNested } from './nested.ts';

type Commands = Readonly<Record<string, NestedCommand>>;

const commands: Commands = {
  get: getCommand,
  put: putCommand,
  dir: dirCommand,
  ls: lsCommand,
  unlink: unlinkCommand,
  link: linkCommand,
  readlink: readlinkCommand,
  mkdir: mkdirCommand,
  copy: copyCommand,
  move: moveCommand,
  getroot: getrootCommand,
  version: versionCommand,
  wait: waitCommand,
  sync: syncCommand,
};

/** Commands of two words, by the first. */
const groups: Readonly<Record<string, { readonly description: string; readonly commands: Commands }>> = {
  namespace: { description: 'Namespaces, each with keys of its own.', commands: namespaceCommands },
  eventlog: { description: 'Event logs (RFC 18), which are values of keys.', commands: eventlogCommands },
};

/** `flux kvs COMMAND …` */
export function run(args: readonly string[]): Promise<number> {
  const [word, ...rest] = args;
  const group = word !== undefined && Object.hasOwn(groups, word) ? groups[word] : undefined;
  if (group) return runNested(`kvs ${word}`, group.description, group.commands, rest);
  return runNested('kvs', 'The key-value store of the instance.', { ...commands, ...groupCommands() }, args);
}

/** The commands of two words under both, for the list of all. */
function groupCommands(): Commands {
  const entries = Object.entries(groups).flatMap(([group, { commands }]) =>
    Object.entries(commands).map(([word, command]) => [`${group} ${word}`, command] as const),
  );
  return Object.fromEntries(entries);
}
