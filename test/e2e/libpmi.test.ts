/** Programs that are linked with Flux's libpmi or libpmi2, as the processes of a launched program. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { before, test } from 'node:test';
import { pmiLibraryPath } from '../../native/index.ts';
import { run } from './instance.ts';
import { type LaunchOptions, launchProgram } from './pmi-program.ts';
import { temporaryFolder } from './support.ts';

/** Says what each call gives, with declarations of its own: they are the ABI. */
const sources = {
  libpmi: `
#include <stdio.h>
#include <string.h>
int PMI_Init(int *), PMI_Initialized(int *), PMI_Finalize(void), PMI_Abort(int, const char *);
int PMI_Get_size(int *), PMI_Get_rank(int *), PMI_Get_universe_size(int *), PMI_Get_appnum(int *);
int PMI_Get_clique_size(int *), PMI_Get_clique_ranks(int *, int);
int PMI_KVS_Get_my_name(char *, int), PMI_KVS_Get_key_length_max(int *), PMI_KVS_Get_value_length_max(int *);
int PMI_KVS_Put(const char *, const char *, const char *), PMI_KVS_Get(const char *, const char *, char *, int);
int PMI_KVS_Commit(const char *), PMI_Barrier(void), PMI_Publish_name(const char *, const char *);

int main(int argc, char **argv) {
  int flag, rank, size, universe, appnum, keys, values, clique, ranks[16];
  char name[64], key[80], value[1100], small[4];
  printf("early %d", PMI_Get_rank(&rank));
  PMI_Initialized(&flag);
  printf(" initialized %d", flag);
  printf(" init %d", PMI_Init(&flag));
  printf(" spawned %d again %d", flag, PMI_Init(&flag));
  if (PMI_Get_rank(&rank)) return 1;
  PMI_Get_size(&size), PMI_Get_universe_size(&universe), PMI_Get_appnum(&appnum);
  PMI_KVS_Get_key_length_max(&keys), PMI_KVS_Get_value_length_max(&values), PMI_KVS_Get_my_name(name, sizeof name);
  printf("\\nrank %d size %d universe %d appnum %d name %s keys %d values %d", rank, size, universe, appnum, name, keys,
    values);
  printf("\\nclique %d", PMI_Get_clique_size(&clique));
  PMI_Get_clique_ranks(ranks, clique);
  for (int i = 0; i < clique; i++) printf(" %d", ranks[i]);
  printf(" small %d", PMI_Get_clique_ranks(ranks, clique - 1));
  sprintf(key, "k%d", rank), sprintf(value, "value of %d = x", rank);
  printf("\\nput %d", PMI_KVS_Put(name, key, value));
  printf(" commit %d", PMI_KVS_Commit(name));
  printf(" barrier %d", PMI_Barrier());
  sprintf(key, "k%d", (rank + 1) % size);
  printf(" get %d", PMI_KVS_Get(name, key, value, sizeof value));
  printf(" '%s'", value);
  printf(" small %d", PMI_KVS_Get(name, key, small, sizeof small));
  printf(" missing %d", PMI_KVS_Get(name, "nope", value, sizeof value));
  printf(" name %d", PMI_KVS_Get("x", key, value, 10));
  memset(key, 'k', 64), key[64] = 0, memset(value, 'v', 1024), value[1024] = 0;
  printf("\\nlong %d %d bad %d %d", PMI_KVS_Put(name, key, "x"), PMI_KVS_Put(name, "k", value),
    PMI_KVS_Put(name, "a b", "x"), PMI_KVS_Put(name, "k", "a\\nb"));
  value[1023] = 0;
  printf(" longest %d", PMI_KVS_Put(name, "k", value));
  printf(" %d", PMI_KVS_Get(name, "k", value, sizeof value));
  printf(" %d", (int)strlen(value));
  printf(" publish %d", PMI_Publish_name("a", "b"));
  fflush(stdout);
  PMI_Barrier();
  if (argc > 1 && rank == 1) PMI_Abort(7, "it is\\nenough");
  if (argc > 1) PMI_Barrier();
  printf(" finalize %d", PMI_Finalize());
  printf(" %d\\n", PMI_Finalize());
  return 0;
}`,
  libpmi2: `
#include <stdio.h>
#include <string.h>
int PMI2_Init(int *, int *, int *, int *), PMI2_Initialized(void), PMI2_Finalize(void), PMI2_Abort(int, const char *);
int PMI2_Job_GetId(char *, int), PMI2_KVS_Put(const char *, const char *), PMI2_KVS_Fence(void);
int PMI2_KVS_Get(const char *, int, const char *, char *, int, int *);
int PMI2_Info_GetJobAttr(const char *, char *, int, int *), PMI2_Info_PutNodeAttr(const char *, const char *);
int PMI2_Info_GetNodeAttr(const char *, char *, int, int *, int);

int main(int argc, char **argv) {
  int spawned, size, rank, appnum, length, found;
  char id[64], key[64], value[1024] = "", small[2];
  printf("early %d %d", PMI2_Initialized(), PMI2_KVS_Fence());
  if (PMI2_Init(&spawned, &size, &rank, &appnum)) return printf(" init failed") < 0;
  printf(" init %d spawned %d size %d rank %d appnum %d", PMI2_Initialized(), spawned, size, rank, appnum);
  printf("\\nid %d", PMI2_Job_GetId(id, sizeof id));
  printf(" %s %d", id, PMI2_Job_GetId(small, sizeof small));
  sprintf(key, "k%d", rank), sprintf(value, "v%d", rank);
  printf(" put %d", PMI2_KVS_Put(key, value));
  printf(" node %d", PMI2_Info_PutNodeAttr("n", "here"));
  printf(" fence %d", PMI2_KVS_Fence());
  sprintf(key, "k%d", (rank + 1) % size);
  printf(" get %d", PMI2_KVS_Get(id, -1, key, value, sizeof value, &length));
  printf(" %s %d", value, length);
  printf(" %d", PMI2_KVS_Get(NULL, -1, "nope", value, sizeof value, &length));
  printf(" %d", length);
  printf("\\nnode %d", PMI2_Info_GetNodeAttr("n", value, sizeof value, &found, 1));
  printf(" %s %d", value, found);
  printf(" %d", PMI2_Info_GetNodeAttr("nope", value, sizeof value, &found, 0));
  printf(" %d", found);
  printf(" job %d", PMI2_Info_GetJobAttr("universeSize", value, sizeof value, &found));
  printf(" %s", value);
  printf(" %d", PMI2_Info_GetJobAttr("PMI_process_mapping", value, sizeof value, &found));
  printf(" %s", value);
  printf(" %d", PMI2_Info_GetJobAttr("nope", value, sizeof value, &found));
  printf(" %d", found);
  fflush(stdout);
  PMI2_KVS_Fence();
  if (argc > 1 && rank == 1) PMI2_Abort(1, "enough");
  if (argc > 1) PMI2_KVS_Fence();
  printf(" finalize %d\\n", PMI2_Finalize());
  return 0;
}`,
} as const;

