/** A folder of files that are there as a whole or not at all. */

import fs from 'node:fs/promises';
import path from 'node:path';
import { asFluxError, FluxError } from '../../core/errno.ts';

/** Files that are not complete; other names cannot begin so. */
const UNFINISHED = '.new-';

export class FileStore {
  readonly #folder: string;
  #writes = 0;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Makes the folder when there is none.
   *
   * @param truncate begin with an empty one
   * @throws FluxError what the file system said
   */
  static async open(folder: string, truncate: boolean): Promise<FileStore> {
    await attempt(async () => {
      if (truncate) await fs.rm(folder, { recursive: true, force: true });
      await fs.mkdir(folder, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      });
    });
    return new FileStore(folder);
  }

  /** @throws FluxError ENOENT: there is no such file */
  read(name: string): Promise<Uint8Array> {
    return attempt(() => fs.readFile(path.join(this.#folder, name)));
  }

  async has(name: string): Promise<boolean> {
    return attempt(() => fs.access(path.join(this.#folder, name))).then(
      () => true,
      () => false,
    );
  }

  /** Writes a file under another name first, so that nobody finds a part of it. */
  async write(name: string, bytes: Uint8Array): Promise<void> {
    const unfinished = path.join(this.#folder, `${UNFINISHED}${this.#writes++}`);
    await attempt(async () => {
      try {
        await fs.writeFile(unfinished, bytes);
        await fs.rename(unfinished, path.join(this.#folder, name));
      } catch (error) {
        await fs.rm(unfinished, { force: true });
        throw error;
      }
    });
  }

  /** How many files there are: all are looked at. */
  async count(): Promise<number> {
    const names = await attempt(() => fs.readdir(this.#folder));
    return names.filter((name) => !name.startsWith(UNFINISHED)).length;
  }
}

async function attempt<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { errno, message } = asFluxError(error);
    throw new FluxError(errno, message, { cause: error });
  }
}
