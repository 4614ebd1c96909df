/** Machines as the module `resource` sees them: what ranks on them have. */

import type { MachineFacts } from '../../core/overlay/placement.ts';

export type Machine = MachineFacts;

export interface Machines {
  /** The machine that a rank is on; undefined while its process has not told of it. */
  look(rank: number): Machine | undefined;
  /** Resolves to it once it is known. */
  wait(rank: number): Promise<Machine>;
  /** hwloc's description of it, XML; throws FluxError ENOSYS without hwloc. */
  describe(): string;
  /** Reads hwloc's description of a machine; throws FluxError EINVAL: it is none; ENOSYS: there is no hwloc. */
  read(xml: string): Machine;
}
