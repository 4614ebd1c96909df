/** `flux archive create`: puts files into an archive in the KVS, and their content into the content store. */

import { constants, type Stats } from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';
import { about, asFluxError, FluxError } from '../core/errno.ts';
import {
  dataLength,
  decodeArchive,
  encodeContent,
  encodeFileObject,
  type FileObject,
  holeLength,
  type Region,
} from '../core/formats/archive.ts';
import { type HashName, makeBlobref } from '../core/formats/blobref.ts';
import { makeValref } from '../core/formats/treeobj.ts';
import { Content } from '../core/handle/content.ts';
import type { Handle } from '../core/handle/handle.ts';
import { KvsTransaction } from '../core/handle/kvs-transaction.ts';
import type { JsonValue } from '../core/json.ts';
import {
  type ArchiveOptions,
  ArchiveStore,
  archiveOptions,
  directoryOption,
  enterDirectory,
  verboseOption,
} from './archive-store.ts';
import { BlobWriter } from './blob-writer.ts';
import { withHandle } from './command.ts';
import { byteCount } from './content-options.ts';
import type { NestedCommand } from './nested.ts';

/** Blobs on their way at a time. */
const WINDOW = 16;
/** Bytes read at a time to find holes. */
const SCAN_BYTES = 1024 * 1024;

export interface CreateOptions extends ArchiveOptions {
  readonly directory?: string;
  readonly verbose?: number;
  readonly overwrite?: boolean;
  readonly append?: boolean;
  readonly preserve?: boolean;
  readonly mmap?: boolean;
  readonly chunksize: number;
  readonly smallFileThreshold: number;
}

/** `flux archive create [OPTIONS] PATH...` */
export const createCommand: NestedCommand = {
  summary: 'Make an archive of files',
  define: (command) =>
    verboseOption(directoryOption(archiveOptions(command)))
      .argument('<path...>', 'files, links, and folders with all that is in them')
      .option('--overwrite', 'Replace the archive when there is one.')
      .option('--append', 'Add to the archive when there is one.')
      .option('--preserve', 'Keep the content of files when the instance is restarted with garbage collection.')
      .option('--mmap', 'Leave the content of large files where it is: the broker reads them when they are asked for.')
      .option(
        '--chunksize <N>',
        'Store content in blobs of so many bytes; 0: a blob for each file.',
        byteCount,
        2 ** 20,
      )
      .option(
        '--small-file-threshold <N>',
        'Put files up to so many bytes into the archive itself.',
        byteCount,
        2 ** 10,
      )
      .action((paths: string[], options: CreateOptions) => withHandle((handle) => create(handle, paths, options))),
};

async function create(handle: Handle, paths: readonly string[], options: CreateOptions): Promise<void> {
  const { overwrite, append, mmap, preserve, forcePrimary, directory } = options;
  if (mmap && Number(await handle.attribute('rank'))) throw new FluxError('EINVAL', '--mmap only works on rank 0');
  if (mmap && preserve) throw new FluxError('EINVAL', '--mmap cannot work with --preserve');
  if (mmap && !forcePrimary) throw new FluxError('EINVAL', '--mmap cannot work with --no-force-primary');
  if (overwrite && append) throw new FluxError('EINVAL', '--overwrite and --append cannot be used together');
  const hash = (await handle.attribute('content.hash')) as HashName;
  enterDirectory(directory);
  const store = new ArchiveStore(handle, options);
  let existing: readonly JsonValue[] = [];
  if (overwrite) await store.remove();
  else if (await store.exists()) {
    if (!append) throw new FluxError('EEXIST', `${store.key}: key exists`);
    existing = await currentObjects(store);
  }
  const creator = new Creator(handle, hash, store, options);
  await creator.start(existing.length > 0);
  for (const each of paths) await creator.add(each);
  await creator.commit(existing);
}

async function currentObjects(store: ArchiveStore): Promise<readonly JsonValue[]> {
  const archive = await store.fetch();
  return Array.isArray(archive) ? archive : decodeArchive(archive).map(encodeFileObject);
}

class Creator {
  readonly #handle: Handle;
  readonly #hash: HashName;
  readonly #store: ArchiveStore;
  readonly #options: CreateOptions;
  readonly #writer: BlobWriter;
  readonly #objects: JsonValue[] = [];
  readonly #transaction = new KvsTransaction();
  #nextBlob = 0;

  constructor(handle: Handle, hash: HashName, store: ArchiveStore, options: CreateOptions) {
    this.#handle = handle;
    this.#hash = hash;
    this.#store = store;
    this.#options = options;
    this.#writer = new BlobWriter(new Content(handle), hash, WINDOW);
  }

