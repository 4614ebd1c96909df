/** `flux dump`: writes what is in the KVS at one moment to a tar archive. */

import process from 'node:process';
import { about, FluxError } from '../core/errno.ts';
import { encodeTarHeader, TAR_END, type TarHeader, tarPadding } from '../core/formats/tar.ts';
import { type Symlink, type Valref, valBytes } from '../core/formats/treeobj.ts';
import { Content } from '../core/handle/content.ts';
import type { Handle } from '../core/handle/handle.ts';
import { createNamespace, Kvs, PRIMARY_NAMESPACE, removeNamespace } from '../core/handle/kvs.ts';
import { Exit, runCommand, subcommand, withHandle } from './command.ts';
import { OutputFile } from './compressed-file.ts';
import { requestCount } from './content-options.ts';
import { KEY_RECORD, needsKeyRecord } from './dump-keys.ts';
import { KeyProgress } from './key-progress.ts';
import { type Outcome, type TreePath, type Visit, walkTree } from './tree-walk.ts';

/** How much of a value is kept while it waits to be written; what is beyond is loaded twice, for its size goes first. */
const KEEP_BYTES = 4 * 1024 * 1024;

/** What usually ends a command. */
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

interface DumpOptions {
  verbose?: boolean;
  quiet?: boolean;
  checkpoint?: boolean;
  /** `--no-cache` makes it false. */
  cache: boolean;
  ignoreFailedRead?: boolean;
  sdNotify?: boolean;
  maxreqs: number;
}

/** `flux dump [OPTIONS] OUTFILE` */
export function run(args: readonly string[]): Promise<number> {
  const command = subcommand('dump', 'Write a snapshot of the KVS to a tar archive.')
    .argument('<outfile>', 'where to; its ending tells how to compress it, and - is standard output')
    .option('-v, --verbose', 'List keys on stderr as they are written.')
    .option('-q, --quiet', 'Do not tell how many keys have been written.')
    .option('--checkpoint', 'Dump the latest checkpoint instead of what the KVS is now.')
    .option('--no-cache', 'Read from the backing store, not through the content cache.')
    .option('--ignore-failed-read', 'Leave out values that cannot be read, and go on.')
    .option('--sd-notify', 'Tell systemd about the progress, through the broker.')
    .option('--maxreqs <N>', 'Ask for so many blobs at a time.', requestCount, 16)
    .action((outfile: string, options: DumpOptions) => withHandle((handle) => dump(handle, outfile, options)));
  return runCommand(command, args);
}

async function dump(handle: Handle, outfile: string, options: DumpOptions): Promise<void> {
  const content = new Content(handle, { bypassCache: !options.cache });
  const file = new OutputFile(outfile);
  try {
    const { rootref, timestamp } = await findRoot(handle, content, options);
    const dumper = new Dumper(handle, content, file, timestamp, options);
    if (options.checkpoint) await dumper.write(rootref);
    else await withNamespace(handle, rootref, () => dumper.write(rootref));
    await file.end();
  } catch (error) {
    file.discard();
    throw error;
  }
}

/** The root to dump, and the time that it is from. */
async function findRoot(
  handle: Handle,
  content: Content,
  { checkpoint }: DumpOptions,
): Promise<{ rootref: string; timestamp: number }> {
  if (checkpoint) {
    const [newest] = await content.checkpoints().catch((error: unknown) => {
      throw about('error fetching checkpoints', error);
    });
    if (!newest) throw new FluxError('ENOENT', 'error fetching checkpoints: there is none');
    return newest;
  }
  const { rootref } = await new Kvs(handle, PRIMARY_NAMESPACE).getroot().catch((error: unknown) => {
    throw about('error fetching current KVS root', error);
  });
  return { rootref, timestamp: Date.now() / 1000 };
}

/** Works while a namespace has a root: what it refers to is no garbage then, though others commit meanwhile. */
async function withNamespace(handle: Handle, rootref: string, work: () => Promise<void>): Promise<void> {
  const namespace = `dump-${crypto.randomUUID()}`;
  await createNamespace(handle, namespace, { rootref });
  const end = () => process.exit(1);
  const remove = () => removeNamespace(handle, namespace);
  const onSignal = () => void remove().then(end, end);
  for (const signal of signals) process.once(signal, onSignal);
  try {
    await work();
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
    await remove();
  }
}

/** The first bytes of a value. */
interface Beginning {
  readonly blobs: readonly Uint8Array[];
  /** Whether that is all of it. */
  readonly isWhole: boolean;
}

class Dumper {
  readonly #content: Content;
  readonly #file: OutputFile;
  readonly #options: DumpOptions;
  readonly #progress: KeyProgress;
  readonly #common: Pick<TarHeader, 'mtime' | 'mode' | 'uid' | 'gid'>;
  #keys = 0;

