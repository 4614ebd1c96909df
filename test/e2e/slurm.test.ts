/** What Slurm launches: instances, and programs that use its process management interface. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pmiLibraryPath } from '../../native/index.ts';
import { flux } from './instance.ts';
import { lacksSlurm, type Slurm, startSlurm } from './slurm.ts';
import { temporaryFolder } from './support.ts';

describe('under Slurm', { skip: lacksSlurm() }, () => {
  let slurm: Slurm;
  before(async () => {
    slurm = await startSlurm();
  });
  after(() => slurm?.stop());

  const srun = (...words: string[]) => slurm.srun(['--mpi=pmi2', ...words]);

  /** What it prints; it must not fail. */
  async function print(...words: string[]): Promise<string> {
    const { stdout, stderr, exit } = await srun(...words);
    assert.deepEqual([stderr, exit], ['', 0]);
    return stdout;
  }

  describe('an instance', () => {
    test('has a rank for each task', async () => {
      assert.equal(await print('-n4', flux, 'start', flux, 'getattr', 'size'), '4\n');
      const script = `${flux} getattr size; ${flux} getattr broker.mapping; ${flux} getattr broker.boot-method`;
      const attributes = await print('-N2', '--ntasks-per-node=3', flux, 'start', 'sh', '-c', script);
      assert.equal(attributes, '6\n[[0,2,3,1]]\nsimple\n');
    });

    test('ends as its program does', async () => {
      const { stderr, exit } = await srun('-n4', flux, 'start', 'sh', '-c', 'exit 3');
      assert.equal(exit, 3, stderr);
      assert.match(stderr, /rc2\.0: sh -c exit 3 Exited \(rc=3\)/);
    });

    test('runs jobs, and instances that are jobs, on all its nodes', async () => {
      const script = `flux run -N4 -n4 flux getattr rank; flux alloc -N4 flux getattr size`;
      const lines = await print('-N4', '-n4', flux, 'start', 'sh', '-c', script);
      assert.deepEqual(lines.trim().split('\n').sort(), ['0', '1', '2', '3', '4']);
    });

    test('does not tell its jobs that Slurm has launched them', async () => {
      const lines = await print('-n2', flux, 'start', flux, 'run', 'env');
      assert.match(lines, /^PMI_SIZE=1$/m);
      assert.doesNotMatch(lines, /^(PMI_JOBID|SLURM_)/m);
    });

    test('that cannot start has its step ended', async () => {
      const { stderr, exit } = await srun('-n4', flux, 'start', '--setattr=rundir=/proc/none', 'true');
      assert.notEqual(exit, 0);
      assert.match(stderr, /STEP .* CANCELLED/);
    });

    test('ends in order when Slurm cancels its job', async () => {
      const script = 'trap "exit 5" HUP TERM; echo started; sleep inf & wait';
      const cancel = () => {
        void slurm.run('scancel', ['--signal=TERM', '--name=canceled']);
        return false;
      };
      const { stderr, exit } = await slurm.srun(
        ['--mpi=pmi2', '-N2', '-n2', '--job-name=canceled', flux, 'start', 'sh', '-c', script],
        { until: cancel },
      );
      assert.equal(exit, 5, stderr);
      assert.match(stderr, /rc2\.0: .* Exited \(rc=5\)/);
    });
  });

  for (const [name, command] of [
    ['the compiled flux pmi', [flux, 'pmi']],
    ['flux pmi', ['node', `${flux}.cjs`, 'pmi']],
    ['libpmi', [flux, 'pmi', `--method=libpmi:${pmiLibraryPath()}`]],
  ] as const)
    describe(`by ${name}`, () => {
      test('tasks of several nodes get what each has given', async () => {
        const line = /^(0: completed pmi exchange on 8 tasks in \d\.\d{3}s\.\n){2}$/;
        assert.match(await print('-N4', '-n8', ...command, 'exchange', '--count=2'), line);
      });

      test('one of them has all ended', async () => {
        const { stderr, exit } = await srun('-N2', '-n4', ...command, 'barrier', '--test-abort=1');
        assert.notEqual(exit, 0);
        assert.match(stderr, /STEP .* CANCELLED/);
      });
    });

  test('keys that Slurm has are there, and others are not', async () => {
    const get = ['-N2', '--ntasks-per-node=2', flux, 'pmi', 'get'];
    assert.equal(await print(...get, 'PMI_process_mapping'), '(vector,(0,2,2))\n');
    const missing = await srun(...get, 'flux.taskmap');
    assert.match(missing.stderr, /^flux-pmi get: get flux\.taskmap: get failed: /m);
    assert.equal(missing.exit, 1);
  });

  test('programs that are linked with libpmi2 find each other', async () => {
    const file = path.join(temporaryFolder(), 'ring');
    const libraries = path.dirname(pmiLibraryPath()!);
    fs.writeFileSync(`${file}.c`, ring);
    execFileSync('cc', ['-o', file, `${file}.c`, path.join(libraries, 'libpmi2.so')]);
    const lines = await print('-N2', '--ntasks-per-node=2', `--export=ALL,LD_LIBRARY_PATH=${libraries}`, file);
    assert.deepEqual(
      lines.trim().split('\n').sort(),
      [0, 1, 2, 3].map((rank) => `${rank} of 4: from ${(rank + 1) % 4}, (vector,(0,2,2))`),
    );
  });
});

/** Each tells what the next one gives. */
const ring = `
#include <stdio.h>
int PMI2_Init(int *, int *, int *, int *), PMI2_Finalize(void), PMI2_KVS_Fence(void);
int PMI2_KVS_Put(const char *, const char *), PMI2_KVS_Get(const char *, int, const char *, char *, int, int *);
int PMI2_Info_GetJobAttr(const char *, char *, int, int *);

int main(void) {
  int spawned, size, rank, appnum, length, found;
  char key[64], value[1024], mapping[1024];
  if (PMI2_Init(&spawned, &size, &rank, &appnum)) return 1;
  snprintf(key, sizeof key, "key%d", rank), snprintf(value, sizeof value, "%d", rank);
  if (PMI2_KVS_Put(key, value) || PMI2_KVS_Fence()) return 2;
  snprintf(key, sizeof key, "key%d", (rank + 1) % size);
  if (PMI2_KVS_Get(NULL, -1, key, value, sizeof value, &length)) return 3;
  if (PMI2_Info_GetJobAttr("PMI_process_mapping", mapping, sizeof mapping, &found)) return 4;
  printf("%d of %d: from %s, %s\\n", rank, size, value, mapping);
  return PMI2_Finalize();
}`;
