/**
 * When the first job of the queue will start at the latest, and what is free then: what makes backfilling EASY (Mu'alem
 * and Feitelson 2001). Running jobs are let end one after another, at their expected ends, until the job fits. Others
 * may start before it when they end by then, or leave enough of what will be free.
 *
 * As long as nothing but starts and ends of jobs happens, what was found stays true: what a job has that was expected to
 * end by then is free then, whether it ends sooner or starts only now. But if a job ends before its time the first one can
 * perhaps start sooner; so it is looked at anew, though not more often than the changes since then pay for.
 */

import { slotsIn } from './free-index.ts';
import type { FreeNodes, Placement } from './free-nodes.ts';
import type { PendingJob, RunningJob } from './jobs.ts';
import type { Share } from './pool.ts';
import { perNode, type ResourceRequest } from './resource-request.ts';

/** Steps of a search that one change pays for. */
const STEPS_PER_CHANGE = 64;
/** Copying numbers is that much faster than a step. */
const COPIES_PER_STEP = 64;

export class Reservation {
  readonly job: PendingJob;
  /** Expected end of the last job that has to end first; Infinity when it is not known, or there is no such job. */
  readonly end: number;
  readonly #free: FreeNodes;
  readonly #request: ResourceRequest;
  readonly #fits: { readonly cores: number; readonly gpus: number };
  /** What each node has free then. */
  readonly #cores: Int32Array;
  readonly #gpus: Int32Array;
  /** Nodes or slots that the job could use then, and how many it needs. */
  #count: number;
  readonly #needed: number;
  #steps = 0;
  #changes = 0;
  #isImprovable = false;

  /** @param running in the order of their ends */
  constructor(job: PendingJob, free: FreeNodes, running: Iterable<RunningJob>) {
    this.job = job;
    this.#free = free;
    this.#request = job.request;
    this.#fits = perNode(job.request);
    this.#cores = free.freeCores.slice();
    this.#gpus = free.freeGpus.slice();
    const { count, needed } = free.measure(job.request);
    this.#count = count;
    this.#needed = needed;
    let end = -Infinity;
    for (const each of running) {
      // What ends at the same time is free then, too.
      if (this.#count >= needed && each.end > end) break;
      end = each.end;
      for (const [node, { coreCount, gpuCount }] of each.allocation.shares) this.#add(node, coreCount, gpuCount);
      this.#steps += each.allocation.shares.size;
    }
    this.end = this.#count >= needed ? end : Infinity;
    this.#steps += free.sizes.length / COPIES_PER_STEP;
  }

  /** When the job starts at the latest; Infinity when that is not known. */
  time(now: number): number {
    return Math.max(this.end, now);
  }

  /** Whether it should be made anew, because the job could perhaps start sooner. */
  get isWorn(): boolean {
    return this.#isImprovable && this.#changes * STEPS_PER_CHANGE >= this.#steps;
  }

  /** A job has given back a part of a node. */
  released(end: number, node: number, { coreCount, gpuCount }: Share): void {
    this.#changes++;
    this.#isImprovable = true;
    if (end > this.end) this.#add(node, coreCount, gpuCount);
  }

  /** A job has started that ends by then. */
  started(): void {
    this.#changes++;
  }

  /** Whether a job that does not end by then leaves enough; if so, it is counted as started. */
  admits(placement: Placement): boolean {
    // Where the end is not known, what does not end either could delay the job for ever.
    if (this.end === Infinity) return false;
    const spare = Math.max(this.#count - this.#needed, 0);
    const before = this.#count;
    for (const [i, node] of placement.nodes.entries()) this.#add(node, -placement.cores[i]!, -placement.gpus[i]!);
    if (before - this.#count <= spare) {
      this.#changes++;
      return true;
    }
    for (const [i, node] of placement.nodes.entries()) this.#add(node, placement.cores[i]!, placement.gpus[i]!);
    return false;
  }

  /** Adds to what is free then, and to what the job could use of it. */
  #add(node: number, cores: number, gpus: number): void {
    const counts = this.#free.isUp(node) && this.#free.isMember(this.#request.constraint, node);
    if (counts) this.#count -= this.#worth(node);
    this.#cores[node]! += cores;
    this.#gpus[node]! += gpus;
    if (counts) this.#count += this.#worth(node);
  }

  /** How much of the request a node could meet then. */
  #worth(node: number): number {
    const [cores, gpus] = [this.#cores[node]!, this.#gpus[node]!];
    const { nodes, exclusive } = this.#request;
    if (!nodes) return Math.max(slotsIn(cores, gpus, this.#request.cores, this.#request.gpus), 0);
    const { sizes } = this.#free;
    if (exclusive && (cores < sizes[node]!.cores || gpus < sizes[node]!.gpus)) return 0;
    return Number(cores >= this.#fits.cores && gpus >= this.#fits.gpus);
  }
}
