/**
 * Programs that are started beside what a thread goes on with: what becomes of each, from several threads at once, and that
 * a thread that ends meanwhile leaves none behind. This file is the workers' program too.
 */

import assert from 'node:assert/strict';
import fs from 'node:fs';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { SpawnError, spawnProcess, spawnProcessSoon } from '../../../native/index.ts';
import type { Process, ProcessEvents, ProcessSpec } from '../../../native/process.ts';
import { spawnFallback } from '../../../native/processes-fallback.ts';
import { openDescriptors, program, requireAddon, run, sh, until } from './support.ts';

type SpawnSoon = (spec: ProcessSpec, events: ProcessEvents) => Promise<Process>;

const implementations: [name: string, spawnSoon: SpawnSoon][] = [
  ['addon', spawnProcessSoon],
  ['fallback', async (spec, events) => spawnFallback(spec, events)],
];

/** Runs a program to its end: its exit code and output, or the code of the error. */
async function outcome(spawnSoon: SpawnSoon, spec: ProcessSpec): Promise<string> {
  let output = '';
  let status = -1;
  let close: () => void = () => {};
  const closed = new Promise<void>((resolve) => {
    close = resolve;
  });
  try {
    const child = await spawnSoon(spec, {
      data: (_, bytes) => {
        output += bytes ?? '';
      },
      exit: (value) => {
        status = value >> 8;
      },
      close,
    });
    child.end(0);
  } catch (error) {
    assert.ok(error instanceof SpawnError);
    return `${error.code} ${error.step}`;
  }
  await closed;
  return `${status} ${output}`;
}

/** Sixty programs of different ends, and what is to become of each. */
const many = Array.from({ length: 60 }, (_, index): [spec: ProcessSpec, expected: string] => {
  if (index % 5 === 1) return [program(['no-such-program']), 'ENOENT exec'];
  if (index % 5 === 3) return [program(['/etc/passwd']), 'EACCES exec'];
  if (index % 10 === 4) return [program(['true'], { cwd: '/no/such/folder' }), 'ENOENT cwd'];
  return [program(sh(`read x; echo ${index}; exit ${index}`)), `${index} ${index}\n`];
});

const outcomes = (spawnSoon: SpawnSoon) => Promise.all(many.map(([spec]) => outcome(spawnSoon, spec)));

const tasks = {
  async many() {
    parentPort!.postMessage(await outcomes(spawnProcessSoon));
  },
  /** Begins to start more programs than can be started at a time; their command lines name them. */
  async endless() {
    const argv = ['sleep', String(workerData.seconds)];
    for (let index = 0; index < 20; index++)
      void spawnProcessSoon(program(argv, { processGroup: index % 2 === 0 }), { data: () => {}, exit: () => {} });
    parentPort!.postMessage('begun');
  },
};

const start = (task: keyof typeof tasks, seconds = 0) =>
  new Worker(fileURLToPath(import.meta.url), { workerData: { task, seconds } });
const message = <T>(worker: Worker) => new Promise<T>((resolve) => worker.once('message', resolve));

/** How many programs run with an argument. */
function runningWith(argument: string): number {
  const pids = fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => {
    try {
      return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(argument);
    } catch {
      return false;
    }
  }).length;
}

function tests(): void {
  requireAddon();

  for (const [implementation, spawnSoon] of implementations) {
    test(`${implementation}: many at once, some of which cannot be started`, async () => {
      const expected = many.map(([, expected]) => expected);
      assert.deepEqual(await outcomes(spawnSoon), expected);
      const before = openDescriptors();
      assert.deepEqual(await outcomes(spawnSoon), expected);
      await until(() => openDescriptors() <= before, `${openDescriptors()} descriptors are ${before} again`);
    });

    test(`${implementation}: nothing comes from a program before what awaits it has gone on`, async () => {
      for (let round = 0; round < 30; round++) {
        let isAwaited = true;
        let early = 0;
        await new Promise<void>((close) => {
          const note = () => {
            if (isAwaited) early++;
          };
          void spawnSoon(program(['echo', 'x']), { data: note, exit: note, close }).then(async () => {
            for (let turn = 0; turn < 5; turn++) await undefined;
            isAwaited = false;
          });
        });
        assert.equal(early, 0);
      }
    });

    test(`${implementation}: what throws at other times rejects`, async () => {
      const spec = program(['true'], { stdio: [{ sameAs: 7 }] });
      await assert.rejects(spawnSoon(spec, { data: () => {}, exit: () => {} }), { code: 'EBADF', step: 'stdio' });
      assert.equal(await outcome(spawnSoon, program(['echo', 'after'])), '0 after\n');
    });
  }

  test('a thread goes on while programs are started, which are few at a time', async () => {
    const before = openDescriptors();
    let most = 0;
    let settled = 0;
    const starts = Array.from({ length: 40 }, () =>
      spawnProcessSoon(program(['true'], { stdio: ['output', 'output', 'output', 'output'] }), {
        data: () => {},
        exit: () => {},
      }).finally(() => {
        settled++;
        most = Math.max(most, openDescriptors() - before);
      }),
    );
    assert.equal(settled, 0);
    await Promise.all(starts);
    // Four pipes and a pidfd for each that runs, twice the pipes for those under way, and some of Node's own.
    assert.ok(most <= 40 * 5 + 3 * 4 + 10, `${most} descriptors`);
  });

  test('five threads start sixty programs each', async () => {
    const workers = Array.from({ length: 4 }, () => start('many'));
    const theirs = Promise.all(workers.map((worker) => message<string[]>(worker)));
    const own = await outcomes(spawnProcessSoon);
    for (const each of [own, ...(await theirs)])
      assert.deepEqual(
        each,
        many.map(([, expected]) => expected),
      );
  });

  test('a worker that is ended while it starts programs leaves none', async () => {
    await run(spawnProcess, program(['true']));
    const before = openDescriptors();
    for (let round = 0; round < 20; round++) {
      const seconds = 4_000_000 + (process.pid % 1000) * 1000 + round;
      const worker = start('endless', seconds);
      await message(worker);
      await new Promise((resolve) => setTimeout(resolve, 2 * (round % 10)));
      await worker.terminate();
      await until(() => runningWith(String(seconds)) === 0, 'none of its programs runs');
    }
    await until(() => openDescriptors() <= before, `${openDescriptors()} descriptors are ${before} again`);
  });
}

if (isMainThread) tests();
else await tasks[workerData.task as keyof typeof tasks]();
