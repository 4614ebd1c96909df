/** Machines as the module `resource` sees them: what ranks on them have. */

export interface Machine {
  readonly hostname: string;
  readonly cores: number;
  readonly gpus: number;
}

export interface Machines {
  /** Looks at the machine that a rank is on. */
  look(rank: number): Machine;
  /** hwloc's description of it, XML; throws FluxError ENOSYS without hwloc. */
  describe(): string;
  /** Reads hwloc's description of a machine; throws FluxError EINVAL: it is none; ENOSYS: there is no hwloc. */
  read(xml: string): Machine;
}
