/**
 * What every thread of a node knows of the instance from the start. It crosses to workers as it is, so it holds plain data.
 */

import { createHash } from 'node:crypto';
import type { RcCommand } from '../broker/rc.ts';
import { FluxError } from '../errno.ts';
import { nodesOfRanks, type Placement } from '../overlay/placement.ts';
import { type CustomHost, Topology } from '../overlay/topology.ts';
import type { Plan } from './plan.ts';

/** The flux-core whose protocols this broker speaks. */
export const FLUX_CORE_VERSION = '0.88.0';

/** Ranks of an instance, bounded by the doorbells' and endpoints' numbering only from far above. */
const SIZE_MAX = 2 ** 20;

/** @throws FluxError EINVAL: no instance can have so many ranks */
export function checkSize(size: number): void {
  if (!Number.isInteger(size) || size < 1 || size > SIZE_MAX)
    throw new FluxError('EINVAL', `${size} is no size of an instance`);
}

export interface Instance {
  /** Unique to this start. */
  readonly id: string;
  readonly size: number;
  /** Value of attribute tbon.topo. */
  readonly topology: string;
  readonly customHosts: readonly CustomHost[];
  /** The processes that host the ranks. */
  readonly placement: Placement;
  /** Userid of the instance owner. */
  readonly owner: number;
  /** By rank: some may only play that host. */
  readonly hostnames: readonly string[];
  /** The host that they are on. */
  readonly hostname: string;
  /** Attributes that are the same on every rank. */
  readonly attributes: readonly (readonly [string, string | null])[];
  /** Attributes of rank 0 only. */
  readonly leaderAttributes: readonly (readonly [string, string | null])[];
  /** The configuration as JSON text. */
  readonly config: string;
  /** File or folder that `config.reload` reads. */
  readonly configPath: string | undefined;
  readonly rundir: string;
  readonly workingDirectory: string;
  readonly environment: Readonly<Record<string, string>>;
  /** rc1 and rc3 of every rank; absent: run inside the broker, or not at all. */
  readonly rc1: string;
  readonly rc3: string;
  /** What rank 0 runs while the instance does; none: it runs until it is told to end. */
  readonly initialProgram: RcCommand | undefined;
  /** Whether all ranks are started, or rank 0 alone. */
  readonly startsAll: boolean;
}

export interface WorkerData {
  readonly thread: number;
  readonly plan: Plan;
  readonly doorbells: SharedArrayBuffer;
  readonly instance: Instance;
}

/** The id that routes name a rank's broker with; any thread can tell it. */
export function brokerUuid(instanceId: string, rank: number): string {
  const hex = createHash('sha1').update(`${instanceId}/${rank}`).digest('hex');
  // Version 8 (RFC 9562): bits of our own choice.
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** The tree of an instance's ranks. */
export function topologyOf({ topology, size, customHosts, placement }: Instance): Topology {
  return Topology.create(topology, size, { hosts: customHosts, nodeOfRank: nodesOfRanks(placement.nodes, size) });
}

/** The socket of a rank's local connector. */
export function socketPath(rundir: string, rank: number): string {
  return `${rundir}/local-${rank}`;
}
