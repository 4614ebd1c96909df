/** Updates of jobs (RFC 21, jobspec-update): who may change what, and what follows for a job that runs. */

import { asFluxError, FluxError } from '../../core/errno.ts';
import { encodeFluid } from '../../core/formats/fluid.ts';
import { JobState } from '../../core/formats/job-state.ts';
import { withValueAt } from '../../core/formats/json-path.ts';
import { LATER, type Methods, type Request } from '../../core/handle/methods.ts';
import { type JsonObject, type JsonValue, Real, real } from '../../core/json.ts';
import { Role } from '../../core/message/credentials.ts';
import { expirationOf, starttimeOf, watchExpiration } from './instance-expiration.ts';
import type { ActiveJob } from './job.ts';
import type { Core, Part } from './parts.ts';
import { durationOf } from './plugins/limit-duration.ts';

const DURATION = 'attributes.system.duration';

/** An update that plugins have accepted. */
interface Update {
  readonly request: Request;
  readonly job: ActiveJob;
  readonly updates: JsonObject;
  /** It is what any user might have asked for. */
  readonly isValidated: boolean;
  readonly needsFeasibility: boolean;
}

export class Updates implements Part {
  readonly methods: Methods;
  readonly #core: Core;
  // Updates that the scheduler is asked about.
  readonly #pending = new Set<Request>();
  #instanceExpiration: number | undefined;
  #stopWatch: () => void = () => {};

  constructor(core: Core) {
    this.#core = core;
    this.methods = { update: { allow: Role.user, handler: (request) => this.#update(request) } };
  }

  started(): void {
    this.#stopWatch = watchExpiration(this.#core.context, (expiration) => this.#instanceChanged(expiration));
  }

  stop(): void {
    this.#stopWatch();
    for (const request of this.#pending) request.fail(new FluxError('EAGAIN', 'job manager is shutting down'));
    this.#pending.clear();
  }

  async #update(request: Request): Promise<undefined | typeof LATER> {
    const { id, updates } = request.unpack({ id: 'I', updates: 'o' });
    if (Object.keys(updates).some((key) => !key.startsWith('attributes.')))
      throw new FluxError('EINVAL', 'one or more jobspec updates are invalid');
    const job = this.#find(id);
    this.#core.authorize(request, job, 'guests may only update their own jobs');
    if (job.isImmutable && !request.isOwner)
      throw new FluxError('EPERM', 'job is immutable due to previous instance owner update');
    const update = this.#check(request, job, updates);
    this.#pending.add(request);
    try {
      await this.#askScheduler(update);
    } finally {
      this.#pending.delete(request);
    }
    // It was answered when the manager stopped.
    if (request.isAnswered) return LATER;
    this.#post(update);
    return undefined;
  }

  #find(id: bigint): ActiveJob {
    const job = this.#core.active(id);
    if (job) return job;
    if (this.#core.lookup(id)) throw new FluxError('EINVAL', 'job is inactive');
    throw new FluxError('ENOENT', 'unknown job id');
  }

  /** Asks the plugins about each change, and then about all of them together. */
  #check(request: Request, job: ActiveJob, changes: JsonObject): Update {
    let isValidated = false;
    let needsFeasibility = false;
    let updates = changes;
    for (const [key, value] of Object.entries(changes)) {
      const verdict = this.#core.checkUpdate(job, { key, value: value!, credentials: request });
      if (!verdict.isValidated) isValidated = true;
      if (verdict.needsFeasibility) needsFeasibility = true;
      if (verdict.updates) updates = { ...updates, ...verdict.updates };
    }
    if (isValidated) this.#core.validateUpdates(job, updates);
    return { request, job, updates, isValidated, needsFeasibility };
  }

  /** @throws FluxError the scheduler would not have it so */
  async #askScheduler({ job, updates, needsFeasibility }: Update): Promise<void> {
    const { context } = this.#core;
    if (needsFeasibility) {
      const jobspec = Object.entries(updates).reduce(
        (spec, [path, value]) => withValueAt(spec, path, value!),
        job.jobspec,
      );
      await context.rpc('feasibility.check', { jobspec });
      return;
    }
    if (!(job.state & JobState.running) || updates[DURATION] === undefined) return;
    const expiration = this.#expirationAfter(job, updates[DURATION]);
    try {
      await context.rpc('sched.expiration', { id: job.id, expiration: real(expiration) });
    } catch (error) {
      // Not every scheduler cares.
      const { code, errno } = asFluxError(error);
      if (code !== 'ENOSYS') throw new FluxError(errno, 'scheduler refused expiration update');
    }
  }

  /** When a job that runs is to end, in seconds since the epoch; 0: never. */
  #expirationAfter(job: ActiveJob, value: JsonValue | undefined): number {
    const duration = typeof value === 'number' || value instanceof Real ? Number(value) : NaN;
    if (Number.isNaN(duration)) throw new FluxError('EINVAL', `${DURATION} is not a number`);
    if (duration === 0) return 0;
    const starttime = starttimeOf(job.R) ?? 0;
    if (starttime <= 0) throw new FluxError('EINVAL', 'unable to get job starttime');
    const expiration = starttime + duration;
    if (expiration <= this.#core.context.clock.now())
      throw new FluxError('EINVAL', 'requested duration places job expiration in the past');
    return expiration;
  }

  #post({ request, job, updates, isValidated }: Update): void {
    const isRunning = (job.state & JobState.running) !== 0;
    const duration = updates[DURATION];
    const expiration = isRunning && duration !== undefined ? this.#expirationAfter(job, duration) : undefined;
    // What the owner forced on a job would stand in the way of each update by its user, or let more pass than users may.
    if (!isValidated && request.isOwner && request.userid !== job.userid)
      this.#core.post(job, 'set-flags', { flags: ['immutable'] });
    this.#core.post(job, 'jobspec-update', updates);
    if (expiration !== undefined) this.#core.post(job, 'resource-update', { expiration: real(expiration) });
  }

  /** The instance itself has more time, or less. Jobs without a limit of their own have that of the instance. */
  #instanceChanged(expiration: number): void {
    const before = this.#instanceExpiration;
    this.#instanceExpiration = expiration;
    if (before === undefined || this.#core.runningCount === 0) return;
    const { context } = this.#core;
    context.log('info', `resource expiration updated ${describeChange(before, expiration)}`);
    for (const job of this.#core.activeJobs()) {
      if (job.state !== JobState.run) continue;
      const own = expirationOf(job.R);
      if (own === undefined || durationOf(job.jobspec) !== 0) continue;
      context.log('info', `updated expiration of ${encodeFluid(job.id)} ${describeChange(own, expiration)}`);
      this.#core.post(job, 'resource-update', { expiration: real(expiration) });
    }
  }
}

/** A change of an expiration, where 0 is none. */
function describeChange(from: number, to: number): string {
  const more = from === 0 ? -Infinity : to === 0 ? Infinity : to - from;
  return `from ${from.toFixed(2)} to ${to.toFixed(2)} (${more >= 0 ? '+' : ''}${more})`;
}