const programs = new Map<string, string>();
const folder = temporaryFolder();
const libraries = path.dirname(pmiLibraryPath()!);
const env = { LD_LIBRARY_PATH: libraries };

before(() => {
  for (const [name, source] of Object.entries(sources)) {
    const program = path.join(folder, name);
    fs.writeFileSync(`${program}.c`, source);
    execFileSync('cc', ['-o', program, `${program}.c`, path.join(libraries, `${name}.so`)]);
    programs.set(name, program);
  }
});

const launch = (name: string, size: number, args: readonly string[] = [], options: LaunchOptions = {}) =>
  launchProgram(size, programs.get(name)!, args, { ...options, env });

test('PMI-1: what each call gives, and what it refuses', async () => {
  const { ended } = await launch('libpmi', 3, [], { values: { PMI_process_mapping: '(vector,(0,1,2),(1,1,1))' } });
  for (const [rank, { exit, stdout, stderr }] of ended.entries()) {
    assert.deepEqual([exit, stderr], [0, '']);
    assert.deepEqual(stdout.split('\n'), [
      'early 1 initialized 0 init 0 spawned 0 again 1',
      `rank ${rank} size 3 universe 3 appnum 0 name program keys 64 values 1024`,
      rank < 2 ? 'clique 0 0 1 small 13' : 'clique 0 2 small 13',
      `put 0 commit 0 barrier 0 get 0 'value of ${(rank + 1) % 3} = x' small 8 missing -1 name -1`,
      'long 5 7 bad 4 6 longest 0 0 1023 publish -1 finalize 0 1',
      '',
    ]);
  }
});

test('where nobody tells who is on which node, each is alone', async () => {
  for (const mapping of ['', '(vector,(0,1', '(vector,(0,1,1))', 'nonsense']) {
    const { ended } = await launch('libpmi', 2, [], { values: { PMI_process_mapping: mapping } });
    assert.match(ended[1]!.stdout, /^clique 0 1 small 13$/m, mapping);
  }
});

test('PMI-2: as much of it as MPI libraries start by', async () => {
  const { ended } = await launch('libpmi2', 2);
  for (const [rank, { exit, stdout, stderr }] of ended.entries()) {
    assert.deepEqual([exit, stderr], [0, '']);
    assert.deepEqual(stdout.split('\n'), [
      `early 0 1 init 1 spawned 0 size 2 rank ${rank} appnum 0`,
      `id 0 program 10 put 0 node 0 fence 0 get 0 v${1 - rank} 2 -1 0`,
      'node 0 here 1 0 0 job 0 2 0 (vector,(0,1,2)) 4 0 finalize 0',
      '',
    ]);
  }
});

test('one process has all ended', async () => {
  const aborts = async (name: string) => (await launch(name, 2, ['abort'])).aborts;
  assert.deepEqual(await aborts('libpmi'), ['1 7 it is enough']);
  assert.deepEqual(await aborts('libpmi2'), ['1 1 enough']);
});

test('a program that nobody launched learns so', async () => {
  assert.match((await run(programs.get('libpmi')!, [], { env })).stdout, /^early 1 initialized 0 init -1/);
  const variables = [{ PMI_FD: 'x' }, { PMI_FD: '-1' }, { PMI_FD: '77' }, { PMI_RANK: '' }, { PMI_SIZE: '0' }];
  for (const wrong of variables) {
    const outcome = await run(programs.get('libpmi2')!, [], {
      env: { ...env, PMI_FD: '1', PMI_RANK: '0', PMI_SIZE: '1', ...wrong },
    });
    assert.match(outcome.stdout, /init failed/, JSON.stringify(wrong));
  }
});
