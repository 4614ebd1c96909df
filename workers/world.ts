/** What services reach on a real machine: clock, random numbers, processes. */

import { randomUUID } from 'node:crypto';
import type { World } from '../core/broker/module-host.ts';
import type { Clock, Random, SpawnEvents } from '../core/broker/service.ts';
import { rusage, spawnProcess } from '../native/index.ts';
import type { Process, ProcessSpec } from '../native/process.ts';

const clock: Clock = {
  now: () => Date.now() / 1000 + (performance.now() % 1) / 1000,
  monotonic: () => performance.now() / 1000,
  after(seconds, callback) {
    if (seconds <= 0) {
      const immediate = setImmediate(callback);
      return { cancel: () => clearImmediate(immediate) };
    }
    const timer = setTimeout(callback, seconds * 1000);
    return { cancel: () => clearTimeout(timer) };
  },
};

// randomUUID() returns a tree of twenty strings; a copy is one, and there are many that live long.
const uuid = () => Buffer.from(randomUUID(), 'latin1').toString('latin1');
const random: Random = { uuid, number: () => Math.random() };

/** Who is told that a process was stopped by a signal, by process id. */
const stopListeners = new Map<number, () => void>();

function spawn(spec: ProcessSpec, events: SpawnEvents): Process {
  const process = spawnProcess(spec, {
    ...events,
    data: (stream, bytes) => events.data(stream, bytes),
    exit: (status) => {
      stopListeners.delete(process.pid);
      events.exit(status);
    },
  });
  if (events.stopped) stopListeners.set(process.pid, () => events.stopped!());
  return process;
}

/** The kernel says that a process was stopped; whether it is one of this thread's is found out here. */
export function processStopped(pid: number): void {
  stopListeners.get(pid)?.();
}

export const realWorld: World = { clock, random, rusage, spawn };
