/** Where what was compiled for this machine is: below `native/prebuilt` of the package. */

import path from 'node:path';
import { findPackageFile } from './package-file.ts';

/** What machines share compiled files that are of one kind, as their names have it. */
export const machine = `${process.platform}-${process.arch}`;

/** The path of a compiled file; undefined where it was not compiled. */
export function findPrebuilt(name: string): string | undefined {
  return findPackageFile(path.join('native', 'prebuilt', name));
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
