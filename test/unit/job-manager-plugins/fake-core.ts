/** The core of the job manager as its parts see it: jobs are what the test says, and what is asked of it is noted. */

import type { ServiceContext } from '../../../core/broker/service.ts';
import { FluxError } from '../../../core/errno.ts';
import { JobState } from '../../../core/formats/job-state.ts';
import type { JsonObject } from '../../../core/json.ts';
import { type Credentials, Role } from '../../../core/message/credentials.ts';
import { type ActiveJob, InactiveJob, Job, type JobRecord, type StateName } from '../../../workers/job-manager/job.ts';
import type { Core } from '../../../workers/job-manager/parts.ts';
import type { UpdateRequest, UpdateVerdict } from '../../../workers/job-manager/plugin.ts';
import { OWNER, ServiceWorld } from './service-world.ts';

export class FakeCore implements Core {
  readonly owner = OWNER;
  readonly world: ServiceWorld;
  isSchedulerReady = true;
  /** What plugins say of an update. */
  verdict: (request: UpdateRequest) => UpdateVerdict = () => ({ isValidated: true });
  /** What plugins have against all updates together. */
  refusal: string | undefined;
  readonly #done: string[] = [];
  readonly #jobs = new Map<bigint, Job>();
  readonly #inactive = new Map<bigint, InactiveJob>();
  #nextId = 1n;

  constructor(config: JsonObject = {}) {
    this.world = new ServiceWorld(config);
  }

  get context(): ServiceContext {
    return this.world.host;
  }

  /** A job that there is, in the state sched unless another one is given. */
  job(
    system: JsonObject = {},
    { state = 'sched' as StateName, userid = OWNER, R = undefined as JsonObject | undefined } = {},
  ): Job {
    const job = new Job(this.#nextId++, { version: 1, attributes: { system: { duration: 0, ...system } } });
    job.userid = userid;
    job.state = JobState[state];
    job.R = R;
    this.#jobs.set(job.id, job);
    return job;
  }

  /** The job is over. */
  retire(job: Job): void {
    this.#jobs.delete(job.id);
    this.#inactive.set(job.id, new InactiveJob(job));
  }

  /** What has been done since the last time. */
  take(): string[] {
    return this.#done.splice(0);
  }

  active(id: bigint): ActiveJob | undefined {
    return this.#jobs.get(id);
  }
  lookup(id: bigint): JobRecord | undefined {
    return this.#jobs.get(id) ?? this.#inactive.get(id);
  }
  activeJobs(): Iterable<ActiveJob> {
    return this.#jobs.values();
  }
  get runningCount(): number {
    return [...this.#jobs.values()].filter(({ state }) => state & JobState.running).length;
  }
  authorize({ userid, rolemask }: Credentials, job: JobRecord, text: string): void {
    if (!(rolemask & Role.owner) && userid !== job.userid) throw new FluxError('EPERM', text);
  }

  post(job: ActiveJob, name: string, context?: JsonObject): void {
    if (!this.#jobs.has(job.id)) throw new FluxError('ENOENT', 'the job is not active');
    this.#done.push(`post ${job.id} ${name}${context ? ` ${JSON.stringify(context, plainNumbers)}` : ''}`);
  }
  raise(job: ActiveJob, type: string, severity: number, note: string): void {
    this.#done.push(`raise ${job.id} ${type} ${severity}: ${note}`);
  }
  checkUpdate(_: ActiveJob, request: UpdateRequest): UpdateVerdict {
    return this.verdict(request);
  }
  validateUpdates(job: ActiveJob, updates: JsonObject): void {
    this.#done.push(`validate ${job.id} ${JSON.stringify(updates, plainNumbers)}`);
    if (this.refusal) throw new FluxError('EINVAL', this.refusal);
  }

  enqueue(jobs: Iterable<ActiveJob>): void {
    this.#done.push(['enqueue', ...Array.from(jobs, ({ id }) => id)].join(' '));
  }
  dequeue(jobs: Iterable<ActiveJob>): void {
    this.#done.push(['dequeue', ...Array.from(jobs, ({ id }) => id)].join(' '));
  }
  free(R: JsonObject, id: bigint, isFinal: boolean): void {
    const { R_lite } = R.execution as { R_lite: readonly { rank: string }[] };
    this.#done.push(`free ${id} ${R_lite.map(({ rank }) => rank)}${isFinal ? ' final' : ''}`);
  }
}

/** Reals as the numbers that they are. */
function plainNumbers(this: unknown, key: string, value: unknown): unknown {
  const given = (this as Record<string, unknown>)[key];
  return given !== null && typeof given === 'object' && 'value' in given ? Number(given) : value;
}
