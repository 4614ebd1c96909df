// Simulates instances of several processes, each with faults of its own: `npm run sim -- --seeds=1000 [--seed=S]`.

import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { common } from './build.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const outdir = path.join(root, 'build', 'sim');

await build({ ...common, entryPoints: ['test/sim/main.ts'], outdir, packages: 'external', sourcemap: 'inline' });
const argv = ['--enable-source-maps', path.join(outdir, 'main.js'), ...process.argv.slice(2)];
process.exitCode = spawnSync(process.execPath, argv, { cwd: root, stdio: 'inherit' }).status ?? 1;