  /** References to the blobs of what is there already must stay. */
  async start(isAppending: boolean): Promise<void> {
    if (!isAppending || !this.#options.preserve) return;
    try {
      for (const name of (await this.#store.kvs.readdir(this.#store.blobsKey)).keys())
        this.#nextBlob = Math.max(this.#nextBlob, Number(name) + 1);
    } catch (error) {
      if (asFluxError(error).code !== 'ENOENT') throw error;
    }
  }

  /** Adds a file, or what is in a folder and then the folder itself. */
  async add(file: string): Promise<void> {
    const stats = await fs.lstat(file).catch((error: unknown) => {
      throw about(file, error);
    });
    if (stats.isDirectory()) {
      const names = await fs.readdir(file).catch((error: unknown) => {
        throw about(file, error);
      });
      for (const name of names.sort()) await this.add(file === '.' ? name : path.join(file, name));
      if (path.normalize(file) === '.') return;
    }
    if (this.#options.verbose) console.error(file);
    const object = await this.#describe(file).catch((error: unknown) => {
      throw about(file, error);
    });
    this.#objects.push(encodeFileObject(object));
  }

  async #describe(file: string): Promise<FileObject> {
    const name = archivePath(file);
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const opened = await fs.open(file, flags).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ELOOP') throw error;
    });
    if (!opened) {
      const common = describeStats(name, await fs.lstat(file));
      return { ...common, data: await fs.readlink(file) };
    }
    try {
      const stats = await opened.stat();
      const common = describeStats(name, stats);
      if (stats.isDirectory()) return common;
      if (!stats.isFile()) throw new FluxError('EINVAL', 'unsupported file type');
      return { ...common, size: stats.size, ...(await this.#content(file, opened, stats)) };
    } finally {
      await opened.close();
    }
  }

  /** What a file's content is in the archive: nothing when it is empty, or all hole. */
  async #content(file: string, opened: fs.FileHandle, stats: Stats): Promise<Pick<FileObject, 'encoding' | 'data'>> {
    const { smallFileThreshold, chunksize, mmap } = this.#options;
    const isSparse = stats.blocks * 512 < stats.size;
    if (stats.size === 0) return {};
    if (stats.size <= smallFileThreshold) {
      const bytes = await readAt(opened, 0, stats.size);
      return isSparse && holeLength(bytes) === bytes.length ? {} : encodeContent(bytes);
    }
    const regions: Region[] = [];
    for await (const [offset, bytes] of readChunks(opened, stats.size, chunksize || stats.size, isSparse))
      regions.push([offset, bytes.length, await this.#putBlob(bytes)]);
    if (!regions.length) return {};
    if (mmap) {
      const payload = { path: await fs.realpath(file), chunksize, tag: this.#options.name };
      await this.#handle.rpc('content.mmap-add', payload, { nodeid: 0 });
    }
    return { encoding: 'blobvec', data: regions };
  }

  async #putBlob(bytes: Uint8Array): Promise<string> {
    if (this.#options.mmap) return makeBlobref(this.#hash, bytes);
    const blobref = await this.#writer.store(bytes);
    if (this.#options.preserve)
      this.#transaction.putTreeobj(`${this.#store.blobsKey}.${this.#nextBlob++}`, makeValref([blobref]));
    return blobref;
  }

  /** Writes the archive with all that was added behind what it has. */
  async commit(existing: readonly JsonValue[]): Promise<void> {
    await this.#writer.drain();
    this.#transaction.putJson(this.#store.key, [...existing, ...this.#objects]);
    await this.#store.kvs.commit(this.#transaction).catch((error: unknown) => {
      throw about('kvs commit', error);
    });
  }
}

/** The path that a file gets: without a slash in front, so that it can be unpacked anywhere (RFC 37). */
function archivePath(file: string): string {
  const name = path.normalize(file).replace(/^\/+|\/+$/g, '') || '.';
  if (name.split('/').includes('..'))
    throw new FluxError('EINVAL', 'the path leads out of the folder; --directory tells another one');
  return name;
}

function describeStats(name: string, stats: Stats): FileObject {
  const seconds = (ms: number) => Math.floor(ms / 1000);
  return { path: name, mtime: seconds(stats.mtimeMs), ctime: seconds(stats.ctimeMs), mode: stats.mode };
}

/** The data of a file in chunks; holes of a sparse file are left out. */
async function* readChunks(
  file: fs.FileHandle,
  size: number,
  chunksize: number,
  isSparse: boolean,
): AsyncGenerator<readonly [offset: number, bytes: Uint8Array], void, undefined> {
  for await (const [start, end] of isSparse ? dataRuns(file, size) : [[0, size] as const])
    for (let offset = start; offset < end; offset += chunksize)
      yield [offset, await readAt(file, offset, Math.min(chunksize, end - offset))];
}

/** The parts of a sparse file between its holes. Where holes are is not told, so blocks of zeros count as such. */
async function* dataRuns(
  file: fs.FileHandle,
  size: number,
): AsyncGenerator<readonly [start: number, end: number], void, undefined> {
  let start: number | undefined;
  for (let base = 0; base < size; base += SCAN_BYTES) {
    const bytes = await readAt(file, base, Math.min(SCAN_BYTES, size - base));
    for (let at = 0; at < bytes.length; ) {
      const rest = bytes.subarray(at);
      at += start === undefined ? holeLength(rest) : dataLength(rest);
      if (at === bytes.length) break;
      if (start !== undefined) yield [start, base + at];
      start = start === undefined ? base + at : undefined;
    }
  }
  if (start !== undefined) yield [start, size];
}

async function readAt(file: fs.FileHandle, offset: number, length: number): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafe(length);
  for (let at = 0; at < length; ) {
    const { bytesRead } = await file.read(bytes, at, length - at, offset + at);
    if (!bytesRead) throw new FluxError('EINVAL', 'short read: the file got shorter');
    at += bytesRead;
  }
  return bytes;
}
