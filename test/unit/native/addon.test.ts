/** The addon as a file: how it is built and found, what is said without it, and what it leaves to Node at the end. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import {
  canYield,
  hwloc,
  nativeStatus,
  openPmi,
  peerCredentials,
  rusage,
  spawnProcess,
  takeStopped,
  topology,
  yieldProcessor,
} from '../../../native/index.ts';
import { program, requireAddon, run, temporaryFolder } from './support.ts';

const binary = `native/prebuilt/${process.platform}-${process.arch}.node`;

/** A folder with what building needs, for itself. */
function copyOfSources(): string {
  const folder = temporaryFolder();
  fs.cpSync('native/src', path.join(folder, 'native/src'), { recursive: true });
  fs.cpSync('scripts/build-native.mjs', path.join(folder, 'scripts/build-native.mjs'));
  return folder;
}

function build(folder: string, options: string[] = [], env: Record<string, string> = {}) {
  const script = path.join(folder, 'scripts/build-native.mjs');
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...options], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  return { status, said: stdout + stderr };
}

/** What the functions give in a thread whose FLUX_NATIVE_PATH leads nowhere. */
async function withoutAddon() {
  if (workerData === 'status') {
    parentPort!.postMessage(nativeStatus());
    return;
  }
  const outcome = await run(spawnProcess, program(['echo', 'works']));
  const thrown = (action: () => unknown) => {
    try {
      return action();
    } catch (error) {
      return (error as NodeJS.ErrnoException).code;
    }
  };
  parentPort!.postMessage({
    status: nativeStatus(),
    credentials: peerCredentials(0),
    hwloc: hwloc(),
    notice: topology().notice,
    stopped: takeStopped(),
    yields: [canYield(), yieldProcessor()],
    self: thrown(() => rusage('self').maxrss > 0),
    children: thrown(() => rusage('children')),
    pmi: thrown(() => openPmi()),
    outcome,
  });
}

