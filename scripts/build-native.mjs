// Compiles what is native into native/prebuilt, with nothing but a C compiler and, for the addon, Node's headers:
// <platform>-<arch>.node, and in the folder <platform>-<arch> the PMI libraries for tasks and flux-pmi.
//
//   node scripts/build-native.mjs           npm's install step: never fails, says in one sentence what is missing
//   node scripts/build-native.mjs --strict  for tests: warnings are errors, and a failure exits with 1
//   node scripts/build-native.mjs --force   compile even what is newer than its sources

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const sources = path.join(root, 'native', 'src');
const prebuilt = path.join(root, 'native', 'prebuilt');
const machine = `${process.platform}-${process.arch}`;

const withoutAddon =
  'flux works without it, but has no peer credentials, hwloc, libpmi and per-thread resource usage, starts processes more slowly, and gives them no terminals, limits and processors of their own';
const withoutPmi = 'MPI programs that need libpmi.so or libpmi2.so find none, and `flux pmi` starts more slowly';

const addonFlags =
  process.platform === 'darwin'
    ? ['-undefined', 'dynamic_lookup']
    : // Never unloaded when a worker ends: orphans.c and a thread in a PMI barrier outlive the worker.
      ['-Wl,-z,nodelete', '-ldl', '-pthread'];

/**
 * What is built: a file below `prebuilt`, and the same under other names; from which sources below `src`; with which
 * flags; `check` tells what is wrong with it.
 */
const addon = {
  file: `${machine}.node`,
  sources: fs.readdirSync(sources).filter((name) => name.endsWith('.c')),
  flags: ['-fPIC', '-shared', '-fvisibility=hidden', ...addonFlags],
  check: loadError,
};
/** Why a built flux-pmi cannot be run, or undefined when it can: without arguments it ends at once. */
function runError(file) {
  const { status, error } = spawnSync(file, { stdio: 'ignore' });
  return status === 1 ? undefined : `running it ended with ${error?.code ?? status}`;
}

const pmiSources = (name) => [`libpmi/${name}`, 'libpmi/client.c'];
/** Programs that are linked with it look for the name with the version, those that open it for the one without. */
const pmiLibrary = (name, source) => ({
  file: `${machine}/${name}.so.0`,
  also: `${machine}/${name}.so`,
  sources: pmiSources(source),
  flags: ['-fPIC', '-shared', '-fvisibility=hidden', `-Wl,-soname,${name}.so.0`],
});
const pmiFiles = [
  pmiLibrary('libpmi', 'pmi1.c'),
  pmiLibrary('libpmi2', 'pmi2.c'),
  { file: `${machine}/flux-pmi`, sources: pmiSources('flux-pmi.c'), flags: [], check: runError },
];

/** Why a built addon cannot be loaded, or undefined when it can. In a process of its own: a bad binary may crash. */
function loadError(file) {
  const loading = spawnSync(process.execPath, ['-e', 'process.dlopen({ exports: {} }, process.argv[1])', file], {
    encoding: 'utf8',
  });
  if (loading.status === 0) return undefined;
  return loading.stderr.match(/^\w*Error: (.*)/m)?.[1] ?? `loading it ended with ${loading.signal ?? loading.status}`;
}

/**
 * Whether a target is there, not older than any source (npm gives all files of a package one time), and works. One that does
 * not, as a package that was made elsewhere may have it, is removed.
 */
function isCurrent({ file, also, check }) {
  const files = [file, ...(also ? [also] : [])].map((name) => path.join(prebuilt, name));
  if (!files.every((name) => fs.existsSync(name))) return false;
  const built = Math.min(...files.map((name) => fs.statSync(name).mtimeMs));
  const all = fs.readdirSync(sources, { recursive: true });
  const newer = all.some((name) => fs.statSync(path.join(sources, name)).mtimeMs > built);
  if (newer) return false;
  const works = check?.(files[0]) === undefined;
  if (!works) for (const name of files) fs.rmSync(name);
  return works;
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

const warnings = ['-Wall', '-Wextra'];

/** Compiles beside the target and moves into place: overwriting a binary that is loaded would crash its user. */
function compile({ file, also, sources: names, flags, check }, options, strict) {
  const compiler = process.env.CC || 'cc';
  const target = path.join(prebuilt, file);
  const output = `${target}.${process.pid}`;
  fs.mkdirSync(path.dirname(target), { recursive: true });
  try {
    const [command, ...leading] = compiler.split(' ');
    const inputs = names.toSorted().map((name) => path.join(sources, name));
    const before = ['-std=c11', '-D_GNU_SOURCE', '-O2', ...warnings, ...(strict ? ['-Werror'] : []), ...options];
    const run = spawnSync(command, [...leading, ...before, '-o', output, ...inputs, ...flags], { encoding: 'utf8' });
    if (run.error) return `there is no C compiler (${compiler}: ${run.error.code ?? run.error.message})`;
    if (run.status !== 0) {
      if (strict) process.stderr.write(run.stderr);
      const lines = run.stderr.split('\n').filter(Boolean);
      return `${compiler} failed: ${lines.find((line) => line.includes('error')) ?? lines[0] ?? `exit ${run.status}`}`;
    }
    const problem = check?.(output);
    if (problem) return `what ${compiler} built cannot be used: ${problem}`;
    // A copy, no link: npm leaves links out of packages.
    if (also) fs.copyFileSync(output, path.join(prebuilt, also));
    fs.renameSync(output, target);
    return undefined;
  } finally {
    fs.rmSync(output, { force: true });
  }
}

function compileAddon(strict) {
  const headers = headerFolder();
  return headers
    ? compile(addon, ['-isystem', headers], strict)
    : "Node's headers (node_api.h) are not installed; they come with Node's own archives or a package such as libnode-dev";
}

function compilePmi(targets, strict) {
  for (const target of targets) {
    const problem = compile(target, [], strict);
    if (problem) return problem;
  }
  return undefined;
}

function main(options) {
  const strict = options.includes('--strict');
  if (process.platform === 'win32') return 0;
  const isWanted = (target) => options.includes('--force') || !isCurrent(target);
  const addonProblem = isWanted(addon) ? compileAddon(strict) : undefined;
  if (addonProblem) console.error(`The native addon was not built: ${addonProblem}; ${withoutAddon}.`);
  const pmiProblem = process.platform === 'linux' ? compilePmi(pmiFiles.filter(isWanted), strict) : undefined;
  // Without a compiler one sentence says enough.
  if (pmiProblem && pmiProblem !== addonProblem) console.error(`libpmi was not built: ${pmiProblem}; ${withoutPmi}.`);
  return strict && (addonProblem || pmiProblem) ? 1 : 0;
}

process.exitCode = main(process.argv.slice(2));
