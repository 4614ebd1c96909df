/** Getting files out of archives: folders, links and files below a folder, their contents from the content store. */

import type fs from 'node:fs/promises';
import path from 'node:path';
import { about, asFluxError, FluxError } from '../errno.ts';
import {
  decodeContent,
  decodeRegions,
  type FileObject,
  isBlobvec,
  kindOf,
  type Region,
  safePath,
} from '../formats/archive.ts';
import { atMost } from './at-most.ts';

/** Blobs that are asked for at a time. */
const WINDOW = 16;

export interface ExtractorOptions {
  /** The part of `node:fs/promises` that it uses. */
  readonly files: Pick<typeof fs, 'chmod' | 'lstat' | 'mkdir' | 'open' | 'rmdir' | 'stat' | 'symlink' | 'unlink'>;
  /** Where to; the working folder when absent. */
  readonly directory?: string | undefined;
  /** What is there is replaced. */
  readonly overwrite?: boolean | undefined;
  /** Gets a blob. */
  readonly load: (blobref: string) => Promise<Uint8Array>;
  /** Told of each file before it is made. */
  readonly onFile?: ((file: FileObject) => void) | undefined;
}

export class ArchiveExtractor {
  readonly #options: ExtractorOptions;
  readonly #files: ExtractorOptions['files'];
  /** What this archive has made so far: nothing goes through a link of its own, it may lead anywhere. */
  readonly #links = new Set<string>();
  readonly #directories = new Set<string>();
  /** Permissions of folders, given at the end: those that forbid to write would be in the way. */
  readonly #modes: (readonly [directory: string, mode: number])[] = [];

  constructor(options: ExtractorOptions) {
    this.#options = options;
    this.#files = options.files;
  }

  /** @throws FluxError what a file could not be made for, with its path */
  async extract(files: readonly FileObject[]): Promise<void> {
    for (const file of files) {
      this.#options.onFile?.(file);
      await this.#make(file).catch((error: unknown) => {
        throw about(file.path, error);
      });
    }
    for (const [directory, mode] of this.#modes) {
      await this.#files.chmod(this.#at(directory), mode & 0o777 & ~process.umask());
    }
  }

  #at(target: string): string {
    return path.join(this.#options.directory ?? '', target);
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
      await this.#files.mkdir(this.#at(directory));
      this.#directories.add(directory);
    } catch (error) {
      const isThere =
        asFluxError(error).code === 'EEXIST' && (await this.#files.stat(this.#at(directory))).isDirectory();
      if (!isThere) throw error;
    }
  }

  async #makeRoom(target: string): Promise<void> {
    const stats = await this.#files.lstat(this.#at(target)).catch(() => undefined);
    if (!stats) return;
    if (!this.#options.overwrite) throw new FluxError('EEXIST', 'it is there already; --overwrite replaces it');
    if (stats.isDirectory()) await this.#files.rmdir(this.#at(target));
    else await this.#files.unlink(this.#at(target));
  }

  async #makeLink(target: string, { data }: FileObject): Promise<void> {
    if (typeof data !== 'string') throw new FluxError('EINVAL', 'the link has no target');
    await this.#files.symlink(data, this.#at(target));
    this.#links.add(target);
  }

  async #makeFile(target: string, file: FileObject): Promise<void> {
    const opened = await this.#files.open(this.#at(target), 'wx', file.mode & 0o777);
    try {
      if (isBlobvec(file)) await this.#writeRegions(opened, decodeRegions(file));
      else await opened.writeFile(decodeContent(file));
      if (file.size !== undefined && (await opened.stat()).size < file.size) await opened.truncate(file.size);
    } catch (error) {
      await this.#files.unlink(this.#at(target));
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
    const bytes = await this.#options.load(blobref).catch((error: unknown) => {
      throw about(`error loading offset=${offset} size=${size} from ${blobref}`, error);
    });
    if (bytes.length !== size)
      throw new FluxError('EINVAL', `${blobref} at offset ${offset} has ${bytes.length} bytes, not ${size}`);
    for (let at = 0; at < size; ) at += (await opened.write(bytes, at, size - at, offset + at)).bytesWritten;
  }
}
