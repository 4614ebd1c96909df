/** The PMI-1 client against a libpmi of one process that is compiled here. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { openPmi } from '../../../native/index.ts';
import { requireAddon, temporaryFolder } from './support.ts';

/** Keeps one pair; the environment tells how long a barrier takes, and lets PMI_Init fail. */
const source = `
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static char key[256], value[256];
static int committed;
int PMI_Init(int *spawned) { *spawned = 0; return getenv("TEST_PMI_INIT") ? -1 : 0; }
int PMI_Finalize(void) { return 0; }
int PMI_Abort(int code, const char *text) { printf("abort: %s\\n", text); fflush(stdout); _exit(code); }
int PMI_Get_rank(int *rank) { *rank = 3; return 0; }
int PMI_Get_size(int *size) { *size = 8; return 0; }
#ifdef COMPLETE
int flux_pmi_library = 1;
int PMI_Get_appnum(int *appnum) { *appnum = 1; return 0; }
int PMI_KVS_Get_name_length_max(int *length) { *length = 16; return 0; }
int PMI_KVS_Get_value_length_max(int *length) { *length = 255; return 0; }
#endif
int PMI_KVS_Get_my_name(char *name, int length) { return snprintf(name, length, "kvs-%d", 7) < length ? 0 : 8; }
int PMI_KVS_Put(const char *name, const char *k, const char *v) {
  if (strlen(v) > 255) return 7;
  snprintf(key, sizeof key, "%s/%s", name, k);
  strcpy(value, v);
  committed = 0;
  return 0;
}
int PMI_KVS_Get(const char *name, const char *k, char *v, int length) {
  char wanted[256];
  snprintf(wanted, sizeof wanted, "%s/%s", name, k);
  if (!committed || strcmp(key, wanted)) return 4;
  return snprintf(v, length, "%s", value) < length ? 0 : 8;
}
int PMI_KVS_Commit(const char *name) { committed = 1; return strcmp(name, "kvs-7") ? 3 : 0; }
int PMI_Barrier(void) {
  const char *ms = getenv("TEST_PMI_BARRIER_MS");
  usleep(1000 * (ms ? atoi(ms) : 50));
  return 0;
}
`;

function compile(name: string, ...options: string[]): string {
  const folder = temporaryFolder();
  const library = path.join(folder, name);
  fs.writeFileSync(path.join(folder, 'pmi.c'), source);
  const { status, stderr } = spawnSync(
    'cc',
    ['-shared', '-fPIC', ...options, '-o', library, path.join(folder, 'pmi.c')],
    {
      encoding: 'utf8',
    },
  );
  assert.equal(status, 0, stderr);
  return library;
}

/** A process that opens the library by the addon alone and does something with it. */
function inner(library: string, code: string, env: Record<string, string> = {}) {
  const script = `const loaded = { exports: {} }; process.dlopen(loaded, process.argv[1]);
    const { pmiOpen, pmiAbort, pmiBarrier } = loaded.exports; const opened = pmiOpen(process.argv[2], 1); ${code}`;
  const addon = path.resolve(`native/prebuilt/${process.platform}-${process.arch}.node`);
  const { status, stdout } = spawnSync(process.execPath, ['-e', script, addon, library], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  return [status, stdout];
}

function tests() {
  requireAddon();
  const library = compile('libpmi.so', '-DCOMPLETE');
  const least = compile('libpmi-least.so');

  test('an exchange: put, commit, barrier, get', async () => {
    const pmi = openPmi(library);
    const { rank, size, appnum, kvsname, isFlux } = pmi;
    assert.deepEqual(
      { rank, size, appnum, kvsname, isFlux },
      { rank: 3, size: 8, appnum: 1, kvsname: 'kvs-7', isFlux: true },
    );
    assert.equal(pmi.library, library);
    pmi.put('key', 'välue');
    assert.throws(() => pmi.get('key'), { code: 'EINVAL', message: "PMI_KVS_Get of 'key': invalid key" });
    pmi.commit();
    await pmi.barrier();
    assert.equal(pmi.get('key'), 'välue');
    pmi.put('long', 'x'.repeat(255));
    pmi.commit();
    assert.equal(pmi.get('long').length, 255);
    assert.throws(() => pmi.put('long', 'x'.repeat(256)), { code: 'EINVAL' });
    pmi.finalize();
    assert.throws(() => pmi.get('key'), { code: 'EBADF' });
    assert.throws(() => pmi.finalize(), { code: 'EBADF' });
  });

  test('a library without the optional functions, and a second client after the first', () => {
    const pmi = openPmi(least);
    assert.deepEqual([pmi.appnum, pmi.isFlux, pmi.kvsname], [undefined, false, 'kvs-7']);
    assert.throws(() => openPmi(least), { code: 'EBUSY' });
    pmi.finalize();
    openPmi(least).finalize();
  });

  test('a barrier leaves the event loop running and the library alone', async () => {
    const pmi = openPmi(library);
    let turns = 0;
    const timer = setInterval(() => turns++, 5);
    const barrier = pmi.barrier();
    assert.throws(() => pmi.put('a', 'b'), { code: 'EBUSY' });
    assert.throws(() => pmi.finalize(), { code: 'EBUSY' });
    await assert.rejects(pmi.barrier(), { code: 'EBUSY' });
    await barrier;
    clearInterval(timer);
    assert.ok(turns >= 1);
    await pmi.barrier();
    pmi.finalize();
  });

  test('no library, a bad one, and one that does not start', () => {
    assert.throws(() => openPmi('/no/libpmi.so'), {
      code: 'ENOENT',
      message: /cannot open libpmi: .*\/no\/libpmi\.so/,
    });
    assert.throws(() => openPmi('libm.so.6'), { code: 'ENOENT', message: /PMI_Init/ });
    process.env.TEST_PMI_INIT = 'fails';
    assert.throws(() => openPmi(library), { code: 'EIO', message: `PMI_Init of ${library}: the operation failed` });
    delete process.env.TEST_PMI_INIT;
    openPmi(library).finalize();
  });

  test('another thread has no part in a client, and a worker that ends gives it up', async () => {
    const pmi = openPmi(library);
    /** What a worker says before it ends. */
    const answer = async () => {
      const worker = new Worker(fileURLToPath(import.meta.url), { workerData: library });
      const ended = once(worker, 'exit');
      const [said] = await once(worker, 'message');
      await ended;
      return said;
    };
    assert.equal(await answer(), 'EBUSY');
    pmi.finalize();
    assert.equal(await answer(), 3);
    openPmi(library).finalize();
  });

  test('abort ends the process by the library', () => {
    assert.deepEqual(inner(library, "pmiAbort(5, 'no quorum')"), [5, 'abort: no quorum\n']);
  });

  test('a barrier keeps Node alive, but not process.exit', () => {
    assert.deepEqual(inner(library, 'pmiBarrier().then((result) => console.log(result))'), [0, '0\n']);
    const began = performance.now();
    const forever = { TEST_PMI_BARRIER_MS: '60000' };
    assert.deepEqual(inner(library, 'pmiBarrier(); setTimeout(() => process.exit(4), 20)', forever), [4, '']);
    assert.ok(performance.now() - began < 10_000);
  });
}

function openAndLeave() {
  try {
    parentPort!.postMessage(openPmi(workerData as string).rank);
  } catch (error) {
    parentPort!.postMessage((error as NodeJS.ErrnoException).code);
  }
}

if (isMainThread) tests();
else openAndLeave();
