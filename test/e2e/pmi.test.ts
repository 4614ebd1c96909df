/** `flux pmi` as the processes of a program: by the program that is compiled for it, and by Node. */

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { describe, test } from 'node:test';
import { pmiLibraryPath } from '../../native/index.ts';
import { flux, run } from './instance.ts';
import { type LaunchOptions, launchProgram } from './pmi-program.ts';
import { temporaryFolder } from './support.ts';

type Launch = (size: number, args: readonly string[], options?: LaunchOptions) => ReturnType<typeof launchProgram>;

const launch: Launch = (size, args, options) => launchProgram(size, flux, ['pmi', ...args], options);
const library = (name: string) => path.join(path.dirname(pmiLibraryPath()!), `${name}.so`);
const launchers: [name: string, launch: Launch][] = [
  ['compiled', launch],
  ['Node', (size, args, options) => launchProgram(size, 'node', [`${flux}.cjs`, 'pmi', ...args], options)],
  ['libpmi', (size, args, options) => launch(size, [`--method=libpmi:${library('libpmi')}`, ...args], options)],
  ['libpmi2', (size, args, options) => launch(size, [`--method=libpmi2:${library('libpmi2')}`, ...args], options)],
];

for (const [name, launch] of launchers)
  describe(`by ${name}`, () => {
    test('processes meet at barriers, and rank 0 tells of it', async () => {
      const { ended } = await launch(3, ['barrier', '--test-count=2']);
      const line = '0: completed pmi barrier on 3 tasks\n';
      assert.deepEqual(
        ended,
        [line + line, '', ''].map((stdout) => ({ exit: 0, stdout, stderr: '' })),
      );
    });

    test('barriers are timed, and the lines begin with the job', async () => {
      const { ended } = await launch(2, ['barrier', '--test-timing', '--test-count', '1'], {
        env: { FLUX_JOB_ID: 'ƒA', FLUX_JOB_CC: undefined },
      });
      assert.match(ended[0]!.stdout, /^ƒA: completed pmi barrier on 2 tasks in \d\.\d{3}s\.\n$/);
      const copies = await launch(1, ['barrier'], { env: { FLUX_JOB_ID: 'ƒA', FLUX_JOB_CC: '7' } });
      assert.match(copies.ended[0]!.stdout, /^7: /);
    });

    test('each gets what each has given', async () => {
      const { ended } = await launch(4, ['exchange', '--count=2']);
      assert.match(ended[0]!.stdout, /^(0: completed pmi exchange on 4 tasks in \d\.\d{3}s\.\n){2}$/);
      assert.deepEqual(
        ended.map(({ exit, stderr }) => [exit, stderr]),
        ended.map(() => [0, '']),
      );
    });

    test('one process has all ended', async () => {
      const { aborts, ended } = await launch(2, ['barrier', '--test-abort=1']);
      assert.deepEqual(aborts, ['1 1 flux-pmi: rank 1 is aborting']);
      assert.equal(ended[0]!.exit, null);
    });

    for (const args of [['barrier', '--nope'], ['barrier', '--test-count=x'], ['nope'], ['exchange', 'more']])
      test(`${args.join(' ')} is refused`, async () => {
        const [one] = (await launch(1, args)).ended;
        assert.deepEqual([one!.exit, one!.stdout], [1, '']);
        assert.match(one!.stderr, /^flux-pmi/m);
      });
  });

test('keys that are there are printed where that is wanted, and others are an error', async () => {
  const { ended } = await launch(2, ['get', '--ranks=1', 'flux.taskmap']);
  assert.deepEqual(
    ended.map(({ stdout }) => stdout),
    ['', '[[0,1,2,1]]\n'],
  );
  const [one] = (await launch(1, ['get', 'nope'])).ended;
  assert.deepEqual([one!.exit, one!.stderr], [1, 'flux-pmi get: get nope: get failed: key_not_found\n']);
});

test('what takes too long fails, and what cannot be is said', async () => {
  const { ended } = await launch(1, ['-t', '0.1s', 'barrier', '--test-count=1000000']);
  assert.deepEqual(
    [ended[0]!.exit, ended[0]!.stderr],
    [1, 'flux-pmi: timeout expired before PMI operation completed\n'],
  );
  const [wrong] = (await launch(1, ['--method=nope', 'barrier'])).ended;
  assert.deepEqual([wrong!.exit, /no PMI method 'nope'/.test(wrong!.stderr)], [1, true]);
});

test('a launcher that goes away is told of', async () => {
  for (const [name, launch] of launchers.slice(0, 2)) {
    const { ended } = await launch(1, ['barrier'], {
      started: ([first]) => (first!.stdio[3] as Duplex).destroy(),
    });
    assert.match(ended[0]!.stderr, /^flux-pmi barrier: .*(PMI server|init failed)/, name);
    assert.equal(ended[0]!.exit, 1, name);
  }
});

test('the command works by links to it, and without what is compiled', async () => {
  const folder = temporaryFolder();
  const install = path.join(folder, 'lib', 'flux');
  for (const part of ['bin', 'dist', 'native/prebuilt', 'package.json'])
    fs.cpSync(part, path.join(install, part), { recursive: true });
  fs.mkdirSync(path.join(folder, 'bin'));
  fs.symlinkSync('../lib/flux/bin/flux', path.join(folder, 'bin', 'flux'));
  fs.symlinkSync(path.join(folder, 'bin', 'flux'), path.join(folder, 'flux'));
  const check = async () => {
    for (const file of ['flux', 'bin/flux', 'lib/flux/bin/flux']) {
      const { stdout, stderr, exit } = await run(path.join(folder, file), ['version']);
      assert.match(stdout, /^commands:/, stderr);
      assert.equal(exit, 0);
      const { ended } = await launchProgram(2, path.join(folder, file), ['pmi', 'barrier']);
      assert.deepEqual(ended[0], { exit: 0, stdout: '0: completed pmi barrier on 2 tasks\n', stderr: '' });
    }
    const inside = await run('sh', ['-c', 'flux version'], { env: { PATH: `${folder}/bin:${process.env.PATH}` } });
    assert.match(inside.stdout, /^commands:/);
  };
  await check();
  // Files of several kinds of machines: which are ours is not known without asking.
  const prebuilt = path.join(install, 'native', 'prebuilt');
  fs.mkdirSync(path.join(prebuilt, 'other'));
  fs.writeFileSync(path.join(prebuilt, 'other', 'flux-pmi'), 'of another machine', { mode: 0o755 });
  await check();
  fs.rmSync(prebuilt, { recursive: true });
  await check();
});
