/** Files of this package, wherever it is installed. */

import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The path of a file, named from the package's root folder; undefined where it is not there. */
export function findPackageFile(name: string): string | undefined {
  return find(path.dirname(fileURLToPath(import.meta.url)), name);
}

/** In the package that a folder is part of: this file runs from a checkout and from bundles in dist/. */
function find(folder: string, name: string): string | undefined {
  const file = path.join(folder, name);
  if (fs.existsSync(path.join(folder, 'package.json')) && fs.existsSync(file)) return file;
  const parent = path.dirname(folder);
  return parent === folder ? undefined : find(parent, name);
}
