/** What services reach on a real machine: clock, random numbers, processes, and what the machine has. */

import type { World } from '../core/broker/module-host.ts';
import type { SpawnEvents } from '../core/broker/service.ts';
import { clock, random } from '../core/node/clock.ts';
import { rusage, spawnProcess, spawnProcessSoon } from '../native/index.ts';
import type { Process, ProcessSpec } from '../native/process.ts';
import type { Parent } from './resource/parent.ts';

/** Who is told that a process was stopped by a signal, by process id. */
const stopListeners = new Map<number, () => void>();

function spawn(spec: ProcessSpec, events: SpawnEvents): Process {
  const process = spawnProcess(spec, {
    ...events,
    data: (stream, bytes) => events.data(stream, bytes),
    exit: (status, usage) => {
      stopListeners.delete(process.pid);
      events.exit(status, usage);
    },
  });
  if (events.stopped) stopListeners.set(process.pid, () => events.stopped!());
  return process;
}

/** The kernel says that a process was stopped; whether it is one of this thread's is found out here. */
export function processStopped(pid: number): void {
  stopListeners.get(pid)?.();
}

export const realWorld: World = { clock, random, rusage, spawn, spawnSoon: spawnProcessSoon };

/** Connects to the instance that this one is a job of; what that needs is read by those that are jobs. */
export async function openParent(uri: string): Promise<Parent> {
  const { Handle } = await import('../core/handle/handle.ts');
  return Handle.open(uri, { env: {} });
}
