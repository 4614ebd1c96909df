/** MPI programs, compiled with Debian's MPICH, that find each other by our PMI server. */

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { launchProgram } from './pmi-program.ts';
import { temporaryFolder } from './support.ts';

const source = `
#include <mpi.h>
#include <stdio.h>

int main(int argc, char **argv) {
  int rank, size, sum, from;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  MPI_Allreduce(&rank, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  MPI_Sendrecv(&rank, 1, MPI_INT, (rank + 1) % size, 0, &from, 1, MPI_INT, (rank + size - 1) % size, 0, MPI_COMM_WORLD,
               MPI_STATUS_IGNORE);
  printf("%d of %d: sum %d, from %d\\n", rank, size, sum, from);
  if (argc > 1 && rank == 1) MPI_Abort(MPI_COMM_WORLD, 7);
  MPI_Finalize();
  return 0;
}`;

const skip = spawnSync('mpicc', ['-show']).error ? 'mpicc is not installed (Debian: libmpich-dev)' : false;

/** The program, compiled. */
function compile(): string {
  const folder = temporaryFolder();
  const program = path.join(folder, 'hello');
  fs.writeFileSync(`${program}.c`, source);
  execFileSync('mpicc', ['-o', program, `${program}.c`]);
  return program;
}

test('MPI programs start, and their processes talk to each other', { skip }, async () => {
  const program = compile();
  for (const size of [1, 2, 8]) {
    const { ended } = await launchProgram(size, program);
    const sum = (size * (size - 1)) / 2;
    assert.deepEqual(
      ended,
      ended.map((_, rank) => ({
        exit: 0,
        stdout: `${rank} of ${size}: sum ${sum}, from ${(rank + size - 1) % size}\n`,
        stderr: '',
      })),
    );
  }
  const { aborts } = await launchProgram(2, program, ['abort']);
  assert.match(aborts.join(), /^1 7 /);
});
