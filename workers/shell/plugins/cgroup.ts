/** The control group that this process is in, as version 2 of cgroups shows it in files. */

import { FluxError } from '../../../core/errno.ts';
import type { ShellFiles } from '../files.ts';

/** Where version 2 is mounted, alone or beside version 1. */
const mounts = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'];

export class Cgroup {
  readonly #files: ShellFiles;
  readonly #folder: string;

  private constructor(files: ShellFiles, folder: string) {
    this.#files = files;
    this.#folder = folder;
  }

  /** This process's; undefined when the system has no such groups. */
  static async find(files: ShellFiles): Promise<Cgroup | undefined> {
    const own = (await read(files, '/proc/self/cgroup'))?.match(/^0::(.*)$/m)?.[1];
    if (own === undefined) return undefined;
    for (const mount of mounts) {
      if ((await read(files, `${mount}/cgroup.controllers`)) !== undefined) {
        return new Cgroup(files, own === '/' ? mount : `${mount}${own}`);
      }
    }
    return undefined;
  }

  path(name: string): string {
    return `${this.#folder}/${name}`;
  }

  async has(name: string): Promise<boolean> {
    return (await read(this.#files, this.path(name))) !== undefined;
  }

  /**
   * A number in one of its files: the only one, or that behind a key.
   *
   * @throws FluxError ENOENT: there is none
   */
  async number(name: string, key?: string): Promise<number> {
    const text = (await read(this.#files, this.path(name))) ?? '';
    const line = key === undefined ? text : text.split('\n').find((line) => line.startsWith(`${key} `));
    const digits = line?.trim().split(' ').at(-1);
    if (!digits || !/^\d+$/.test(digits)) throw new FluxError('ENOENT', `there is no ${key ?? name} in ${name}`);
    return Number(digits);
  }
}

function read(files: ShellFiles, path: string): Promise<string | undefined> {
  return files.readFile(path, 'utf8').catch(() => undefined);
}
