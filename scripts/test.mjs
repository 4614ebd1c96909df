// Runs the tests: `npm test`, or `npm test -- unit/idset` for the files whose path contains a word given.
//
//   --node PATH   run them with another Node binary
//   --name REGEX  only the tests whose name matches

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { common } from './build.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/**
 * A file whose tests take longer waits for something that never comes. The conversations are many hundreds, of a second
 * each, or several where the processors have other work.
 */
const TIMEOUT_MS = 3_600_000;

/** Bundles each test file, and each file that tests run on another thread, for itself; returns the tests' bundles. */
export async function buildTests(words) {
  const all = fs.readdirSync(path.join(root, 'test'), { recursive: true });
  const tests = all
    .filter((name) => name.endsWith('.test.ts') && (!words.length || words.some((word) => name.includes(word))))
    .sort();
  const workers = all.filter((name) => name.endsWith('.worker.ts'));
  const outdir = path.join(root, 'build', 'test');
  const entryPoints = [...tests, ...workers].map((name) => `test/${name}`);
  await build({ ...common, entryPoints, outdir, outbase: 'test', packages: 'external', sourcemap: 'inline' });
  return tests.map((name) => path.join(outdir, name.replace(/\.ts$/, '.js')));
}

async function main(argv) {
  const words = [];
  // By default one processor is kept free; the tests wait half of their time.
  const concurrency = os.availableParallelism();
  const options = [
    '--enable-source-maps',
    '--test',
    '--test-reporter=spec',
    `--test-timeout=${TIMEOUT_MS}`,
    `--test-concurrency=${concurrency}`,
  ];
  let node = process.execPath;
  while (argv.length) {
    const word = argv.shift();
    if (word === '--node') node = argv.shift();
    else if (word === '--name') options.push(`--test-name-pattern=${argv.shift()}`);
    else words.push(word);
  }
  const files = await buildTests(words);
  if (!files.length) {
    console.error(`no test file matches ${words.join(' ')}`);
    return 1;
  }
  // bin/flux finds the same Node.
  const env = { ...process.env, PATH: `${path.dirname(path.resolve(node))}:${process.env.PATH}` };
  return spawnSync(node, [...options, ...files], { cwd: root, env, stdio: 'inherit' }).status ?? 1;
}

process.exitCode = await main(process.argv.slice(2));
