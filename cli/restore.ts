/** `flux restore`: puts what `flux dump` has written, or any tar archive, into the KVS. */

import { about, FluxError } from '../core/errno.ts';
import type { HashName } from '../core/formats/blobref.ts';
import { type TarHeader, TarReader } from '../core/formats/tar.ts';
import { makeDirref, makeSymlink, makeVal, makeValref, type Treeobj } from '../core/formats/treeobj.ts';
import { Content } from '../core/handle/content.ts';
import type { Handle } from '../core/handle/handle.ts';
import { Kvs } from '../core/handle/kvs.ts';
import { KvsTransaction } from '../core/handle/kvs-transaction.ts';
import { BlobWriter } from './blob-writer.ts';
import { runCommand, subcommand, withHandle } from './command.ts';
import { readCompressed } from './compressed-file.ts';
import { byteCount, requestCount } from './content-options.ts';
import { keyOfEntry } from './dump-keys.ts';
import { KeyProgress } from './key-progress.ts';
import { isKvsRunning } from './kvs-running.ts';
import { TreeEditor } from './tree-editor.ts';
import type { TreePath } from './tree-walk.ts';

/** Values as long as a blobref can be are blobs, shorter ones are in their directory. */
const BLOB_MIN = 72;
/** Longer values are several blobs of this size. */
const BLOB_MAX = 4 * 1024 * 1024;
/** Entries in memory before directories are written, though more may come for them. */
const TREE_MAX = 200_000;

interface RestoreOptions {
  verbose?: boolean;
  quiet?: boolean;
  checkpoint?: boolean;
  key?: string;
  /** `--no-cache` makes it false. */
  cache: boolean;
  sizeLimit: number;
  maxreqs: number;
  sdNotify?: boolean;
}

/** `flux restore [OPTIONS] INFILE` */
export function run(args: readonly string[]): Promise<number> {
  const command = subcommand('restore', 'Put the content of a tar archive into the KVS.')
    .argument('<infile>', 'the archive; - is standard input')
    .option('-v, --verbose', 'List keys on stderr as they are restored.')
    .option('-q, --quiet', 'Do not tell how many keys have been restored.')
    .option('--checkpoint', 'Restore to a checkpoint, which is what the KVS begins with when it is loaded.')
    .option('--key <KEY>', 'Restore to this key, which becomes a directory.')
    .option('--no-cache', 'Write to the backing store, not through the content cache.')
    .option('--size-limit <SIZE>', 'Leave out values of more bytes than this; 0 is no limit.', byteCount, 0)
    .option('--maxreqs <N>', 'Store so many blobs at a time.', requestCount, 256)
    .option('--sd-notify', 'Tell systemd about the progress, through the broker.')
    .action((infile: string, options: RestoreOptions) => withHandle((handle) => restore(handle, infile, options)));
  return runCommand(command, args);
}

async function restore(handle: Handle, infile: string, options: RestoreOptions): Promise<void> {
  const { checkpoint, key, quiet, cache } = options;
  if (!checkpoint && key === undefined)
    throw new FluxError('EINVAL', 'Please specify a restore target with --checkpoint or --key');
  if (checkpoint && (await isKvsRunning(handle)))
    throw new FluxError('EBUSY', 'please unload kvs module before using --checkpoint');
  const content = new Content(handle, { bypassCache: !cache });
  const hash = (await handle.attribute('content.hash')) as HashName;
  const restorer = new Restorer(handle, content, hash, options);
  const rootref = await restorer.read(infile);
  const say = (where: string) => {
    if (!quiet) console.error(`flux-restore: writing snapshot ${rootref.replace(/-(.{8}).*/, '-$1')} to ${where}`);
  };
  if (checkpoint) {
    say('checkpoint for next KVS start');
    // What is restored begins anew: with sequence number 0.
    await content.putCheckpoint({ rootref, sequence: 0, timestamp: restorer.timestamp }).catch((error: unknown) => {
      throw about('error updating checkpoint', error);
    });
  } else {
    say(`KVS key '${key}'`);
    await new Kvs(handle).commit(new KvsTransaction().putTreeobj(key!, makeDirref(rootref))).catch((error: unknown) => {
      throw about(`error updating ${key}`, error);
    });
  }
  if (cache) await content.flush();
}

