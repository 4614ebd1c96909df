// flux doctor: what it says where all is well, and of each thing that may be wrong.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { flux, type Instance, run, startInstance } from './instance.ts';
import { checkRows } from './rows.ts';
import { temporaryFolder } from './support.ts';

const folder = temporaryFolder();
const deep = path.join(folder, 'x'.repeat(100));
fs.mkdirSync(deep);
const configuration = path.join(folder, 'wrong.toml');
fs.writeFileSync(configuration, 'x = = 1\n');

let instance: Instance;
before(async () => {
  instance = await startInstance(1);
});
after(() => instance.stop());

/** Outside of an instance, and of what the one who runs the tests may be inside of. */
const nowhere = { FLUX_URI: undefined, SLURM_STEP_NUM_TASKS: undefined, OMPI_COMM_WORLD_SIZE: undefined };

for (const [what, env, stdout, exit] of [
  ['all is well', {}, /^ok {5}Node .*\n(ok {5}.*\n|note {3}.*\n)+note {3}Nobody launched this process/, 0],
  ['no folder', { TMPDIR: '/nosuch' }, /^wrong {2}No run directory can be made in \/nosuch: .*\nwrong {2}No state/m, 1],
  ['a long path', { TMPDIR: deep }, /^wrong {2}No run directory .* a socket's path has at most 107/m, 1],
  ['a configuration', { FLUX_CONF_DIR: configuration }, /^wrong {2}FLUX_CONF_DIR: .*wrong\.toml/m, 1],
  ['an instance that has ended', { FLUX_URI: 'local:///nosuch' }, /^wrong {2}FLUX_URI names .* does not answer/m, 1],
  ['Slurm without PMI', { SLURM_STEP_NUM_TASKS: '4' }, /^wrong {2}Slurm has launched 4 processes.*--mpi=pmi2/m, 1],
  ['Open MPI', { OMPI_COMM_WORLD_SIZE: '2' }, /^wrong {2}Open MPI has launched 2 processes/m, 1],
  ['one process of Slurm', { SLURM_STEP_NUM_TASKS: '1' }, /^note {3}Nobody launched/m, 0],
  ['a socket that is none', { PMI_FD: '99', PMI_RANK: '0', PMI_SIZE: '2' }, /^wrong {2}The launcher's .*PMI_FD=99/m, 1],
] as const) {
  test(`doctor: ${what}`, async () => {
    const result = await run(flux, ['doctor'], { env: { ...nowhere, ...env } });
    assert.match(result.stdout, stdout);
    assert.deepEqual([result.exit, result.stderr], [exit, '']);
    assert.deepEqual(fs.readdirSync(deep), []);
  });
}

const done = path.join(folder, 'done');
/** The first of two processes does not take part. */
const lateOne = `if [ $FLUX_TASK_RANK = 0 ]; then until [ -e ${done} ]; do sleep 0.1; done; exit; fi
flux doctor --json -t 0.1; status=$?; touch ${done}; exit $status`;

test('doctor: inside an instance, and launched by it', () =>
  checkRows(instance, [
    { args: ['doctor'], stdout: /^note {3}This shell is inside an instance of size 1: local:/m },
    {
      args: ['run', '-n2', 'flux', 'doctor'],
      stdout:
        /^0: ok {5}The launcher offers PMI by 'simple': this is process 0 of 2\.\n0: ok {5}All 2 run on .* ms\.\n$/m,
    },
    {
      args: ['run', '-n2', 'sh', '-c', lateOne],
      stdout:
        /^{"rank":1,"verdict":"wrong","text":"The processes do not become an instance: not all of them came within 0\.1 s\."}\n$/,
      stderr: /exit code 1/,
      exit: 1,
    },
    { args: ['doctor', '--nosuch'], stderr: /unknown option/, exit: 1 },
  ]));
