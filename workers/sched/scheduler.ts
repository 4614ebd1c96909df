/**
 * Which job is started next, and on what. It is told what happens and asked for decisions; it knows no clock and no
 * messages.
 *
 * Jobs are started in the order of the queue. With the policy `fifo` the first one that has to wait holds up all behind
 * it; with `backfill` it gets a reservation, and others start that do not delay it.
 */

import type { ResourceSet } from '../../core/formats/resource-set.ts';
import type { Placement } from './free-nodes.ts';
import { byEnd, byPriority, durationOf, type PendingJob, type RunningJob } from './jobs.ts';
import { OrderedSet } from './ordered-set.ts';
import type { Allocation, Pool } from './pool.ts';
import { Reservation } from './reservation.ts';
import type { ResourceRequest } from './resource-request.ts';

export type Policy = 'fifo' | 'backfill';

/** A job got resources; `around` is the job that is waiting and not delayed by it. */
export interface Started {
  readonly type: 'start';
  readonly job: PendingJob;
  readonly allocation: Allocation;
  readonly around?: bigint;
}

export type Decision =
  | Started
  /** A job can never get what it asks for. */
  | { readonly type: 'deny'; readonly job: PendingJob; readonly note: string }
  /** Nothing was decided for a while; others may go first. */
  | { readonly type: 'pause' };

/** Pending jobs that ask for the same. */
interface Shape {
  readonly request: ResourceRequest;
  readonly jobs: OrderedSet<PendingJob>;
}

/** The job of a shape whose turn it is. */
interface Candidate {
  readonly job: PendingJob;
  readonly shape: Shape;
  /** Those that run longer have been looked at. */
  readonly longest: number;
}

/** Shapes that are looked at between two pauses. */
const SHAPES_MAX = 1024;

export class Scheduler {
  readonly pool: Pool;
  readonly policy: Policy;
  readonly #pending = new OrderedSet(byPriority);
  readonly #jobs = new Map<bigint, PendingJob>();
  readonly #shapes = new Map<string, Shape>();
  readonly #running = new Map<bigint, RunningJob>();
  readonly #ends = new OrderedSet(byEnd);
  #reservation: Reservation | undefined;

  constructor(pool: Pool, policy: Policy) {
    this.pool = pool;
    this.policy = policy;
  }

  // ---- what there is

  get pending(): OrderedSet<PendingJob> {
    return this.#pending;
  }

  /** Running jobs in the order of their expected ends. */
  get ends(): OrderedSet<RunningJob> {
    return this.#ends;
  }

  get reservation(): Reservation | undefined {
    return this.#reservation;
  }

  job(id: bigint): PendingJob | undefined {
    return this.#jobs.get(id);
  }

  running(id: bigint): RunningJob | undefined {
    return this.#running.get(id);
  }

  // ---- what happens to jobs

  add(job: PendingJob): void {
    this.#jobs.set(job.id, job);
    this.#enqueue(job);
  }