class Restorer {
  readonly #options: RestoreOptions;
  readonly #writer: BlobWriter;
  readonly #tree: TreeEditor;
  readonly #progress: KeyProgress;
  /** Hard links: they get what the entry has that they lead to, which is known when all is read. */
  readonly #links: { readonly key: TreePath; readonly target: TreePath }[] = [];
  #keys = 0;
  /** The newest modification time in the archive. */
  timestamp = 0;

  constructor(handle: Handle, content: Content, hash: HashName, options: RestoreOptions) {
    const { verbose, quiet, sdNotify, maxreqs } = options;
    this.#options = options;
    this.#writer = new BlobWriter(content, hash, maxreqs);
    this.#tree = TreeEditor.empty((blobref) => content.load(blobref), this.#writer);
    this.#progress = new KeyProgress(handle, { silent: !!(verbose || quiet), systemd: !!sdNotify }, () => ({
      terminal: `flux-restore: restored ${this.#keys} keys (${this.#writer.stored} blobs)`,
      systemd: `flux-restore(1) has restored ${this.#keys} keys`,
    }));
  }

  /** Stores all that is in an archive; resolves to its root's blobref. */
  async read(infile: string): Promise<string> {
    const archive = new TarReader(readCompressed(infile));
    for (let header = await archive.next(); header; header = await archive.next()) {
      this.timestamp = Math.max(this.timestamp, header.mtime ?? 0);
      await this.#take(archive, header);
      if (this.#tree.size > TREE_MAX) await this.#tree.spill();
    }
    for (const { key, target } of this.#links) await this.#resolveLink(key, target);
    const rootref = await this.#tree.store();
    this.#progress.end();
    return rootref;
  }

  async #take(archive: TarReader, header: TarHeader): Promise<void> {
    const { path, type, size, target = '' } = header;
    if (type === 'file') {
      const { sizeLimit } = this.#options;
      if (sizeLimit && size > sizeLimit)
        console.error(`flux-restore: ${path} size ${size} exceeds ${sizeLimit} limit, skipping`);
      else await this.#put(keyOfEntry(header), path, await this.#storeValue(archive, size));
    } else if (type === 'symlink') await this.#put(keyOfEntry(header), `${path} -> ${target}`, linkTo(target));
    else if (type === 'link')
      this.#links.push({ key: keyOfEntry(header), target: keyOfEntry({ ...header, path: target }) });
  }

  /** Stores the content of the present entry, a piece at a time. */
  async #storeValue(archive: TarReader, size: number): Promise<Treeobj> {
    if (size < BLOB_MIN) return makeVal(await archive.read(size));
    const blobrefs: string[] = [];
    for (let left = size; left > 0; left -= BLOB_MAX)
      blobrefs.push(await this.#writer.store(await archive.read(BLOB_MAX)));
    return makeValref(blobrefs);
  }

  async #put(key: TreePath, line: string, object: Treeobj): Promise<void> {
    await this.#tree.set(key, object);
    this.#keys++;
    if (this.#options.verbose) console.error(line);
    this.#progress.step();
  }

  async #resolveLink(key: TreePath, target: TreePath): Promise<void> {
    const object = await this.#tree.get(target);
    if (object === undefined || object === 'directory')
      throw new FluxError('ENOENT', `${key.join('/')} is a link to ${target.join('/')}, which is not in the archive`);
    await this.#put(key, key.join('/'), object);
  }
}

/** Where a link's target has `::`, what is before it is a namespace. */
function linkTo(target: string): Treeobj {
  const colons = target.indexOf('::');
  return colons < 0 ? makeSymlink(target) : makeSymlink(target.slice(colons + 2), target.slice(0, colons));
}
