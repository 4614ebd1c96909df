/** Where what was compiled for this machine is: below `native/prebuilt` of the package. */

import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** What machines share compiled files that are of one kind, as their names have it. */
export const machine = `${process.platform}-${process.arch}`;

/** The path of a compiled file; undefined where it was not compiled. */
export function findPrebuilt(name: string): string | undefined {
  return find(path.dirname(fileURLToPath(import.meta.url)), path.join('native', 'prebuilt', name));
}

/** In the package that a folder is part of: this file runs from a checkout and from bundles in dist/. */
function find(folder: string, name: string): string | undefined {
  const file = path.join(folder, name);
  if (fs.existsSync(path.join(folder, 'package.json')) && fs.existsSync(file)) return file;
  const parent = path.dirname(folder);
  return parent === folder ? undefined : find(parent, name);
}

let library: { readonly path: string | undefined } | undefined;

/**
 * The path of Flux's own libpmi.so, for tasks to open or to find it by its folder; libpmi2.so is beside it. Undefined
 * where it was not compiled.
 */
export function pmiLibraryPath(): string | undefined {
  library ??= { path: findPrebuilt(path.join(machine, 'libpmi.so')) };
  return library.path;
}
