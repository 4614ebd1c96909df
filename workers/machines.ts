/** The machines that the ranks of an instance are on: this process's own, and those that the others have told of. */

import { FluxError } from '../core/errno.ts';
import type { Instance } from '../core/node/instance.ts';
import { countCoresAndGpus, hwloc, topology } from '../native/index.ts';
import type { Machine, Machines } from './resource/machine.ts';

export class RealMachines implements Machines {
  readonly #instance: Instance;
  /** By process. */
  readonly #known = new Map<number, Machine>();
  readonly #waiting = new Map<number, (() => void)[]>();
  readonly #nodeOfRank: Int32Array;

  /** @param nodeOfRank the process of each rank */
  constructor(instance: Instance, nodeOfRank: Int32Array) {
    this.#instance = instance;
    this.#nodeOfRank = nodeOfRank;
  }

  look(rank: number): Machine | undefined {
    const { hostname, placement } = this.#instance;
    const node = this.#nodeOfRank[rank]!;
    if (node === placement.own && !this.#known.has(node)) this.#known.set(node, { hostname, ...countCoresAndGpus() });
    return this.#known.get(node);
  }

  async wait(rank: number): Promise<Machine> {
    const node = this.#nodeOfRank[rank]!;
    for (;;) {
      const machine = this.look(rank);
      if (machine) return machine;
      await new Promise<void>((resolve) => {
        const waiting = this.#waiting.get(node);
        if (waiting) waiting.push(resolve);
        else this.#waiting.set(node, [resolve]);
      });
    }
  }

  /** A process tells what its machine has. */
  learn(node: number, machine: Machine): void {
    this.#known.set(node, machine);
    for (const resolve of this.#waiting.get(node) ?? []) resolve();
    this.#waiting.delete(node);
  }

  describe(): string {
    const { xml, notice } = topology();
    if (xml === undefined) throw new FluxError('ENOSYS', notice);
    return xml;
  }

  read(xml: string): Machine {
    const described = hwloc({ xml, bound: false });
    if (!described) throw new FluxError('ENOSYS', 'there is no hwloc to read its description of a machine');
    const name = /<info name="HostName" value="([^"]*)"/.exec(xml)?.[1] ?? '';
    return { hostname: name, cores: described.cores, gpus: described.gpus };
  }
}
