/** Removes inactive jobs, the oldest first: on request, and by the limits of the configuration at each heartbeat. */

import type { ServiceContext } from '../../core/broker/service.ts';
import { FluxError } from '../../core/errno.ts';
import { parseDuration } from '../../core/formats/duration.ts';
import { encodeFluid } from '../../core/formats/fluid.ts';
import { LATER, type Methods, type Reply, type Request } from '../../core/handle/methods.ts';
import type { JsonObject } from '../../core/json.ts';
import type { EventWriter } from './event-writer.ts';
import type { History } from './history.ts';
import type { InactiveJob } from './job.ts';
import type { Jobs } from './jobs.ts';

/** Jobs removed at a time. */
const BATCH_MAX = 100;
const UNLIMITED = -1;

/** How many inactive jobs there may be, and how old they may be in seconds. */
export interface PurgeLimits {
  readonly age: number;
  readonly count: number;
}

export interface PurgeHost {
  readonly context: ServiceContext;
  readonly jobs: Jobs;
  readonly writer: EventWriter;
  readonly history: History;
  /** A job is to be removed. */
  removed(job: InactiveJob): void;
  /** The newest id is to be known when its job is gone. */
  saveState(): void;
}

export class Purge {
  readonly #host: PurgeHost;
  #limits: PurgeLimits = { age: Infinity, count: Infinity };
  #isSubscribed = false;
  #isPurging = false;

  readonly methods: Methods = {
    purge: { handler: (request) => this.#purgeSome(request) },
    'purge-id': { handler: (request) => this.#purgeId(request) },
  };

  constructor(host: PurgeHost) {
    this.#host = host;
  }

  get limits(): PurgeLimits {
    return this.#limits;
  }

  set limits(limits: PurgeLimits) {
    this.#limits = limits;
    const isLimited = limits.age !== Infinity || limits.count !== Infinity;
    if (isLimited === this.#isSubscribed) return;
    this.#isSubscribed = isLimited;
    const { context } = this.#host;
    if (isLimited) context.subscribe('heartbeat.pulse', this.#onHeartbeat);
    else context.unsubscribe('heartbeat.pulse', this.#onHeartbeat);
  }

  readonly #onHeartbeat = (): void => {
    if (this.#isPurging) return;
    const jobs = this.#eligible(this.#limits, BATCH_MAX);
    if (jobs.length === 0) return;
    this.#isPurging = true;
    this.#remove(jobs, (error) => {
      this.#isPurging = false;
      if (error) this.#host.context.log('err', `error committing purge KVS transaction: ${error.message}`);
      else this.#host.context.log('debug', `purged ${jobs.length} inactive jobs`);
    });
  };

  /** The oldest jobs that are over a limit, at most so many. */
  #eligible({ age, count }: PurgeLimits, most: number): InactiveJob[] {
    const { inactive } = this.#host.jobs;
    const now = this.#host.context.clock.now();
    const jobs: InactiveJob[] = [];
    for (const job of inactive.values()) {
      const isOver = now - job.tClean > age || inactive.size - jobs.length > count;
      if (!isOver || jobs.length === most) break;
      jobs.push(job);
    }
    return jobs;
  }

  #purgeSome(request: Request): Reply {
    const { age_limit, num_limit, batch, force } = request.unpack({
      age_limit: 'n',
      num_limit: 'i',
      batch: 'i',
      force: 'b',
    });
    if (age_limit !== UNLIMITED && age_limit < 0) throw new FluxError('EINVAL', 'if set, age limit must be >= 0');
    if (num_limit !== UNLIMITED && num_limit < 0) throw new FluxError('EINVAL', 'if set, num limit must be >= 0');
    if (batch < 1 || batch > BATCH_MAX) throw new FluxError('EINVAL', `batch must be >= 1 and <= ${BATCH_MAX}`);
    const limits = { age: orInfinity(age_limit), count: orInfinity(num_limit) };
    if (!force) return { count: this.#eligible(limits, Infinity).length };
    return this.#removeFor(request, this.#eligible(limits, batch));
  }

  #purgeId(request: Request): Reply {
    const { id, force } = request.unpack({ id: 'I', force: 'i' });
    const job = this.#host.jobs.inactive.get(id);
    if (!job) {
      if (this.#host.jobs.active.has(id)) throw new FluxError('EINVAL', 'cannot purge active job');
      throw new FluxError('ENOENT', 'id not found');
    }
    return force ? this.#removeFor(request, [job]) : { count: 1 };
  }

  #removeFor(request: Request, jobs: readonly InactiveJob[]): Reply {
    if (jobs.length === 0) return { count: 0 };
    this.#remove(jobs, (error) => {
      if (error) request.fail(error);
      else request.reply({ count: jobs.length });
    });
    return LATER;
  }

  #remove(jobs: readonly InactiveJob[], done: (error: FluxError | undefined) => void): void {
    const { context, writer, history, jobs: table } = this.#host;
    for (const job of jobs) {
      writer.put(encodeFluid(job.id, 'kvs'), undefined);
      if (job.id === table.maxId) this.#host.saveState();
      this.#host.removed(job);
      table.inactive.delete(job.id);
    }
    history.removed(jobs);
    context.sendEvent('job-purge-inactive', { jobs: jobs.map(({ id }) => id) });
    writer.whenCommitted(done);
  }
}

function orInfinity(limit: number): number {
  return limit === UNLIMITED ? Infinity : limit;
}

/**
 * The limits that `[job-manager]` of the configuration sets.
 *
 * @throws FluxError EINVAL: one of them can't be
 */
export function purgeLimits(table: JsonObject): PurgeLimits {
  const { 'inactive-age-limit': age, 'inactive-num-limit': count } = table;
  const fail = (why: string): never => {
    throw new FluxError('EINVAL', why);
  };
  if (age !== undefined && typeof age !== 'string')
    fail('job-manager.max-inactive-*: inactive-age-limit is not a string');
  if (count !== undefined && !Number.isInteger(count))
    fail('job-manager.max-inactive-*: inactive-num-limit is not an integer');
  if (Number(count) < UNLIMITED) fail('job-manager.inactive-num-limit: must be >= 0');
  let seconds = Infinity;
  try {
    if (age !== undefined) seconds = parseDuration(age as string);
  } catch {
    fail('job-manager.inactive-age-limit: invalid FSD');
  }
  return { age: seconds, count: count === undefined ? Infinity : orInfinity(count as number) };
}
