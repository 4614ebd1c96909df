/**
 * Files whose parts are blobs without being stored (`content.mmap-add`): the blobs' references are known here, their bytes
 * are read when somebody wants them. A file may change meanwhile, so they are hashed again then.
 */

import fs from 'node:fs/promises';
import { asFluxError, FluxError } from '../../core/errno.ts';
import { type HashName, makeBlobref } from '../../core/formats/blobref.ts';
import type { JsonObject } from '../../core/json.ts';

/** Where files are read; the simulator may have its own. */
export interface FileSource {
  /** The size of a regular file, and whether it has holes. */
  stat(path: string): Promise<{ readonly size: number; readonly isSparse: boolean }>;
  /** Bytes of a file, fewer where it ends. */
  read(path: string, offset: number, length: number): Promise<Uint8Array>;
}

const STAT_BLOCK = 512;

export const realFiles: FileSource = {
  async stat(path) {
    const stat = await told(fs.stat(path));
    if (!stat.isFile()) throw new FluxError('EINVAL', `${path}: not suitable for mapping`);
    return { size: stat.size, isSparse: stat.blocks * STAT_BLOCK < stat.size };
  },
  async read(path, offset, length) {
    const file = await told(fs.open(path));
    try {
      const { buffer, bytesRead } = await told(file.read(Buffer.allocUnsafe(length), 0, length, offset));
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  },
};

/** What the system says of a file is an answer, no bug. */
async function told<T>(done: Promise<T>): Promise<T> {
  try {
    return await done;
  } catch (error) {
    throw asFluxError(error);
  }
}

interface Part {
  readonly path: string;
  readonly offset: number;
  readonly length: number;
}

interface MappedFile {
  readonly path: string;
  readonly parts: ReadonlyMap<string, Part>;
}

/** Bytes of a hole's edge: the smallest block of usual file systems. */
const HOLE_BLOCK = 4096;
const zeros = Buffer.alloc(HOLE_BLOCK);
/** Bytes read at a time. */
const READ_BYTES = 1024 * 1024;

export class MappedFiles {
  readonly #hash: HashName;
  readonly #source: FileSource;
  readonly #tags = new Map<string, MappedFile[]>();
  #parts = new Map<string, Part>();

  constructor(hash: HashName, source: FileSource) {
    this.#hash = hash;
    this.#source = source;
  }

  /**
   * Makes the parts of a file blobs.
   *
   * @param chunkSize bytes of each part but the last; 0: the file is one
   * @throws FluxError EINVAL: no absolute path, an empty file, no regular file; what reading it failed with
   */
  async add(path: string, chunkSize: number, tag: string): Promise<void> {
    if (!path.startsWith('/')) throw new FluxError('EINVAL', 'path must be fully qualified');
    if (chunkSize < 0) throw new FluxError('EINVAL', `${path}: a chunk cannot have ${chunkSize} bytes`);
    const { size, isSparse } = await this.#source.stat(path);
    if (!size) throw new FluxError('EINVAL', `${path}: not suitable for mapping`);
    const parts = new Map<string, Part>();
    const runs = [{ start: 0, end: size }];
    // Where holes are is not told, so the parts are those with the zeros and those without.
    if (isSparse) runs.push(...(await this.#dataRuns(path, size)));
    for (const { start, end } of runs)
      for (let offset = start; offset < end; offset += chunkSize || end) {
        const length = Math.min(chunkSize || end, end - offset);
        parts.set(makeBlobref(this.#hash, await this.#source.read(path, offset, length)), { path, offset, length });
      }
    const files = this.#tags.get(tag);
    if (files) files.push({ path, parts });
    else this.#tags.set(tag, [{ path, parts }]);
    for (const [blobref, part] of parts) this.#parts.set(blobref, part);
  }

  /** The stretches of a file between blocks of zeros. */
  async #dataRuns(path: string, size: number): Promise<{ start: number; end: number }[]> {
    const runs: { start: number; end: number }[] = [];
    for (let base = 0; base < size; base += READ_BYTES) {
      const bytes = await this.#source.read(path, base, READ_BYTES);
      for (let offset = 0; offset < bytes.length; offset += HOLE_BLOCK) {
        const block = bytes.subarray(offset, offset + HOLE_BLOCK);
        if (Buffer.compare(block, zeros.subarray(0, block.length)) === 0) continue;
        const start = base + offset;
        const last = runs.at(-1);
        if (last?.end === start) last.end += block.length;
        else runs.push({ start, end: start + block.length });
      }
    }
    return runs;
  }

  /** Forgets the files that were added under a tag. */
  remove(tag: string): void {
    if (!this.#tags.delete(tag)) return;
    // Others may have parts in common with those that are gone.
    this.#parts = new Map();
    for (const files of this.#tags.values())
      for (const { parts } of files) for (const [blobref, part] of parts) this.#parts.set(blobref, part);
  }

  /**
   * Reads a blob that is part of a file; undefined when it is in none.
   *
   * @returns rejects with FluxError EINVAL when the file has changed
   */
  read(blobref: string): Promise<Uint8Array> | undefined {
    const part = this.#parts.get(blobref);
    return part && this.#read(blobref, part);
  }

  async #read(blobref: string, { path, offset, length }: Part): Promise<Uint8Array> {
    const bytes = await this.#source.read(path, offset, length);
    if (makeBlobref(this.#hash, bytes) !== blobref)
      throw new FluxError('EINVAL', `${path}: mapped file content has changed`);
    return bytes;
  }

  /** What `stats-get` shows: the files of each tag, and how many blobs there are. */
  toJSON(): JsonObject {
    const tags = [...this.#tags].map(([tag, files]) => [tag, files.map(({ path }) => path)] as const);
    return { tags: Object.fromEntries(tags), blobs: this.#parts.size };
  }
}
