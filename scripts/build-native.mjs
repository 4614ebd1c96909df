// Compiles the native addon into native/prebuilt/<platform>-<arch>.node, with nothing but a C compiler and Node's headers.
//
//   node scripts/build-native.mjs           npm's install step: never fails, says in one sentence what is missing
//   node scripts/build-native.mjs --strict  for tests: warnings are errors, and a failure exits with 1
//   node scripts/build-native.mjs --force   compile even if the binary is newer than its sources

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const sources = path.join(root, 'native', 'src');
const target = path.join(root, 'native', 'prebuilt', `${process.platform}-${process.arch}.node`);

const without =
  'flux works without it, but has no peer credentials, hwloc, libpmi and per-thread resource usage, starts processes more slowly, and gives them no terminals, limits and processors of their own';

/** Why a built addon cannot be loaded, or undefined when it can. In a process of its own: a bad binary may crash. */
function loadError(file) {
  const loading = spawnSync(process.execPath, ['-e', 'process.dlopen({ exports: {} }, process.argv[1])', file], {
    encoding: 'utf8',
  });
  if (loading.status === 0) return undefined;
  return loading.stderr.match(/^\w*Error: (.*)/m)?.[1] ?? `loading it ended with ${loading.signal ?? loading.status}`;
}

/** Whether the binary is there, not older than any source (npm gives all files of a package one time), and loads. */
function isCurrent() {
  if (!fs.existsSync(target)) return false;
  const built = fs.statSync(target).mtimeMs;
  const newer = fs.readdirSync(sources).some((name) => fs.statSync(path.join(sources, name)).mtimeMs > built);
  return !newer && loadError(target) === undefined;
}

function headerFolder() {
  const { npm_config_nodedir: nodedir } = process.env;
  const folders = [
    ...(nodedir ? [path.join(nodedir, 'include', 'node')] : []),
    path.join(path.dirname(fs.realpathSync(process.execPath)), '..', 'include', 'node'),
    '/usr/include/node',
    '/usr/local/include/node',
  ];
  return folders.find((folder) => fs.existsSync(path.join(folder, 'node_api.h')));
}

function compilerArguments(headers, output, strict) {
  const platform =
    process.platform === 'darwin'
      ? ['-undefined', 'dynamic_lookup']
      : // Never unloaded when a worker ends: orphans.c and a thread in a PMI barrier outlive the worker.
        ['-Wl,-z,nodelete', '-ldl', '-pthread'];
  const files = fs.readdirSync(sources).filter((name) => name.endsWith('.c'));
  return [
    ...['-std=c11', '-D_GNU_SOURCE', '-O2', '-fPIC', '-shared', '-fvisibility=hidden', '-Wall', '-Wextra'],
    ...(strict ? ['-Werror'] : []),
    ...['-isystem', headers, '-o', output],
    ...files.sort().map((name) => path.join(sources, name)),
    ...platform,
  ];
}

/** Compiles beside the target and moves into place: overwriting a binary that is loaded would crash its user. */
function compile(headers, strict) {
  const compiler = process.env.CC || 'cc';
  const output = `${target}.${process.pid}`;
  fs.mkdirSync(path.dirname(target), { recursive: true });
  try {
    const [command, ...leading] = compiler.split(' ');
    const run = spawnSync(command, [...leading, ...compilerArguments(headers, output, strict)], { encoding: 'utf8' });
    if (run.error) return `there is no C compiler (${compiler}: ${run.error.code ?? run.error.message})`;
    if (run.status !== 0) {
      if (strict) process.stderr.write(run.stderr);
      const lines = run.stderr.split('\n').filter(Boolean);
      return `${compiler} failed: ${lines.find((line) => line.includes('error')) ?? lines[0] ?? `exit ${run.status}`}`;
    }
    const unloadable = loadError(output);
    if (unloadable) return `what ${compiler} built cannot be loaded: ${unloadable}`;
    fs.renameSync(output, target);
    return undefined;
  } finally {
    fs.rmSync(output, { force: true });
  }
}

function main(options) {
  const strict = options.includes('--strict');
  if (process.platform === 'win32') return 0;
  if (!options.includes('--force') && isCurrent()) return 0;
  const headers = headerFolder();
  const problem = headers
    ? compile(headers, strict)
    : "Node's headers (node_api.h) are not installed; they come with Node's own archives or a package such as libnode-dev";
  if (problem) console.error(`The native addon was not built: ${problem}; ${without}.`);
  return problem && strict ? 1 : 0;
}

process.exitCode = main(process.argv.slice(2));
