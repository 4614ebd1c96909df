/** `flux archive extract`: gets files out of an archive in the KVS. */

import fs from 'node:fs/promises';
import path from 'node:path';
import { Option } from 'commander';
import { asFluxError, FluxError } from '../core/errno.ts';
import {
  decodeContent,
  decodeRegions,
  describeFile,
  type FileObject,
  isBlobvec,
  kindOf,
  type Region,
  safePath,
} from '../core/formats/archive.ts';
import { Content } from '../core/handle/content.ts';
import {
  type ArchiveOptions,
  ArchiveStore,
  archiveOptions,
  directoryOption,
  enterDirectory,
  verboseOption,
} from './archive-store.ts';
import { about, duration, withHandle } from './command.ts';
import { atMost } from './limits.ts';
import type { NestedCommand } from './nested.ts';
import { print } from './print.ts';

/** Blobs that are asked for at a time. */
const WINDOW = 16;

export interface ExtractOptions extends ArchiveOptions {
  readonly directory?: string;
  readonly verbose?: number;
  readonly overwrite?: boolean;
  /** Seconds. */
  readonly waitcreate?: number;
  readonly listOnly?: boolean;
}

/** `flux archive extract [OPTIONS] [PATTERN]` */
export const extractCommand: NestedCommand = {
  summary: 'Get files out of an archive',
  define: (command) =>
    verboseOption(directoryOption(archiveOptions(command)))
      .argument('[pattern]', 'only files whose path matches it')
      .option('--overwrite', 'Replace files that are there.')
      .addOption(
        new Option('--waitcreate [DURATION]', 'Wait for the archive, at most so long.')
          .preset('infinity')
          .argParser(duration),
      )
      .option('-t, --list-only', 'List the files, and get none.')
      .action((pattern: string | undefined, options: ExtractOptions) =>
        withHandle(async (handle) => {
          enterDirectory(options.directory);
          const files = await new ArchiveStore(handle, options).files(pattern, options.waitcreate);
          if (options.listOnly) for (const file of files) print(describeFile(file, !!options.verbose));
          else await new Extractor(new Content(handle), options).extract(files);
        }),
      ),
};

class Extractor {
  readonly #content: Content;
  readonly #options: ExtractOptions;
  /** What this archive has made so far: nothing goes through a link of its own, it may lead anywhere. */
  readonly #links = new Set<string>();
  readonly #directories = new Set<string>();
  /** Permissions of folders, given at the end: those that forbid to write would be in the way. */
  readonly #modes: (readonly [directory: string, mode: number])[] = [];

  constructor(content: Content, options: ExtractOptions) {
    this.#content = content;
    this.#options = options;
  }

  async extract(files: readonly FileObject[]): Promise<void> {
    for (const file of files) {
      if (this.#options.verbose) console.error(file.path);
      await this.#make(file).catch((error: unknown) => {
        throw about(file.path, error);
      });
    }
    for (const [directory, mode] of this.#modes) await fs.chmod(directory, mode & 0o777 & ~process.umask());
  }

  async #make(file: FileObject): Promise<void> {
    const target = path.normalize(safePath(file.path));
    await this.#makeDirectory(path.dirname(target));
    const kind = kindOf(file);
    if (kind === 'directory') {
      await this.#makeDirectory(target);
      if (this.#directories.has(target)) this.#modes.push([target, file.mode]);
      return;
    }
    if (kind === 'other') throw new FluxError('EINVAL', `unknown file type (mode=0${file.mode.toString(8)})`);
    await this.#makeRoom(target);
    if (kind === 'file') await this.#makeFile(target, file);
    else await this.#makeLink(target, file);
  }

  async #makeDirectory(directory: string): Promise<void> {
    if (directory === '.' || this.#directories.has(directory)) return;
    await this.#makeDirectory(path.dirname(directory));
    if (this.#links.has(directory)) throw new FluxError('EPERM', `${directory} is a link of the same archive`);
    try {
      await fs.mkdir(directory);
      this.#directories.add(directory);
    } catch (error) {
      const isThere = asFluxError(error).code === 'EEXIST' && (await fs.stat(directory)).isDirectory();
      if (!isThere) throw error;
    }
  }

  async #makeRoom(target: string): Promise<void> {
    const stats = await fs.lstat(target).catch(() => undefined);
    if (!stats) return;
    if (!this.#options.overwrite) throw new FluxError('EEXIST', 'it is there already; --overwrite replaces it');
    if (stats.isDirectory()) await fs.rmdir(target);
    else await fs.unlink(target);
  }

  async #makeLink(target: string, { data }: FileObject): Promise<void> {
    if (typeof data !== 'string') throw new FluxError('EINVAL', 'the link has no target');
    await fs.symlink(data, target);
    this.#links.add(target);
  }

  async #makeFile(target: string, file: FileObject): Promise<void> {
    const opened = await fs.open(target, 'wx', file.mode & 0o777);
    try {
      if (isBlobvec(file)) await this.#writeRegions(opened, decodeRegions(file));
      else await opened.writeFile(decodeContent(file));
      if (file.size !== undefined && (await opened.stat()).size < file.size) await opened.truncate(file.size);
    } catch (error) {
      await fs.unlink(target);
      throw error;
    } finally {
      await opened.close();
    }
  }

  async #writeRegions(opened: fs.FileHandle, regions: readonly Region[]): Promise<void> {
    const limited = atMost(WINDOW);
    let failure: FluxError | undefined;
    const write = async (region: Region) => {
      try {
        if (!failure) await this.#writeRegion(opened, region);
      } catch (error) {
        failure ??= asFluxError(error);
      }
    };
    await Promise.all(regions.map((region) => limited(() => write(region))));
    if (failure) throw failure;
  }

  async #writeRegion(opened: fs.FileHandle, [offset, size, blobref]: Region): Promise<void> {
    const bytes = await this.#content.load(blobref).catch((error: unknown) => {
      throw about(`error loading offset=${offset} size=${size} from ${blobref}`, error);
    });
    if (bytes.length !== size)
      throw new FluxError('EINVAL', `${blobref} at offset ${offset} has ${bytes.length} bytes, not ${size}`);
    for (let at = 0; at < size; ) at += (await opened.write(bytes, at, size - at, offset + at)).bytesWritten;
  }
}
