import fs from 'node:fs';
import { FluxError } from '../errno.ts';

/**
 * The folder of the bundles that worker threads and module processes run. This code may itself be in that folder, in a
 * chunk below it, or anywhere in a checkout.
 */
export function bundlesFolder(): URL {
  let folder = new URL('.', import.meta.url);
  for (;;) {
    for (const candidate of [folder, new URL('dist/', folder)])
      if (fs.existsSync(new URL('host.js', candidate))) return candidate;
    const parent = new URL('..', folder);
    if (parent.href === folder.href)
      throw new FluxError('ENOENT', 'the bundle host.js is not there: run `npm run build`');
    folder = parent;
  }
}
