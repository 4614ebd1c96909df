/** The files that shells and their plugins reach: what a simulation replaces. */

import { mkdirSync } from 'node:fs';
import * as fs from 'node:fs/promises';

/** The part of `node:fs/promises` that shells use, and what is done at once in the broker's own folder. */
export type ShellFiles = Pick<
  typeof fs,
  | 'access'
  | 'appendFile'
  | 'chmod'
  | 'lstat'
  | 'mkdir'
  | 'mkdtemp'
  | 'open'
  | 'readFile'
  | 'rm'
  | 'rmdir'
  | 'stat'
  | 'symlink'
  | 'unlink'
  | 'writeFile'
> & {
  readonly mkdirSync: (path: string, options: { mode: number }) => void;
};

export const systemFiles: ShellFiles = { ...fs, mkdirSync };
