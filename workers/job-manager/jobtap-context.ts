/** What a plugin may do with jobs, as `JobtapContext` says it. */

import type { ServiceContext } from '../../core/broker/service.ts';
import { FluxError } from '../../core/errno.ts';
import { JobState } from '../../core/formats/job-state.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Annotations } from './annotations.ts';
import type { Events } from './events.ts';
import type { Exceptions } from './exceptions.ts';
import { type ActiveJob, Job, type JobRecord } from './job.ts';
import type { Jobs } from './jobs.ts';
import type { JobtapContext } from './plugin.ts';
import type { Priorities } from './priorities.ts';
import { flagSetter } from './state-machine.ts';

/** What the manager gives its plugins to work with. */
export interface JobtapHost {
  readonly context: ServiceContext;
  readonly owner: number;
  readonly jobs: Jobs;
  readonly events: Events;
  readonly exceptions: Exceptions;
  readonly annotations: Annotations;
  readonly priorities: Pick<Priorities, 'set' | 'setAll'>;
}

const updatable = /^(?:attributes|resources|tasks)(?:\.|$)/;

export class JobtapJobs implements JobtapContext {
  readonly name: string;
  readonly #host: JobtapHost;
  /** Jobs that hooks of this plugin are being called for, the innermost last. */
  readonly #current: Job[] = [];
  /** Updates that wait until the hook that wants them returns. */
  readonly #updates = new Map<Job, JsonObject>();
  readonly #subscriptions = new Set<Job>();

  constructor(name: string, host: JobtapHost) {
    this.name = name;
    this.#host = host;
  }

  get service(): ServiceContext {
    return this.#host.context;
  }
  get owner(): number {
    return this.#host.owner;
  }

  /** Calls a hook for a job. What it wants changed in the jobspec is changed when it is done with it. */
  within<T>(job: Job, call: () => T): T {
    this.#current.push(job);
    let result: T;
    try {
      result = call();
    } catch (error) {
      this.#updates.delete(job);
      throw error;
    } finally {
      this.#current.pop();
    }
    const updates = this.#updates.get(job);
    if (updates && this.#updates.delete(job)) this.#host.events.post(job, 'jobspec-update', updates);
    return result;
  }

  // ---- jobs

  active(id: bigint): ActiveJob | undefined {
    return this.#host.jobs.active.get(id);
  }

  activeJobs(): Iterable<ActiveJob> {
    return this.#host.jobs.active.values();
  }

  lookup(id: bigint): JobRecord | undefined {
    return this.#host.jobs.lookup(id);
  }

  inactiveJobs(): Iterable<JobRecord> {
    return this.#host.jobs.inactive.values();
  }

  /** @throws FluxError ENOENT: the job is not active any more */
  #own(job: ActiveJob): Job {
    if (!(job instanceof Job) || this.#host.jobs.active.get(job.id) !== job)
      throw new FluxError('ENOENT', 'the job is not active');
    return job;
  }

  refuse(sentence: string): never {
    throw new FluxError('EINVAL', sentence);
  }

  // ---- events

  post(job: ActiveJob, name: string, context?: JsonObject): void {
    this.#host.events.post(this.#own(job), name, context);
  }

  raise(job: ActiveJob, type: string, severity: number, note: string): void {
    this.#host.exceptions.raise(this.#own(job), { type, severity, note, userid: this.#host.owner });
  }

  subscribe(job: ActiveJob): void {
    const own = this.#own(job);
    if (own.subscribers?.includes(this)) return;
    own.subscribers = [...(own.subscribers ?? []), this];
    this.#subscriptions.add(own);
  }

  unsubscribe(job: ActiveJob): void {
    if (!(job instanceof Job) || !this.#subscriptions.delete(job)) return;
    const others = (job.subscribers ?? []).filter((each) => each !== this);
    job.subscribers = others.length ? others : undefined;
  }

  /** The plugin is removed. */
  unsubscribeAll(): void {
    for (const job of [...this.#subscriptions]) this.unsubscribe(job);
  }

  // ---- what holds a job

  addDependency(job: ActiveJob, description: string): void {
    const own = this.#dependent(job);
    if (own.dependencies.has(description)) return;
    this.#host.events.post(own, 'dependency-add', { description });
  }

  removeDependency(job: ActiveJob, description: string): void {
    const own = this.#dependent(job);
    const isThere = own.dependencies.has(description) || own.isQueued('dependency-add');
    if (isThere) this.#host.events.post(own, 'dependency-remove', { description });
  }

  #dependent(job: ActiveJob): Job {
    const own = this.#own(job);
    if (!(own.state & (JobState.new | JobState.depend)))
      throw new FluxError('EINVAL', 'the job is not in the states new or depend');
    return own;
  }

  startProlog(job: ActiveJob, description: string): void {
    const own = this.#own(job);
    if (own.state === JobState.cleanup) throw new FluxError('EINVAL', 'the job is over');
    this.#perilog(own, 'prolog-start', { description });
  }

  finishProlog(job: ActiveJob, description: string, status: number): void {
    this.#perilog(this.#own(job), 'prolog-finish', { description, status });
  }

  startEpilog(job: ActiveJob, description: string): void {
    this.#perilog(this.#own(job), 'epilog-start', { description });
  }

  finishEpilog(job: ActiveJob, description: string, status: number): void {
    this.#perilog(this.#own(job), 'epilog-finish', { description, status });
  }

  #perilog(job: Job, name: string, context: JsonObject): void {
    const isProlog = name.startsWith('prolog');
    if (isProlog && job.isStartPending) throw new FluxError('EINVAL', 'the job has been started');
    if (!isProlog && job.state !== JobState.cleanup) throw new FluxError('EINVAL', 'the job is not over');
    this.#host.events.post(job, name, context);
  }

  // ---- what is changed about a job

  reprioritize(job: ActiveJob, priority: number): void {
    this.#host.priorities.set(this.#own(job), priority);
  }

  reprioritizeAll(): void {
    this.#host.priorities.setAll();
  }

  annotate(job: ActiveJob, annotations: JsonObject): void {
    this.#host.annotations.update(this.#own(job), annotations);
  }

  setFlag(job: ActiveJob, flag: 'alloc-bypass' | 'debug' | 'immutable'): void {
    flagSetter(flag);
    this.#host.events.post(this.#own(job), 'set-flags', { flags: [flag] });
  }

  updateJobspec(job: ActiveJob, updates: JsonObject): void {
    const own = this.#own(job);
    if (own.state & JobState.running) throw new FluxError('EINVAL', 'the job runs or has ended');
    const bad = Object.keys(updates).find((path) => !updatable.test(path));
    if (bad !== undefined) throw new FluxError('EINVAL', `'${bad}' is not in a jobspec`);
    if (this.#current.at(-1) === own) this.#updates.set(own, { ...this.#updates.get(own), ...updates });
    else this.#host.events.post(own, 'jobspec-update', updates);
  }
}
