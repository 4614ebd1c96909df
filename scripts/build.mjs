// Bundles the project into dist/: the `flux` command (one chunk per subcommand), the worker entries, the library.
//
//   node scripts/build.mjs            build dist/ and the type declarations
//   node scripts/build.mjs --no-types leave the declarations out (quick)

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const dist = path.join(root, 'dist');

/** Options that every bundle shares; dependencies are bundled too, so that a command opens few files. */
export const common = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'esm',
  logLevel: 'warning',
  // CommonJS dependencies inside an ES module bundle still ask for Node's modules with require().
  banner: {
    js: "import { createRequire as createRequire_ } from 'node:module'; const require = createRequire_(import.meta.url);",
  },
};

async function main() {
  fs.rmSync(dist, { recursive: true, force: true });
  await build({
    ...common,
    entryPoints: {
      flux: 'cli/main.ts',
      index: 'core/index.ts',
      host: 'workers/host.ts',
      'module-host': 'workers/module-host.ts',
    },
    outdir: dist,
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    sourcemap: true,
  });
  if (process.argv.includes('--no-types')) return;
  const types = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.types.json'], {
    cwd: root,
    stdio: 'inherit',
  });
  process.exitCode = types.status ?? 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
