// Runs the benchmarks: `npm run bench -- [--short|--tiny] [--only WORD] [--peer FLUX] [--json FILE]`; see bench/README.md.

import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { common } from './build.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const outdir = path.join(root, 'build', 'bench');

/** Bundles the suite, the clients that it runs in instances, and the threads that it measures. */
export async function buildBench() {
  const entryPoints = [
    'bench/main.ts',
    'bench/clients.ts',
    'bench/ring.worker.ts',
    'bench/subscriber.ts',
    'bench/meeter.ts',
  ];
  await build({ ...common, entryPoints, outdir, outbase: 'bench', packages: 'external' });
  return path.join(outdir, 'main.js');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const main = await buildBench();
  const run = spawnSync(process.execPath, [main, ...process.argv.slice(2)], { cwd: root, stdio: 'inherit' });
  process.exitCode = run.status ?? 1;
}