  constructor(handle: Handle, content: Content, file: OutputFile, timestamp: number, options: DumpOptions) {
    this.#content = content;
    this.#file = file;
    this.#options = options;
    const { verbose, quiet, sdNotify } = options;
    this.#progress = new KeyProgress(handle, { silent: !!(verbose || quiet), systemd: !!sdNotify }, () => ({
      terminal: `flux-dump: archived ${this.#keys} keys`,
      systemd: `flux-dump(1) has archived ${this.#keys} keys`,
    }));
    const [uid, gid] = [process.getuid!(), process.getgid!()];
    this.#common = { mtime: Math.floor(timestamp), mode: 0o644, uid, gid };
  }

  async write(rootref: string): Promise<void> {
    const walk = walkTree<Beginning>(rootref, {
      load: (blobref) => this.#content.load(blobref),
      window: this.#options.maxreqs,
      prefetch: (value) => this.#begin(value),
    });
    for await (const visit of walk) await this.#take(visit);
    await this.#file.write(TAR_END);
    this.#progress.end();
  }

  async #take(visit: Visit<Beginning>): Promise<void> {
    const { path } = visit;
    if (visit.fault !== undefined) {
      const sentence = `${shown(path)}: ${visit.fault}`;
      if (!visit.error) throw new FluxError('EINVAL', sentence);
      this.#missing(`${sentence}: ${visit.error.message}`);
      return;
    }
    const { object, prefetched } = visit;
    if (object.type === 'val') await this.#writeValue(path, [valBytes(object)]);
    else if (object.type === 'symlink') await this.#writeLink(path, object);
    else if (object.type === 'valref') await this.#writeBlobs(path, object, prefetched!);
  }

  /** Loads a value's first blobs. */
  async #begin({ data }: Valref): Promise<Beginning> {
    const blobs: Uint8Array[] = [];
    let bytes = 0;
    for (let i = 0; i < data.length && bytes < KEEP_BYTES; i++) {
      blobs.push(await this.#loadPart(data, i));
      bytes += blobs[i]!.length;
    }
    return { blobs, isWhole: blobs.length === data.length };
  }

  async #loadPart(blobrefs: readonly string[], index: number): Promise<Uint8Array> {
    return this.#content.load(blobrefs[index]!).catch(({ errno, message }: FluxError) => {
      throw new FluxError(errno, `missing blobref ${index}: ${message}`);
    });
  }

  async #writeBlobs(path: TreePath, { data }: Valref, beginning: Outcome<Beginning>): Promise<void> {
    if (beginning.error) return this.#missing(`${shown(path)}: ${beginning.error.message}`);
    const { blobs, isWhole } = beginning.value;
    if (isWhole) return this.#writeValue(path, blobs);
    let size = blobs.reduce((sum, blob) => sum + blob.length, 0);
    try {
      for (let i = blobs.length; i < data.length; i++) size += (await this.#loadPart(data, i)).length;
    } catch (error) {
      return this.#missing(`${shown(path)}: ${(error as Error).message}`);
    }
    await this.#writeHeader(path, { type: 'file', size });
    for (const blob of blobs) await this.#file.write(blob);
    for (let i = blobs.length; i < data.length; i++) await this.#file.write(await this.#loadPart(data, i));
    await this.#file.write(tarPadding(size));
  }

  async #writeValue(path: TreePath, parts: readonly Uint8Array[]): Promise<void> {
    const size = parts.reduce((sum, part) => sum + part.length, 0);
    const header = this.#header(path, { type: 'file', size });
    for (const part of [header, ...parts, tarPadding(size)]) await this.#file.write(part);
    this.#count(path);
  }

  async #writeLink(path: TreePath, { data: { namespace, target } }: Symlink): Promise<void> {
    await this.#writeHeader(path, {
      type: 'symlink',
      size: 0,
      target: namespace === undefined ? target : `${namespace}::${target}`,
    });
  }

  async #writeHeader(path: TreePath, fields: Pick<TarHeader, 'type' | 'size' | 'target'>): Promise<void> {
    await this.#file.write(this.#header(path, fields));
    this.#count(path);
  }

  #header(path: TreePath, fields: Pick<TarHeader, 'type' | 'size' | 'target'>): Uint8Array {
    const records = needsKeyRecord(path) ? new Map([[KEY_RECORD, JSON.stringify(path)]]) : new Map();
    return encodeTarHeader({ path: path.join('/'), ...fields, ...this.#common, records });
  }

  #count(path: TreePath): void {
    this.#keys++;
    if (this.#options.verbose) console.error(shown(path));
    this.#progress.step();
  }

  /** Something that is referred to cannot be read. */
  #missing(sentence: string): void {
    console.error(sentence);
    if (!this.#options.ignoreFailedRead) throw new Exit(1);
  }
}

function shown(path: TreePath): string {
  return path.join('/') || '.';
}