  #enqueue(job: PendingJob): void {
    this.#pending.add(job);
    if (this.policy === 'fifo') return;
    const key = job.request.shape;
    let shape = this.#shapes.get(key);
    if (!shape) {
      shape = { request: job.request, jobs: new OrderedSet(byPriority, durationOf) };
      this.#shapes.set(key, shape);
    }
    shape.jobs.add(job);
  }

  #dequeue(job: PendingJob): void {
    this.#pending.delete(job);
    if (this.policy === 'fifo') return;
    const key = job.request.shape;
    const { jobs } = this.#shapes.get(key)!;
    jobs.delete(job);
    if (jobs.size === 0) this.#shapes.delete(key);
  }

  /** A job wants nothing any more; returns whether it was waiting. */
  cancel(id: bigint): boolean {
    const job = this.#jobs.get(id);
    if (!job) return false;
    this.#dequeue(job);
    return this.#jobs.delete(id);
  }

  prioritize(id: bigint, priority: number): void {
    const job = this.#jobs.get(id);
    if (!job || job.priority === priority) return;
    this.#dequeue(job);
    job.priority = priority;
    this.#enqueue(job);
  }

  /**
   * A job that runs already.
   *
   * @throws FluxError EINVAL: it has what is not here
   */
  adopt(id: bigint, userid: number, set: ResourceSet): Allocation {
    const allocation = this.pool.adopt(set);
    this.#run({ id, userid, allocation, end: set.expiration || Infinity });
    this.#reservation = undefined;
    return allocation;
  }

  #run(job: RunningJob): void {
    this.#running.set(job.id, job);
    this.#ends.add(job);
  }

  /** A job gives back what it has on some ranks, or all that it has. Returns how many of the ranks it had. */
  release(id: bigint, ranks?: Iterable<number>): number {
    const job = this.#running.get(id);
    if (!job) return 0;
    const { shares } = job.allocation;
    let count = 0;
    for (const node of ranks ? this.pool.numbersOf(ranks) : [...shares.keys()]) {
      const share = this.pool.release(job.allocation, node);
      if (!share) continue;
      count++;
      this.#reservation?.released(job.end, node, share);
    }
    if (shares.size === 0) {
      this.#running.delete(id);
      this.#ends.delete(job);
    }
    return count;
  }

  /** The end of a running job is another one; 0 is not known. */
  setEnd(id: bigint, end: number): void {
    const job = this.#running.get(id);
    if (!job) return;
    this.#ends.delete(job);
    this.#run({ ...job, end: end || Infinity });
    this.#reservation = undefined;
  }

  // ---- what happens to resources

  setUp(ranks: Iterable<number>, isUp: boolean): void {
    for (const node of this.pool.numbersOf(ranks)) this.pool.free.setUp(node, isUp);
    this.#reservation = undefined;
  }

  /** Ranks are gone for good; jobs keep what they have there until they give it back. */
  remove(ranks: Iterable<number>): void {
    for (const node of this.pool.numbersOf(ranks)) this.pool.free.remove(node);
    this.#reservation = undefined;
  }

  // ---- decisions

  /**
   * What is decided now, one after another. It has to be asked anew after any change from outside.
   *
   * @param now seconds since 1970
   */
  *decide(now: number): Generator<Decision, void, undefined> {
    for (;;) {
      const job = this.#pending.first;
      if (!job) return;
      const started = this.#start(job, now);
      if (started) {
        // It has not asked whether somebody it came before is delayed.
        this.#reservation = undefined;
        yield started;
      } else {
        const note = this.pool.free.obstacle(job.request);
        if (note === undefined) break;
        this.cancel(job.id);
        yield { type: 'deny', job, note };
      }
    }
    if (this.policy === 'backfill') yield* this.#backfill(this.#pending.first!, now);
  }

  /** Starts a job if there is enough for it. */
  #start(job: PendingJob, now: number): Started | undefined {
    const placement = this.pool.free.place(job.request);
    return placement && this.#give(job, placement, now);
  }

  #give(job: PendingJob, placement: Placement, now: number): Started {
    const allocation = this.pool.allocate(placement);
    this.cancel(job.id);
    this.#run({ id: job.id, userid: job.userid, allocation, end: this.endOf(job.request, now) || Infinity });
    return { type: 'start', job, allocation };
  }

  /** When a job ends that starts now, in seconds since 1970; 0 when it is not known. */
  endOf({ duration }: ResourceRequest, now: number): number {
    return duration > 0 ? now + duration : this.pool.expiration;
  }

  #reserve(job: PendingJob): Reservation {
    if (this.#reservation?.job !== job || this.#reservation.isWorn)
      this.#reservation = new Reservation(job, this.pool.free, this.#ends);
    return this.#reservation;
  }

  /** Starts others than the first job, which has to wait. */
  *#backfill(first: PendingJob, now: number): Generator<Decision, void, undefined> {
    const { free } = this.pool;
    const candidates = new OrderedSet<Candidate>((a, b) => byPriority(a.job, b.job));
    const propose = (shape: Shape, after: PendingJob | undefined, longest: number): void => {
      const job = shape.jobs.firstAfter(after, longest);
      if (job) candidates.add({ job, shape, longest });
    };
    let looked = 0;
    for (const shape of this.#shapes.values()) {
      if (free.fits(shape.request)) propose(shape, undefined, Infinity);
      if (++looked % SHAPES_MAX === 0) yield { type: 'pause' };
    }
    if (candidates.size === 0) return;
    const reservation = this.#reserve(first);
    const time = reservation.time(now);
    for (;;) {
      const candidate = candidates.first;
      if (!candidate) return;
      candidates.delete(candidate);
      const { job, shape, longest } = candidate;
      // What has become too scarce for one job of a shape stays so for all of them.
      const placement = free.place(shape.request);
      if (!placement) continue;
      const end = this.endOf(job.request, now) || Infinity;
      const isShort = end < Infinity && end <= time;
      if (isShort || reservation.admits(placement)) {
        if (isShort) reservation.started();
        const started = this.#give(job, placement, now);
        propose(shape, job, longest);
        yield { ...started, around: first.id };
      } else propose(shape, job, Math.min(time - now, Number.MAX_VALUE));
    }
  }
}