function tests() {
  requireAddon();

  test('with the addon nothing is missing', () => assert.equal(nativeStatus(), undefined));

  test('with it nothing is missing, and threads can yield', () => {
    assert.deepEqual([nativeStatus(), canYield(), yieldProcessor()], [undefined, true, undefined]);
  });

  test('without it everything answers, and one sentence says what is missing', async () => {
    const worker = new Worker(fileURLToPath(import.meta.url), {
      env: { ...process.env, FLUX_NATIVE_PATH: '/no/addon.node' },
    });
    const { status, ...rest } = await new Promise<Record<string, unknown>>((resolve) =>
      worker.once('message', resolve),
    );
    assert.match(status as string, /^The native addon is missing \(.*\/no\/addon\.node.*\): no peer credentials.*\.$/);
    assert.deepEqual(rest, {
      credentials: undefined,
      hwloc: undefined,
      notice: 'libhwloc needs the native addon: processors are counted from /sys, GPUs are not seen.',
      stopped: [],
      yields: [false, undefined],
      self: true,
      children: 'ENOSYS',
      pmi: 'ENOSYS',
      outcome: { status: 0, output: ['', 'works\n', ''] },
    });
  });

  test('building compiles without a warning, once, and again when a source is newer', () => {
    const folder = copyOfSources();
    const target = path.join(folder, binary);
    assert.deepEqual(build(folder, ['--strict']), { status: 0, said: '' });
    const built = fs.statSync(target).mtimeMs;
    assert.deepEqual(build(folder), { status: 0, said: '' });
    assert.equal(fs.statSync(target).mtimeMs, built);
    const later = new Date(built + 5000);
    fs.utimesSync(path.join(folder, 'native/src/addon.c'), later, later);
    assert.deepEqual(build(folder), { status: 0, said: '' });
    assert.notEqual(fs.statSync(target).mtimeMs, built);
    const kind = path.basename(target, '.node');
    assert.deepEqual(fs.readdirSync(path.dirname(target)).sort(), [kind, path.basename(target)]);
    const files = fs.readdirSync(path.join(path.dirname(target), kind)).sort();
    assert.deepEqual(files, ['flux-pmi', 'libpmi.so', 'libpmi.so.0', 'libpmi2.so', 'libpmi2.so.0']);
  });

  test('one that was built from other sources is not used', async () => {
    const folder = copyOfSources();
    const source = path.join(folder, 'native/src/addon.c');
    fs.writeFileSync(source, `#define INTERFACE 0\n${fs.readFileSync(source, 'utf8')}`);
    assert.equal(build(folder).status, 0);
    const env = { ...process.env, FLUX_NATIVE_PATH: path.join(folder, binary) };
    const worker = new Worker(fileURLToPath(import.meta.url), { env, workerData: 'status' });
    const status = await new Promise((resolve) => worker.once('message', resolve));
    assert.match(String(status), /^The native addon is missing \(.* was built for another version of Flux\): /);
  });

  test('a binary that does not load is built anew', () => {
    const folder = copyOfSources();
    const target = path.join(folder, binary);
    fs.mkdirSync(path.dirname(target), { recursive: true });
    fs.writeFileSync(target, 'not a binary');
    assert.deepEqual(build(folder), { status: 0, said: '' });
    assert.ok(fs.statSync(target).size > 10_000);
  });

  test('what does not run and cannot be built anew is removed', () => {
    const folder = copyOfSources();
    assert.deepEqual(build(folder), { status: 0, said: '' });
    const program = path.join(folder, binary.replace('.node', ''), 'flux-pmi');
    fs.writeFileSync(program, 'of another machine');
    assert.match(build(folder, [], { CC: '/no/compiler' }).said, /^libpmi was not built: there is no C compiler/);
    assert.ok(!fs.existsSync(program));
  });

  test('building says in one line what it lacks, and fails only when strict', () => {
    const folder = copyOfSources();
    const noCompiler = build(folder, [], { CC: '/no/compiler' });
    assert.equal(noCompiler.status, 0);
    assert.match(
      noCompiler.said,
      /^The native addon was not built: there is no C compiler \(\/no\/compiler: ENOENT\); .*\.\n$/,
    );
    assert.equal(build(folder, ['--strict'], { CC: '/no/compiler' }).status, 1);
    fs.appendFileSync(path.join(folder, 'native/src/rusage.c'), 'this is not C\n');
    const badSource = build(folder);
    assert.equal(badSource.status, 0);
    assert.match(badSource.said, /^The native addon was not built: cc failed: .*rusage\.c:\d+.*error.*\n$/);
    assert.equal(build(folder, ['--strict']).status, 1);
  });

  test('a running child, or one to be, keeps Node alive until it has closed; process.exit does not wait for it', () => {
    const code = `
      const loaded = { exports: {} };
      process.dlopen(loaded, process.argv[1]);
      const said = (id, event, stream, value) => console.log(event, stream, event === 4 ? 'pid' : String(value).trim());
      loaded.exports.startProcesses(said, new Float64Array(3));
      loaded.exports.spawn('sh', 'sh\\0-c\\0sleep 0.2; echo done', 3, '', 0, undefined, Int32Array.of(0, -1, 0, 0),
        Int32Array.of(-2, -4, 2), new Int32Array(0), new Float64Array(0), new Int32Array(2), Number(process.argv[2]));
      if (process.argv[3]) process.exit(3);`;
    const inner = (soon: 0 | 1, ...more: string[]) => {
      const { status, stdout } = spawnSync(process.execPath, ['-e', code, path.resolve(binary), `${soon}`, ...more], {
        encoding: 'utf8',
      });
      return [status, stdout];
    };
    const ends = ['', '0 1 done', '0 1 undefined', '2 -1 0', '3 -1 undefined'];
    for (const [soon, events] of [[0, ends] as const, [1, [...ends, '4 0 pid']] as const]) {
      const [status, said] = inner(soon);
      assert.equal(status, 0);
      assert.deepEqual(String(said).split('\n').sort(), events);
      assert.deepEqual(inner(soon, 'exit'), [3, '']);
    }
  });
}

if (isMainThread) tests();
else await withoutAddon();
