/** MPI programs, compiled with Debian's MPICH, that find each other by our PMI server, and as the tasks of jobs. */

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { startInstance } from './instance.ts';
import { launchProgram } from './pmi-program.ts';
import { temporaryFolder } from './support.ts';

const hello = `
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

/** A message goes around all, each adding itself; then every kind of collective, checked by all. */
const collectives = `
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition) if (!(condition)) { printf("rank %d: line %d\\n", rank, __LINE__); MPI_Abort(MPI_COMM_WORLD, 1); }

int main(int argc, char **argv) {
  int rank, size, token = 0, own, sum, all[64], scattered;
  static double large[100000];
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  MPI_Request request;
  if (rank > 0) MPI_Recv(&token, 1, MPI_INT, rank - 1, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  own = token + rank;
  MPI_Isend(&own, 1, MPI_INT, (rank + 1) % size, 1, MPI_COMM_WORLD, &request);
  if (rank == 0) {
    MPI_Recv(&token, 1, MPI_INT, size - 1, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    CHECK(token == size * (size - 1) / 2);
  }
  MPI_Wait(&request, MPI_STATUS_IGNORE);
  if (rank == size - 1) for (int i = 0; i < 100000; i++) large[i] = i;
  MPI_Bcast(large, 100000, MPI_DOUBLE, size - 1, MPI_COMM_WORLD);
  CHECK(large[99999] == 99999.0);
  own = rank * rank;
  MPI_Allgather(&own, 1, MPI_INT, all, 1, MPI_INT, MPI_COMM_WORLD);
  for (int i = 0; i < size; i++) CHECK(all[i] == i * i);
  MPI_Scatter(all, 1, MPI_INT, &scattered, 1, MPI_INT, 0, MPI_COMM_WORLD);
  CHECK(scattered == own);
  MPI_Scan(&rank, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  CHECK(sum == rank * (rank + 1) / 2);
  MPI_Reduce(&rank, &sum, 1, MPI_INT, MPI_MAX, 0, MPI_COMM_WORLD);
  CHECK(rank || sum == size - 1);
  MPI_Alltoall(all, 1, MPI_INT, large, 1, MPI_INT, MPI_COMM_WORLD);
  CHECK(((int *)large)[size - 1] == own);
  MPI_Barrier(MPI_COMM_WORLD);
  if (rank == 0) printf("%d of %d\\n", rank, size);
  MPI_Finalize();
  return 0;
}`;

/** A program, compiled. */
function compile(source: string): string {
  const folder = temporaryFolder();
  const program = path.join(folder, 'program');
  fs.writeFileSync(`${program}.c`, source);
  execFileSync('mpicc', ['-o', program, `${program}.c`]);
  return program;
}

test('MPI programs start, and their processes talk to each other', { skip }, async () => {
  const program = compile(hello);
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

test('MPI programs run as jobs, on one node and on several, and in instances that are jobs', { skip }, async () => {
  const instance = await startInstance(2, ['--conf=resource.partition=true']);
  const program = compile(collectives);
  try {
    for (const [command, size] of [
      [['run', '-n1'], 1],
      [['run', '-N2', '--tasks-per-node=1'], 2],
      [['run', '-N2', '--tasks-per-node=3'], 6],
      [['alloc', '-N2', 'flux', 'run', '-N2', '--tasks-per-node=2'], 4],
    ] as const) {
      const { stdout, stderr, exit } = await instance.flux([...command, program], { timeoutMs: 60_000 });
      assert.deepEqual([stdout, exit], [`0 of ${size}\n`, 0], stderr);
    }
    const aborted = await instance.flux(['run', '-N2', '--tasks-per-node=1', compile(hello), 'abort']);
    assert.notEqual(aborted.exit, 0);
    assert.match(aborted.stderr, /PMI_Abort/);
  } finally {
    await instance.stop();
  }
});
