/** The files that shells and their plugins reach: what a simulation replaces. */

import * as fs from 'node:fs/promises';

/** The part of `node:fs/promises` that shells use. */
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
>;

export const systemFiles: ShellFiles = fs;
