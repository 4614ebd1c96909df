/**
 * The resources that jobs are given: which cores and GPUs of which ranks are whose. It gives out, takes back, and takes
 * over what jobs had before the scheduler was loaded.
 */

import { FluxError } from '../../core/errno.ts';
import { IdSet } from '../../core/formats/idset.ts';
import { oncePerTable, type Resources } from '../../core/formats/resource-node.ts';
import type { ResourceSet } from '../../core/formats/resource-set.ts';
import type { JsonObject } from '../../core/json.ts';
import type { FitOrder } from './free-index.ts';
import { FreeNodes, type NodeSize, type Placement } from './free-nodes.ts';
import { countIds, FreeMasks, IdTable, type Mask } from './id-mask.ts';

/** More cores than this on one node are taken for a mistake. */
const CORES_MAX = 65_536;

/** A node, by the number that it has here. */
export interface PoolNode extends NodeSize {
  readonly rank: number;
  readonly hostname: string | undefined;
  readonly coreIds: IdTable;
  readonly gpuIds: IdTable;
}

/** What somebody has of one node. */
export interface Share {
  readonly cores: Mask;
  readonly gpus: Mask;
  readonly coreCount: number;
  readonly gpuCount: number;
}

function shareOf(cores: Mask, gpus: Mask): Share {
  return { cores, gpus, coreCount: countIds(cores), gpuCount: countIds(gpus) };
}

/** What a job has, by node. */
export interface Allocation {
  readonly shares: Map<number, Share>;
  readonly slots: number;
}

export class Pool {
  readonly nodes: readonly PoolNode[];
  readonly free: FreeNodes;
  /** Seconds since 1970; 0 when the resources have no end. */
  expiration: number;
  readonly starttime: number;
  /** The part of R that is another scheduler's, and goes into each R. */
  readonly scheduling: JsonObject | undefined;
  readonly #cores: FreeMasks;
  readonly #gpus: FreeMasks;
  readonly #byRank = new Map<number, number>();

  /** All of a set, free and down; throws FluxError EINVAL for nodes that are too large. */
  constructor(set: ResourceSet, order: FitOrder = 'worst-fit') {
    const coreTable = oncePerTable((resources: Resources) => new IdTable(resources.get('core') ?? IdSet.empty));
    const gpuTable = oncePerTable((resources: Resources) => new IdTable(resources.get('gpu') ?? IdSet.empty));
    this.nodes = set.nodes.map(({ rank, hostname, properties, resources }, node) => {
      this.#byRank.set(rank, node);
      for (const type of ['core', 'gpu'] as const)
        if ((resources.get(type)?.count ?? 0) > CORES_MAX)
          throw new FluxError('EINVAL', `rank ${rank} has more than ${CORES_MAX} ids of ${type}`);
      const [coreIds, gpuIds] = [coreTable(resources), gpuTable(resources)];
      return { rank, hostname, properties, coreIds, gpuIds, cores: coreIds.ids.length, gpus: gpuIds.ids.length };
    });
    this.free = new FreeNodes(this.nodes, order);
    this.#cores = new FreeMasks(this.nodes.map(({ cores }) => cores));
    this.#gpus = new FreeMasks(this.nodes.map(({ gpus }) => gpus));
    this.expiration = set.expiration;
    this.starttime = set.starttime;
    this.scheduling = set.scheduling;
  }

  /** The numbers of those of the ranks that are here. */
  numbersOf(ranks: Iterable<number>): number[] {
    const numbers: number[] = [];
    for (const rank of ranks) {
      const node = this.#byRank.get(rank);
      if (node !== undefined) numbers.push(node);
    }
    return numbers;
  }

  /** Gives away what a request is given by `free.place`. */
  allocate(placement: Placement): Allocation {
    this.free.take(placement);
    const shares = new Map<number, Share>();
    for (let i = 0; i < placement.nodes.length; i++) {
      const node = placement.nodes[i]!;
      const [cores, gpus] = [this.#cores.take(node, placement.cores[i]!), this.#gpus.take(node, placement.gpus[i]!)];
      shares.set(node, { cores, gpus, coreCount: placement.cores[i]!, gpuCount: placement.gpus[i]! });
    }
    return { shares, slots: placement.slots };
  }

  /**
   * Takes over what a job has already.
   *
   * @throws FluxError EINVAL: it has ranks that are not here
   */
  adopt(set: ResourceSet): Allocation {
    const isMissing = (node: number | undefined) => node === undefined || this.free.isGone(node);
    const missing = set.nodes.map(({ rank }) => rank).filter((rank) => isMissing(this.#byRank.get(rank)));
    if (missing.length)
      throw new FluxError('EINVAL', `allocation contains ranks not in resource pool: ${IdSet.from(missing)}`);
    const shares = new Map<number, Share>();
    for (const { rank, resources } of set.nodes) {
      const node = this.#byRank.get(rank)!;
      const { coreIds, gpuIds } = this.nodes[node]!;
      const share = shareOf(
        this.#cores.takeThese(node, coreIds.mask(resources.get('core') ?? IdSet.empty)),
        this.#gpus.takeThese(node, gpuIds.mask(resources.get('gpu') ?? IdSet.empty)),
      );
      this.free.add(node, -share.coreCount, -share.gpuCount);
      shares.set(node, share);
    }
    return { shares, slots: set.nslots };
  }

  /** Takes back what a job has on a node; undefined when it has nothing there. */
  release({ shares }: Allocation, node: number): Share | undefined {
    const share = shares.get(node);
    if (!share) return undefined;
    shares.delete(node);
    this.#cores.give(node, share.cores);
    this.#gpus.give(node, share.gpus);
    this.free.add(node, share.coreCount, share.gpuCount);
    return share;
  }

  /** All of a node that somebody has. */
  taken(node: number): Share {
    const { cores, gpus } = this.nodes[node]!;
    return shareOf(this.#cores.taken(node, cores), this.#gpus.taken(node, gpus));
  }

  /** All of a node. */
  whole(node: number): Share {
    const { coreIds, gpuIds } = this.nodes[node]!;
    return shareOf(coreIds.all, gpuIds.all);
  }
}
