// Bundles the project into dist/: the `flux` command in one file, the worker entries, the library.
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
/** Built here and moved into place, so that commands which run meanwhile find the old bundles or the new. */
const fresh = path.join(root, 'build', 'dist');

/** Options that every bundle shares; dependencies are bundled too, so that little is opened at a start. */
const shared = { absWorkingDir: root, bundle: true, platform: 'node', target: 'node20', logLevel: 'warning' };

/** commander loads child_process, and with it much else, for commands that are programs of their own: it has none. */
const lazyChildProcess = {
  name: 'lazy-child-process',
  setup(bundle) {
    const eager = "= require('node:child_process');";
    const lazy = "= { get spawn() { return require('node:child_process').spawn; } };";
    bundle.onLoad({ filter: /commander[/\\]lib[/\\]command\.js$/ }, ({ path: file }) => {
      const text = fs.readFileSync(file, 'utf8');
      if (!text.includes(eager)) throw new Error(`${file} does not load child_process as it did`);
      return { contents: text.replace(eager, lazy) };
    });
  },
};

/** Options of ES module bundles. What brings files of its own is not bundled. */
export const common = {
  ...shared,
  format: 'esm',
  external: ['@photostructure/sqlite', 'lz4-wasm-nodejs', 'piscina', 'wasmoon', 'zeromq'],
  // CommonJS dependencies inside an ES module bundle still ask for Node's modules with require().
  banner: {
    js: "import { createRequire as createRequire_ } from 'node:module'; const require = createRequire_(import.meta.url);",
  },
};

/** What the first command compiles is kept for all others (bin/flux.cjs), so it is one that does much. */
function warmCodeCache() {
  const flux = path.join(root, 'bin', 'flux');
  const programs = ['start', flux, 'exec', '-r', 'all', 'true'];
  spawnSync(flux, programs, { stdio: 'ignore', timeout: 10_000 });
}

async function main() {
  fs.rmSync(fresh, { recursive: true, force: true });
  // One file whose parts run when they are first needed: that starts in half the time that ES modules in chunks take.
  await build({
    ...shared,
    format: 'cjs',
    plugins: [lazyChildProcess],
    entryPoints: { flux: 'cli/main.ts' },
    outdir: fresh,
    outExtension: { '.js': '.cjs' },
    define: { 'import.meta.url': 'importMetaUrl' },
    banner: { js: "const importMetaUrl = require('node:url').pathToFileURL(__filename).href;" },
    sourcemap: true,
  });
  await build({
    ...common,
    entryPoints: {
      index: 'core/index.ts',
      host: 'workers/host.ts',
      'module-host': 'workers/module-host.ts',
      'ingest-plugins': 'workers/job-ingest/plugin-worker.ts',
    },
    outdir: fresh,
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    sourcemap: true,
  });
  const old = `${fresh}.old`;
  fs.rmSync(old, { recursive: true, force: true });
  if (fs.existsSync(dist)) fs.renameSync(dist, old);
  fs.renameSync(fresh, dist);
  fs.rmSync(old, { recursive: true, force: true });
  warmCodeCache();
  if (process.argv.includes('--no-types')) return;
  const types = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.types.json'], {
    cwd: root,
    stdio: 'inherit',
  });
  process.exitCode = types.status ?? 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
