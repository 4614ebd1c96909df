/** `flux version`: of this program, and of the broker it talks to. */

import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { FLUX_CORE_VERSION } from '../core/node/instance.ts';
import { nativeStatus } from '../native/addon.ts';
import { runCommand, subcommand, withHandle } from './command.ts';
import { print } from './print.ts';

/** `flux version` */
export function run(args: readonly string[]): Promise<number> {
  const command = subcommand('version', 'Show versions.')
    .option('--json', 'Print a JSON object.')
    .action(async (options: { json?: boolean }) => {
      const { FLUX_URI } = process.env;
      const versions = {
        commands: FLUX_CORE_VERSION,
        'libflux-core': FLUX_CORE_VERSION,
        'flux-ts': packageVersion(),
        ...(FLUX_URI !== undefined && { broker: await withHandle((handle) => handle.attribute('version')), FLUX_URI }),
        'build-options': `+node==${process.versions.node}${nativeStatus() === undefined ? '+native' : ''}`,
      };
      if (options.json) print(JSON.stringify(versions));
      else for (const [name, version] of Object.entries(versions)) print(`${`${name}:`.padEnd(24)}${version}`);
    });
  return runCommand(command, args);
}

/** The version of the package that this code is part of: it runs from a checkout and from bundles in dist/. */
function packageVersion(): string {
  for (let folder = path.dirname(fileURLToPath(import.meta.url)); ; folder = path.dirname(folder)) {
    const file = path.join(folder, 'package.json');
    if (fs.existsSync(file)) return JSON.parse(fs.readFileSync(file, 'utf8')).version;
    if (folder === path.dirname(folder)) return 'unknown';
  }
}
