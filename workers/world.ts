/** What services reach on a real machine: clock, random numbers, processes, and what the machine has. */

import type { World } from '../core/broker/module-host.ts';
import type { SpawnEvents } from '../core/broker/service.ts';
import { FluxError } from '../core/errno.ts';
import { clock, random } from '../core/node/clock.ts';
import type { Instance } from '../core/node/instance.ts';
import { nodesOfRanks } from '../core/overlay/placement.ts';
import { countCoresAndGpus, hwloc, rusage, spawnProcess, spawnProcessSoon, topology } from '../native/index.ts';
import type { Process, ProcessSpec } from '../native/process.ts';
import type { Machine, Machines } from './resource/machine.ts';
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

/** What the machines have that the ranks of an instance are on. */
export function machinesOf({ hostname, placement, size }: Instance): Machines {
  let own: Machine | undefined;
  let nodeOfRank: Int32Array | undefined;
  return {
    look(rank) {
      // One process looks when it is asked; several have told each other.
      if (placement.nodes.length === 1) {
        own ??= { hostname, ...countCoresAndGpus() };
        return own;
      }
      nodeOfRank ??= nodesOfRanks(placement.nodes, size);
      return placement.nodes[nodeOfRank[rank]!]!.machine;
    },
    describe() {
      const { xml, notice } = topology();
      if (xml === undefined) throw new FluxError('ENOSYS', notice);
      return xml;
    },
    read(xml) {
      const described = hwloc({ xml, bound: false });
      if (!described) throw new FluxError('ENOSYS', 'there is no hwloc to read its description of a machine');
      const name = /<info name="HostName" value="([^"]*)"/.exec(xml)?.[1] ?? '';
      return { hostname: name, cores: described.cores, gpus: described.gpus };
    },
  };
}
