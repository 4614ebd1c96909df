/**
 * The scheduler as it is told in a few sentences: it looks at all nodes and all jobs each time, and remembers nothing
 * but who has what.
 */

import type { FitOrder } from '../../../workers/sched/free-index.ts';
import type { PendingJob } from '../../../workers/sched/jobs.ts';
import type { PoolNode } from '../../../workers/sched/pool.ts';
import type { ResourceRequest } from '../../../workers/sched/resource-request.ts';
import type { Policy } from '../../../workers/sched/scheduler.ts';

interface Node {
  readonly node: PoolNode;
  readonly cores: ReadonlySet<number>;
  readonly gpus: ReadonlySet<number>;
  isUp: boolean;
}

interface Share {
  readonly cores: readonly number[];
  readonly gpus: readonly number[];
}

/** What a job has, by number of node. */
type Shares = Map<number, Share>;

interface Running {
  readonly shares: Shares;
  end: number;
}

/** Who has what. */
type Jobs = ReadonlyMap<bigint, Running>;

export class NaiveScheduler {
  readonly nodes: Node[];
  readonly pending: PendingJob[] = [];
  readonly running = new Map<bigint, Running>();
  readonly #order: FitOrder;
  readonly #policy: Policy;

  constructor(nodes: readonly PoolNode[], order: FitOrder, policy: Policy) {
    this.#order = order;
    this.#policy = policy;
    this.nodes = nodes.map((node) => ({
      node,
      cores: new Set(node.coreIds.ids),
      gpus: new Set(node.gpuIds.ids),
      isUp: false,
    }));
  }

  /** What is started, as `ID:NODE=CORES/GPUS…`, and what is denied, as `ID denied`. */
  decide(now: number): string[] {
    const decisions: string[] = [];
    const queue = () => this.pending.sort((a, b) => b.priority - a.priority || Number(a.id - b.id));
    for (let job = queue()[0]; job; job = queue()[0]) {
      if (this.#start(job, now, decisions)) continue;
      if (this.#place(job.request, new Map(), true)) break;
      this.pending.shift();
      decisions.push(`${job.id} denied`);
    }
    if (this.#policy === 'backfill' && this.pending.length) this.#backfill(now, decisions);
    return decisions;
  }

  #start(job: PendingJob, now: number, decisions: string[]): boolean {
    const shares = this.#place(job.request, this.running);
    if (!shares) return false;
    this.pending.splice(this.pending.indexOf(job), 1);
    this.running.set(job.id, { shares, end: job.request.duration ? now + job.request.duration : Infinity });
    decisions.push(`${job.id}:${describe(shares)}`);
    return true;
  }

  #backfill(now: number, decisions: string[]): void {
    const [first, ...others] = this.pending;
    const { request } = first!;
    const { end, running } = this.#reservation(request);
    const refused = new Set<string>();
    for (const job of others) {
      const { duration, shape } = job.request;
      const isShort = duration > 0 && now + duration <= Math.max(end, now);
      if (!isShort) {
        if (end === Infinity || refused.has(shape)) continue;
        const shares = this.#place(job.request, this.running);
        if (!shares) continue;
        const spare = this.#measure(request, running) - needed(request);
        const then = new Map(running).set(job.id, { shares, end: Infinity });
        const loss = this.#measure(request, running) - this.#measure(request, then);
        if (loss > spare) {
          refused.add(shape);
          continue;
        }
        running.set(job.id, { shares, end: Infinity });
      }
      this.#start(job, now, decisions);
    }
  }

  /** When enough will have ended, and who runs then. */
  #reservation(request: ResourceRequest): { end: number; running: Map<bigint, Running> } {
    const running = new Map(this.running);
    const ends = [...new Set(Array.from(running.values(), ({ end }) => end))].sort((a, b) => a - b);
    for (const end of ends) {
      for (const [id, each] of running) if (each.end === end) running.delete(id);
      if (this.#measure(request, running) >= needed(request)) return { end, running };
    }
    return { end: Infinity, running };
  }

  #free(number: number, running: Jobs): { cores: number[]; gpus: number[] } {
    const { cores, gpus } = this.nodes[number]!;
    const taken = Array.from(running.values(), ({ shares }) => shares.get(number));
    return {
      cores: [...cores].filter((id) => !taken.some((share) => share?.cores.includes(id))),
      gpus: [...gpus].filter((id) => !taken.some((share) => share?.gpus.includes(id))),
    };
  }

  /** How many nodes or slots there are for a request. */
  #measure(request: ResourceRequest, running: Jobs): number {
    return this.#candidates(request, running, false).reduce((sum, { slots }) => sum + (request.nodes ? 1 : slots), 0);
  }

  #candidates(request: ResourceRequest, running: Jobs, evenDown: boolean) {
    const each = request.nodes ? request.slots.min : 1;
    const candidates = [];
    for (const [number, { node, isUp, cores, gpus }] of this.nodes.entries()) {
      if ((!isUp && !evenDown) || !request.constraint.test(node)) continue;
      const free = this.#free(number, running);
      if (request.exclusive && (free.cores.length < cores.size || free.gpus.length < gpus.size)) continue;
      const byGpus = request.gpus ? Math.floor(free.gpus.length / request.gpus) : Infinity;
      const slots = Math.min(Math.floor(free.cores.length / request.cores), byGpus);
      if (slots >= each) candidates.push({ number, free, slots });
    }
    const sign = { 'worst-fit': -1, 'best-fit': 1, 'first-fit': 0 }[this.#order];
    return candidates.sort(
      (a, b) =>
        sign * (a.free.cores.length - b.free.cores.length) ||
        sign * (a.free.gpus.length - b.free.gpus.length) ||
        a.number - b.number,
    );
  }

  #place(request: ResourceRequest, running: Jobs, evenDown = false): Shares | undefined {
    const candidates = this.#candidates(request, running, evenDown);
    const { nodes, slots, cores, gpus, exclusive } = request;
    const shares: Shares = new Map();
    if (nodes) {
      const count = nodes.largestUpTo(candidates.length);
      for (const { number, free } of candidates.slice(0, count))
        shares.set(number, {
          cores: exclusive ? free.cores : free.cores.slice(0, slots.min * cores),
          gpus: exclusive ? free.gpus : free.gpus.slice(0, slots.min * gpus),
        });
      return count > 0 ? shares : undefined;
    }
    let left = slots.largestUpTo(candidates.reduce((sum, each) => sum + each.slots, 0));
    if (left === 0) return undefined;
    for (const { number, free, slots } of candidates) {
      const here = Math.min(left, slots);
      if (here > 0)
        shares.set(number, { cores: free.cores.slice(0, here * cores), gpus: free.gpus.slice(0, here * gpus) });
      left -= here;
    }
    return shares;
  }
}

function needed({ nodes, slots }: ResourceRequest): number {
  return (nodes ?? slots).min;
}

/** `0=0,1/ 1=0,1/0` */
export function describe(shares: ReadonlyMap<number, Share>): string {
  return [...shares]
    .sort(([a], [b]) => a - b)
    .map(([number, { cores, gpus }]) => `${number}=${cores}/${gpus}`)
    .join(' ');
}
