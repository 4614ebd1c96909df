/** The files that shells and their plugins reach: what a simulation replaces. */

import { mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
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
  readonly readdirSync: (path: string) => readonly string[];
  readonly renameSync: (from: string, to: string) => void;
  readonly statSync: (path: string) => { readonly mode: number };
};

export const systemFiles: ShellFiles = { ...fs, mkdirSync, readdirSync, renameSync, statSync };
