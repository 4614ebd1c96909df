/** `flux kvs ls`: the names in directories, as ls(1) lists files. */

import type { Command } from 'commander';
import { asFluxError, errno, FluxError } from '../core/errno.ts';
import { LookupFlag } from '../core/formats/kvs-flags.ts';
import { compareNames, type Treeobj } from '../core/formats/treeobj.ts';
import { Kvs } from '../core/handle/kvs.ts';
import { describe, Exit, withHandle } from './command.ts';
import { ahead } from './kvs-ahead.ts';
import { aboutKvs, type NamespaceOption, namespaceOption } from './kvs-options.ts';
import { isDirectory, type Listing, subdirectories } from './kvs-tree.ts';
import { columnsOf, outputWidth, widthOption } from './kvs-width.ts';
import type { NestedCommand } from './nested.ts';
import { print } from './print.ts';

interface Options extends NamespaceOption {
  recursive?: boolean;
  directory?: boolean;
  width?: number;
  1?: boolean;
  classify?: boolean;
}

export const lsCommand: NestedCommand = {
  summary: 'List the names in directories',
  define: (command: Command) =>
    namespaceOption(command.argument('[key...]', 'directories, and other keys'))
      .option('-R, --recursive', 'List the directories in them, too.')
      .option('-d, --directory', 'List directories themselves, not what is in them.')
      .addOption(widthOption())
      .option('-1, --1', 'List one a line.')
      .option('-F, --classify', 'Put `.` behind directories, and `@` behind links.')
      .action((keys: string[], options: Options) =>
        withHandle((handle) => list(new Kvs(handle, options.namespace), keys.length ? keys : ['.'], options)),
      ),
};

/** A key of the command line. */
interface Found {
  readonly key: string;
  readonly object: Treeobj;
  /** Whether what is in it is listed, not itself. */
  readonly isOpened: boolean;
}

/** Lists first the keys that are not opened, then one directory after another. Missing keys fail it in the end. */
async function list(kvs: Kvs, keys: readonly string[], options: Options): Promise<void> {
  const lister = await Lister.begin(kvs, options);
  const found: Found[] = [];
  let failed = false;
  for await (const result of ahead(keys, (key) => lister.find(key).catch((error: unknown) => asFluxError(error)))) {
    if (!(result instanceof FluxError)) found.push(result);
    else {
      console.error(`flux-kvs ls: ${describe(result)}`);
      failed = true;
    }
  }
  await lister.print(found.sort((a, b) => compareNames(a.key, b.key)));
  if (failed) throw new Exit(1);
}

/** Lists keys as they are at one moment. */
class Lister {
  readonly #kvs: Kvs;
  readonly #options: Options;
  readonly #at: string;
  readonly #width: number;

  private constructor(kvs: Kvs, options: Options, at: string) {
    this.#kvs = kvs;
    this.#options = options;
    this.#at = at;
    this.#width = options[1] ? 1 : outputWidth(options.width);
  }

  static async begin(kvs: Kvs, options: Options): Promise<Lister> {
    const { rootref } = await kvs.getroot().catch((error: unknown) => {
      throw aboutKvs(kvs.namespace, kvs.namespace, error);
    });
    return new Lister(kvs, options, rootref);
  }

  /** What to do with a word of the command line; with a dot at its end it must be a directory. */
  async find(word: string): Promise<Found> {
    const key = word.replace(/(?<=.)\.+$/, '');
    try {
      const object = await this.#kvs.lookup(key, { flags: LookupFlag.treeobj, at: this.#at });
      if (key !== word && !isDirectory(object)) throw new FluxError('ENOTDIR');
      return { key, object, isOpened: await this.#isOpened(key, object) };
    } catch (error) {
      throw aboutKvs(key, this.#kvs.namespace, error);
    }
  }

  async #isOpened(key: string, object: Treeobj): Promise<boolean> {
    const { directory, classify } = this.#options;
    if (isDirectory(object)) return !directory;
    return object.type === 'symlink' && !directory && !classify && (await this.#leadsToDirectory(key));
  }

  async #leadsToDirectory(link: string): Promise<boolean> {
    try {
      await this.#kvs.readdir(link, { at: this.#at });
      return true;
    } catch (error) {
      if ([errno.ENOENT, errno.ENOTDIR].includes(asFluxError(error).errno)) return false;
      throw error;
    }
  }

  async print(found: readonly Found[]): Promise<void> {
    const names = found.filter(({ isOpened }) => !isOpened).map(({ key, object }) => this.#nameOf(key, object));
    const directories = found.filter(({ isOpened }) => isOpened);
    this.#printColumns(names, names);
    const hasLabels = names.length > 0 || directories.length > 1 || this.#options.recursive === true;
    let separator = names.length ? '\n' : '';
    for (const { key } of directories) {
      const entries = await this.#kvs.readdir(key, { at: this.#at }).catch((error: unknown) => {
        throw aboutKvs(key, this.#kvs.namespace, error);
      });
      await this.#printDirectory({ key, entries }, hasLabels, separator);
      separator = '\n';
    }
  }

  async #printDirectory(listing: Listing, hasLabel: boolean, separator: string): Promise<void> {
    const { key, entries } = listing;
    if (hasLabel) print(`${separator}${key}:`);
    this.#printColumns(
      [...entries].map(([name, object]) => this.#nameOf(name, object)),
      [...entries.keys()],
    );
    if (!this.#options.recursive) return;
    for await (const directory of subdirectories(this.#kvs, listing))
      await this.#printDirectory(directory, hasLabel, '\n');
  }

  #nameOf(key: string, object: Treeobj): string {
    if (!this.#options.classify) return key;
    return isDirectory(object) ? `${key}.` : object.type === 'symlink' ? `${key}@` : key;
  }

  /** @param measured what the columns' width comes from */
  #printColumns(names: readonly string[], measured: readonly string[]): void {
    const column = measured.reduce((most, name) => Math.max(most, columnsOf(name)), 0) + GAP;
    const lines = inColumns(names, column, this.#width);
    if (lines.length) print(lines.join('\n'));
  }
}

/** Blanks between columns, at least so many. */
const GAP = 4;

/** Lines of names in columns of that many characters, in `width` columns in all; 0 is no limit. */
export function inColumns(names: readonly string[], column: number, width: number): string[] {
  const perLine = width === 0 ? names.length : Math.max(1, Math.floor(width / column));
  const pad = (name: string, isLast: boolean) => (isLast ? name : name + ' '.repeat(column - columnsOf(name)));
  const lines: string[] = [];
  for (let i = 0; i < names.length; i += perLine) {
    const line = names.slice(i, i + perLine);
    lines.push(line.map((name, index) => pad(name, index === line.length - 1)).join(''));
  }
  return lines;
}
