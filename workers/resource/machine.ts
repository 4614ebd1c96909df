/** A machine as the module `resource` sees it: what ranks on it have. */

export interface Machine {
  readonly hostname: string;
  readonly cores: number;
  readonly gpus: number;
  /** hwloc's description of it; undefined without hwloc. */
  readonly xml?: string | undefined;
  /** A sentence for the log when something keeps it from being seen whole. */
  readonly notice?: string | undefined;
}

/**
 * Looks at this machine, or reads hwloc's description of another one.
 *
 * @throws FluxError EINVAL: that is none; ENOSYS: there is no hwloc to read it
 */
export type ReadMachine = (xml?: string) => Machine;
