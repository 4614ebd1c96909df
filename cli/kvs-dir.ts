/** `flux kvs dir`: all keys below a directory, and their values. */

import type { Command } from 'commander';
import { valBytes } from '../core/formats/treeobj.ts';
import { Kvs, type KvsEntry } from '../core/handle/kvs.ts';
import type { JsonValue } from '../core/json.ts';
import { withHandle } from './command.ts';
import { ahead } from './kvs-ahead.ts';
import { formatLink } from './kvs-link.ts';
import { type AtOption, aboutKvs, atOption, type NamespaceOption, namespaceOption } from './kvs-options.ts';
import { isDirectory, keyIn, type Listing, subdirectories } from './kvs-tree.ts';
import { columnsOf, firstColumns, outputWidth, widthOption } from './kvs-width.ts';
import type { NestedCommand } from './nested.ts';

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
    const listing = { key, entries: await kvs.readdir(key, { at }) };
    const lines = ahead(leaves(kvs, listing, options.recursive), (entry) =>
      describe(kvs, entry, at, options.directory ? undefined : width),
    );
    await printLines(lines);
  } catch (error) {
    throw aboutKvs(key, kvs.namespace, error);
  }
}

/** What is in a directory; with `recursive`, directories stand for what is in them unless they are empty. */
async function* leaves(kvs: Kvs, listing: Listing, recursive = false): AsyncGenerator<KvsEntry, void, undefined> {
  const directories = subdirectories(kvs, listing);
  for (const [name, value] of listing.entries) {
    const directory = recursive && isDirectory(value) ? (await directories.next()).value : undefined;
    if (directory?.entries.size) yield* leaves(kvs, directory, recursive);
    else yield { key: keyIn(listing.key, name), value };
  }
}

/** @param width undefined: without the value */
async function describe(kvs: Kvs, entry: KvsEntry, at: JsonValue, width: number | undefined): Promise<string> {
  const { key, value } = entry;
  if (value.type === 'symlink') return `${key} -> ${formatLink(value.data)}`;
  if (isDirectory(value)) return `${key}.`;
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

/** Lines are written together, so many characters at a time. */
const CHUNK_LENGTH = 65536;

async function printLines(lines: AsyncIterable<string>): Promise<void> {
  let text = '';
  try {
    for await (const line of lines) {
      text += `${line}\n`;
      if (text.length < CHUNK_LENGTH) continue;
      process.stdout.write(text);
      text = '';
    }
  } finally {
    process.stdout.write(text);
  }
}
