/**
 * The addon in several threads at once: each watches its own children, and a worker that ends while children run or
 * write takes nothing else with it. This file is the workers' program too.
 */

import assert from 'node:assert/strict';
import fs from 'node:fs';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { rusage, spawnProcess } from '../../../native/index.ts';
import { openDescriptors, program, requireAddon, run, sh, until } from './support.ts';

const tasks = {
  /** Runs 50 children and tells their statuses. */
  async many() {
    const all = Array.from({ length: 50 }, (_, index) => run(spawnProcess, program(sh(`echo x; exit ${index}`))));
    parentPort!.postMessage((await Promise.all(all)).map(({ status }) => status >> 8));
  },
  /** Starts children that write, wait and read without end, and tells their pids. */
  async endless() {
    const argv = [['yes'], ['sleep', '1000'], ['cat'], sh('while :; do echo x; done')];
    const children = argv.map((words) => spawnProcess(program(words), { data: () => {}, exit: () => {} }));
    parentPort!.postMessage(children.map(({ pid }) => pid));
  },
  /** Throws in an event. */
  async throwing() {
    spawnProcess(program(['echo', 'x']), {
      data: () => {
        throw new Error('from an event');
      },
      exit: () => {},
    });
  },
  async usage() {
    const before = rusage('thread').utime;
    let used = 0;
    while (used < 0.1) used = rusage('thread').utime - before;
    parentPort!.postMessage(used);
  },
};

type Task = keyof typeof tasks;

const start = (task: Task) => new Worker(fileURLToPath(import.meta.url), { workerData: task });
const message = <T>(worker: Worker) => new Promise<T>((resolve) => worker.once('message', resolve));
const ended = (worker: Worker) => new Promise((resolve) => worker.once('exit', resolve));

/** The state letter of a process, undefined when there is none. */
function stateOf(pid: number): string | undefined {
  try {
    return fs.readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/.*\) /s, '')[0];
  } catch {
    return undefined;
  }
}

function tests() {
  requireAddon();

  test('four workers and the main thread run 50 children each', async () => {
    const workers = Array.from({ length: 4 }, () => start('many'));
    const expected = [...Array(50).keys()];
    const theirs = Promise.all(workers.map(message));
    const exits = Promise.all(workers.map(ended));
    const own = Promise.all(expected.map((index) => run(spawnProcess, program(sh(`exit ${index}`)))));
    assert.deepEqual(
      await theirs,
      workers.map(() => expected),
    );
    assert.deepEqual(
      (await own).map(({ status }) => status >> 8),
      expected,
    );
    await exits;
  });

  test('a worker that is terminated takes its children with it; the later starts reap them', async () => {
    await run(spawnProcess, program(['true']));
    const before = openDescriptors();
    for (let round = 0; round < 5; round++) {
      const worker = start('endless');
      const pids = await message<number[]>(worker);
      await new Promise((resolve) => setTimeout(resolve, 20));
      await worker.terminate();
      await until(() => pids.every((pid) => /[ZX]/.test(stateOf(pid) ?? 'X')), `${pids} have ended`);
      await run(spawnProcess, program(['true']));
      assert.deepEqual(pids.map(stateOf), [undefined, undefined, undefined, undefined]);
    }
    await until(() => openDescriptors() <= before, `${openDescriptors()} descriptors are ${before} again`);
  });

  test('an exception in an event is an uncaught one of its worker', async () => {
    const worker = start('throwing');
    const error = await new Promise<Error>((resolve) => worker.once('error', resolve));
    assert.equal(error.message, 'from an event');
    assert.equal((await run(spawnProcess, program(['true']))).status, 0);
  });

  test("'thread' is the calling thread's usage", async () => {
    const own = rusage('thread').utime;
    const worker = start('usage');
    const busy = await message<number>(worker);
    assert.ok(rusage('thread').utime - own < busy + 0.1);
  });
}

if (isMainThread) tests();
else await tasks[workerData as Task]();
