/** Where archives are in the KVS (RFC 37), and what the subcommands of `flux archive` have in common. */

import { type Command, Option } from 'commander';
import { about, asFluxError, FluxError, strerror } from '../core/errno.ts';
import { decodeArchive, type FileObject } from '../core/formats/archive.ts';
import { globMatcher } from '../core/formats/glob.ts';
import { LookupFlag } from '../core/formats/kvs-flags.ts';
import { valBytes } from '../core/formats/treeobj.ts';
import type { Handle } from '../core/handle/handle.ts';
import { Kvs, PRIMARY_NAMESPACE } from '../core/handle/kvs.ts';
import { KvsTransaction } from '../core/handle/kvs-transaction.ts';
import { type JsonValue, parseJson } from '../core/json.ts';

import { within } from './limits.ts';

/** Options of all subcommands. */
export interface ArchiveOptions {
  readonly name: string;
  /** `--no-force-primary` makes it false. */
  readonly forcePrimary: boolean;
}

export function archiveOptions(command: Command): Command {
  return command
    .option('-n, --name <NAME>', 'Name of the archive.', 'main')
    .option('--no-force-primary', 'The archive is in the namespace of FLUX_KVS_NAMESPACE, not in the primary one.');
}

export function directoryOption(command: Command): Command {
  return command.option('-C, --directory <DIR>', 'Change to this folder first.');
}

export function verboseOption(command: Command): Command {
  return command.addOption(new Option('-v, --verbose [LEVEL]', 'List files on stderr.').preset('1').argParser(Number));
}

/** @throws FluxError what the folder could not be entered for */
export function enterDirectory(directory: string | undefined): void {
  if (directory === undefined) return;
  try {
    process.chdir(directory);
  } catch (error) {
    const { errno } = asFluxError(error);
    throw new FluxError(errno, `chdir ${directory}: ${strerror(errno)}`);
  }
}

/** The keys of one archive. */
export class ArchiveStore {
  readonly name: string;
  readonly kvs: Kvs;
  /** The archive itself. */
  readonly key: string;
  /** A directory of references to its blobs, which keep them when the store is dumped and restored. */
  readonly blobsKey: string;
  readonly #handle: Handle;

  constructor(handle: Handle, { name, forcePrimary }: ArchiveOptions) {
    this.#handle = handle;
    this.name = name;
    this.kvs = forcePrimary ? new Kvs(handle, PRIMARY_NAMESPACE) : new Kvs(handle);
    this.key = `archive.${name}`;
    this.blobsKey = `${this.key}_blobs`;
  }

  /**
   * The archive as JSON.
   *
   * @param seconds how long to wait for it when it is not there
   * @throws FluxError ENOENT: there is none; ETIMEDOUT: there was none so long; EINVAL: it is no JSON
   */
  async fetch(seconds?: number): Promise<JsonValue> {
    const flags = seconds === undefined ? 0 : LookupFlag.waitcreate;
    try {
      const value = await within(seconds ?? Infinity, this.kvs.lookup(this.key, { flags }));
      return parseJson(valBytes(value).toString());
    } catch (error) {
      if (asFluxError(error).code === 'ETIMEDOUT')
        throw new FluxError('ETIMEDOUT', `${this.key}: key was not created within timeout window`);
      throw about(`KVS lookup ${this.key}`, error);
    }
  }

  /** The files in the archive whose path matches a pattern, all without one; says on stderr when there are none. */
  async files(pattern: string | undefined, seconds?: number): Promise<FileObject[]> {
    const files = decodeArchive(await this.fetch(seconds));
    if (pattern === undefined) return files;
    const matches = globMatcher(pattern);
    const chosen = files.filter(({ path }) => matches(path));
    if (!chosen.length) console.error(`flux-archive: No files matched pattern '${pattern}'`);
    return chosen;
  }

  async exists(): Promise<boolean> {
    try {
      await this.kvs.lookup(this.key);
      return true;
    } catch (error) {
      if (asFluxError(error).code === 'ENOENT') return false;
      throw about(`KVS lookup ${this.key}`, error);
    }
  }

  /** Removes it with all that belongs to it; it need not be there. */
  async remove(): Promise<void> {
    await this.kvs.commit(new KvsTransaction().unlink(this.key).unlink(this.blobsKey)).catch((error: unknown) => {
      throw about(`unlink ${this.key}`, error);
    });
    await this.#handle.rpc('content.mmap-remove', { tag: this.name }, { nodeid: 0 }).catch((error: unknown) => {
      console.error(`flux-archive: ${about(`unmap ${this.name}`, error).message}`);
    });
  }
}
