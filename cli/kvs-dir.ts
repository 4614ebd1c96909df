/** `flux kvs dir`: all keys below a directory, and their values. */

import type { Command } from 'commander';
import { valBytes } from '../core/formats/treeobj.ts';
import { Kvs, type KvsEntry } from '../core/handle/kvs.ts';
import type { JsonValue } from '../core/json.ts';
import { withHandle } from './command.ts';
import { ahead } from './kvs-ahead.ts';
import { formatLink } from './kvs-link.ts';
import { type AtOption, aboutKvs, atOption, type NamespaceOption, namespaceOption } from './kvs-options.ts';
import { columnsOf, firstColumns, outputWidth, widthOption } from './kvs-width.ts';
import type { NestedCommand } from './nested.ts';
import { print } from './print.ts';

interface Options extends NamespaceOption, AtOption {
  recursive?: boolean;
  directory?: boolean;
  width?: number;
}

export const dirCommand: NestedCommand = {
  summary: 'Show the keys of a directory, and their values',
  define: (command: Command) =>
    atOption(namespaceOption(command.argument('[key]', 'the directory', '.')))
      .option('-R, --recursive', 'Show what is in directories below it, too.')
      .option('-d, --directory', 'Show no values.')
      .addOption(widthOption())
      .action((key: string, options: Options) =>
        withHandle((handle) => dir(new Kvs(handle, options.namespace), key, options)),
      ),
};

/** Shows it as it is at one moment, whatever is committed meanwhile. */
async function dir(kvs: Kvs, key: string, options: Options): Promise<void> {
  const width = outputWidth(options.width);
  try {
    const at = options.at ?? (await kvs.getroot()).rootref;
    const entries = options.recursive ? leaves(kvs.walk(key, { at })) : entriesOf(kvs, key, at);
    const lines = ahead(entries, (entry) => describe(kvs, entry, at, options.directory ? undefined : width));
    for await (const line of lines) print(line);
  } catch (error) {
    throw aboutKvs(key, kvs.namespace, error);
  }
}

async function* entriesOf(kvs: Kvs, directory: string, at: JsonValue): AsyncGenerator<KvsEntry, void, undefined> {
  for (const [name, value] of await kvs.readdir(directory, { at })) yield { key: keyIn(directory, name), value };
}

/** The key of a name in a directory. */
export function keyIn(directory: string, name: string): string {
  if (directory === '.') return name;
  return directory.endsWith('.') ? directory + name : `${directory}.${name}`;
}

/** The entries of a walk without the directories that have some in them. */
async function* leaves(entries: AsyncIterable<KvsEntry>): AsyncGenerator<KvsEntry, void, undefined> {
  let directory: KvsEntry | undefined;
  for await (const entry of entries) {
    if (directory && !entry.key.startsWith(`${directory.key}.`)) yield directory;
    directory = isDirectory(entry) ? entry : undefined;
    if (!directory) yield entry;
  }
  if (directory) yield directory;
}

function isDirectory({ value }: KvsEntry): boolean {
  return value.type === 'dir' || value.type === 'dirref';
}

/** @param width undefined: without the value */
async function describe(kvs: Kvs, entry: KvsEntry, at: JsonValue, width: number | undefined): Promise<string> {
  const { key, value } = entry;
  if (value.type === 'symlink') return `${key} -> ${formatLink(value.data)}`;
  if (isDirectory(entry)) return `${key}.`;
  if (width === undefined) return key;
  const bytes = Buffer.from(value.type === 'val' ? valBytes(value) : await kvs.get(key, { at }));
  const end = bytes.indexOf(0);
  return formatEntry(key, bytes.toString('utf8', 0, end < 0 ? bytes.length : end), width);
}

/** `key = value` in so many columns, on one line; 0 is no limit. */
export function formatEntry(key: string, value: string, width: number): string {
  const whole = `${key} = ${value}`;
  const columns = width - DOTS.length;
  if (columns <= 0) return whole;
  const start = columnsOf(whole) > columns ? firstColumns(whole, columns) : whole;
  const [line] = start.split('\n', 1) as [string];
  const isWhole = line === whole || `${line}\n` === whole;
  return isWhole ? line : line + DOTS;
}

/** Stands for what does not fit. */
const DOTS = '...';
