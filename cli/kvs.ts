/** `flux kvs`: the key-value store of an instance (RFC 11). */

import { type NestedCommand, runNested } from './nested.ts';

/** Each is loaded when it runs, or for the list of all. */
const commands: Readonly<Record<string, () => Promise<NestedCommand>>> = {
  get: async () => (await import('./kvs-get.ts')).getCommand,
  put: async () => (await import('./kvs-put.ts')).putCommand,
  dir: async () => (await import('./kvs-dir.ts')).dirCommand,
  ls: async () => (await import('./kvs-ls.ts')).lsCommand,
  unlink: async () => (await import('./kvs-unlink.ts')).unlinkCommand,
  link: async () => (await import('./kvs-link.ts')).linkCommand,
  readlink: async () => (await import('./kvs-link.ts')).readlinkCommand,
  mkdir: async () => (await import('./kvs-mkdir.ts')).mkdirCommand,
  copy: async () => (await import('./kvs-copy.ts')).copyCommand,
  move: async () => (await import('./kvs-copy.ts')).moveCommand,
  getroot: async () => (await import('./kvs-roots.ts')).getrootCommand,
  version: async () => (await import('./kvs-roots.ts')).versionCommand,
  wait: async () => (await import('./kvs-roots.ts')).waitCommand,
  diff: async () => (await import('./kvs-diff.ts')).diffCommand,
  log: async () => (await import('./kvs-log.ts')).logCommand,
  sync: async () => (await import('./kvs-roots.ts')).syncCommand,
};

interface Group {
  readonly description: string;
  readonly load: () => Promise<Readonly<Record<string, NestedCommand>>>;
}

/** Commands of two words, by the first. */
const groups: Readonly<Record<string, Group>> = {
  namespace: {
    description: 'Namespaces, each with keys of its own.',
    load: async () => (await import('./kvs-namespace.ts')).namespaceCommands,
  },
  eventlog: {
    description: 'Event logs (RFC 18), which are values of keys.',
    load: async () => (await import('./kvs-eventlog.ts')).eventlogCommands,
  },
};

/** `flux kvs COMMAND …` */
export async function run(args: readonly string[]): Promise<number> {
  const [word = '', ...rest] = args;
  const group = Object.hasOwn(groups, word) ? groups[word] : undefined;
  if (group) return runNested(`kvs ${word}`, group.description, await group.load(), rest);
  const loaded = Object.hasOwn(commands, word) ? { [word]: await commands[word]!() } : await loadAll();
  return runNested('kvs', 'The key-value store of the instance.', loaded, args);
}

/** All commands by their words, one or two. */
async function loadAll(): Promise<Readonly<Record<string, NestedCommand>>> {
  const all: Record<string, NestedCommand> = {};
  for (const [word, load] of Object.entries(commands)) all[word] = await load();
  for (const [first, { load }] of Object.entries(groups))
    for (const [second, command] of Object.entries(await load())) all[`${first} ${second}`] = command;
  return all;
}
