/** A plugin that runs alone: jobs are what the test says, and what the plugin does to them is noted. */

import { FluxError } from '../../../core/errno.ts';
import type { EventlogEntry } from '../../../core/formats/eventlog.ts';
import { JobState } from '../../../core/formats/job-state.ts';
import { Request } from '../../../core/handle/methods.ts';
import type { JsonObject, JsonValue } from '../../../core/json.ts';
import { Role } from '../../../core/message/credentials.ts';
import { Message } from '../../../core/message/message.ts';
import { type ActiveJob, InactiveJob, Job, type JobRecord, type StateName } from '../../../workers/job-manager/job.ts';
import type { JobtapContext, JobtapHooks, JobtapPlugin } from '../../../workers/job-manager/plugin.ts';
import { OWNER, ServiceWorld } from './service-world.ts';

export interface JobOptions {
  readonly id?: bigint;
  readonly userid?: number;
  readonly state?: StateName;
  readonly system?: JsonObject;
  readonly events?: readonly (string | readonly [string, JsonObject])[];
  readonly R?: JsonObject;
}

const NODE = {
  type: 'node',
  count: 1,
  with: [{ type: 'slot', count: 1, label: 'task', with: [{ type: 'core', count: 1 }] }],
};

/** R with one core on each rank. */
export function resources(ranks: string, more: JsonObject = {}): JsonObject {
  return { version: 1, execution: { R_lite: [{ rank: ranks, children: { core: '0' } }], ...more } };
}

export class FakeJobtap implements JobtapContext {
  readonly name = 'test';
  readonly owner = OWNER;
  readonly world: ServiceWorld;
  readonly hooks: JobtapHooks;
  /** What the plugin has done, in words. */
  readonly done: string[] = [];
  readonly #jobs = new Map<bigint, Job>();
  readonly #inactive = new Map<bigint, InactiveJob>();
  readonly #subscribed = new Set<ActiveJob>();
  #nextId = 1n;

  constructor(plugin: JobtapPlugin, config: JsonObject = {}, conf: JsonObject = {}) {
    this.world = new ServiceWorld(config);
    this.hooks = plugin.start(this, conf);
    this.hooks.configure?.(config);
  }

  get service() {
    return this.world.host;
  }

  // ---- what the test does

  /** A job that plugins have not been told of. */
  job({ id, userid = OWNER, state = 'new', system = {}, events = [], R }: JobOptions = {}): Job {
    const job = new Job(id ?? this.#nextId++, {
      version: 1,
      resources: [NODE],
      attributes: { system: { duration: 0, ...system } },
    });
    job.userid = userid;
    job.state = JobState[state];
    job.R = R;
    job.tSubmit = Number(job.id);
    for (const event of events) {
      if (typeof event === 'string') this.#log(job, event);
      else this.#log(job, ...event);
    }
    this.#jobs.set(job.id, job);
    return job;
  }

  /** A job that is submitted: refused with an error, or accepted. */
  submit(options: JobOptions = {}): Job {
    const job = this.job(options);
    try {
      this.depend(job);
      this.hooks.validate?.(job, job.jobspec);
    } catch (error) {
      this.hooks.destroy?.(job);
      this.#jobs.delete(job.id);
      throw error;
    }
    this.hooks.new?.(job);
    this.#enter(job, 'depend', { timestamp: 1, name: 'validate' });
    return job;
  }

  /** A job is back after a restart. */
  restore(options: JobOptions, dependencies: readonly string[] = []): Job {
    const job = this.job(options);
    for (const dependency of dependencies) job.dependencies.add(dependency);
    if (job.state === JobState.depend) this.depend(job);
    this.hooks.new?.(job);
    return job;
  }

  depend(job: Job): void {
    const { attributes } = job.jobspec as { attributes: { system: { dependencies?: readonly JsonObject[] } } };
    for (const dependency of attributes.system.dependencies ?? []) {
      const hook = this.hooks.dependency?.[String(dependency.scheme)];
      if (!hook) throw new FluxError('EINVAL', 'no such scheme');
      hook(job, dependency);
    }
  }

  /** Something happens to a job. */
  event(job: Job, name: string, context?: JsonObject, state?: StateName): void {
    const entry = this.#log(job, name, context);
    if (state) job.state = JobState[state];
    if (state === 'cleanup') job.endEvent = entry;
    if (this.#subscribed.has(job)) this.hooks.event?.[name]?.(job, entry);
    if (state) this.#enter(job, state, entry);
    if (state === 'inactive') this.#retire(job);
  }

  /** A job runs, up to its event `start`. */
  run(job: Job): void {
    this.event(job, 'depend', undefined, 'priority');
    this.event(job, 'priority', { priority: 16 }, 'sched');
    this.event(job, 'alloc', undefined, 'run');
    this.event(job, 'start');
  }

  /** A job is over. */
  end(job: Job, name = 'finish', context: JsonObject = { status: 0 }): void {
    this.event(job, name, context, 'cleanup');
    this.event(job, 'clean', undefined, 'inactive');
  }

  cancel(job: Job): void {
    this.end(job, 'exception', { type: 'cancel', severity: 0 });
  }

  /** What a request to the plugin is answered with; an error is thrown. */
  call(method: string, payload: JsonObject, userid = OWNER): JsonValue | undefined {
    const credentials = { userid, rolemask: userid === OWNER ? Role.owner : Role.user };
    const message = Message.request({ topic: `job-manager.test.${method}`, payload, credentials });
    const request = new Request(message, credentials, () => {});
    return this.hooks.methods![method]!.handler(request) as JsonValue | undefined;
  }

  /** What has been done since the last time. */
  take(): string[] {
    return this.done.splice(0);
  }

  #log(job: Job, name: string, context?: JsonObject): EventlogEntry {
    const entry = { timestamp: job.eventlog.length + 1, name, ...(context && { context }) };
    job.eventlog.push(entry);
    return entry;
  }

  #enter(job: Job, state: StateName, entry: EventlogEntry): void {
    const previous = job.state;
    job.state = JobState[state];
    const hook = this.hooks.state?.[state];
    const changes = hook?.(job, { entry, previous });
    if (changes?.priority !== undefined) this.done.push(`priority ${job.id} ${String(changes.priority)}`);
    if (changes?.R) job.R = changes.R;
  }

  #retire(job: Job): void {
    this.#jobs.delete(job.id);
    const inactive = new InactiveJob(job);
    this.#inactive.set(job.id, inactive);
    this.hooks.inactiveAdd?.(inactive);
    this.hooks.destroy?.(job);
  }

  // ---- what the plugin does

  active(id: bigint): ActiveJob | undefined {
    return this.#jobs.get(id);
  }
  activeJobs(): Iterable<ActiveJob> {
    return this.#jobs.values();
  }
  lookup(id: bigint): JobRecord | undefined {
    return this.#jobs.get(id) ?? this.#inactive.get(id);
  }
  inactiveJobs(): Iterable<JobRecord> {
    return this.#inactive.values();
  }

  refuse(sentence: string): never {
    throw new FluxError('EINVAL', sentence);
  }
  post(job: ActiveJob, name: string, context?: JsonObject): void {
    this.done.push(`post ${job.id} ${name}${context ? ` ${JSON.stringify(context)}` : ''}`);
    this.#log(this.#jobs.get(job.id)!, name, context);
  }
  raise(job: ActiveJob, type: string, severity: number, note: string): void {
    this.done.push(`raise ${job.id} ${type} ${severity}: ${note}`);
  }
  subscribe(job: ActiveJob): void {
    this.#subscribed.add(job);
  }
  unsubscribe(job: ActiveJob): void {
    this.#subscribed.delete(job);
  }
  isSubscribed(job: ActiveJob): boolean {
    return this.#subscribed.has(job);
  }

  addDependency(job: ActiveJob, description: string): void {
    if (job.dependencies.has(description)) return;
    this.#jobs.get(job.id)!.dependencies.add(description);
    this.done.push(`add ${job.id} ${description}`);
  }
  removeDependency(job: ActiveJob, description: string): void {
    if (this.#jobs.get(job.id)?.dependencies.delete(description)) this.done.push(`remove ${job.id} ${description}`);
  }
  startProlog(job: ActiveJob, description: string): void {
    this.done.push(`prolog-start ${job.id} ${description}`);
  }
  finishProlog(job: ActiveJob, description: string, status: number): void {
    this.done.push(`prolog-finish ${job.id} ${description} ${status}`);
  }
  startEpilog(job: ActiveJob, description: string): void {
    this.done.push(`epilog-start ${job.id} ${description}`);
  }
  finishEpilog(job: ActiveJob, description: string, status: number): void {
    this.done.push(`epilog-finish ${job.id} ${description} ${status}`);
  }

  reprioritize(job: ActiveJob, priority: number): void {
    this.done.push(`priority ${job.id} ${priority}`);
  }
  reprioritizeAll(): void {
    this.done.push('reprioritize');
  }
  annotate(job: ActiveJob, annotations: JsonObject): void {
    this.done.push(`annotate ${job.id} ${JSON.stringify(annotations)}`);
  }
  setFlag(job: ActiveJob, flag: 'alloc-bypass' | 'debug' | 'immutable'): void {
    this.done.push(`flag ${job.id} ${flag}`);
    if (flag === 'alloc-bypass') this.#jobs.get(job.id)!.bypassesAlloc = true;
  }
  updateJobspec(job: ActiveJob, updates: JsonObject): void {
    this.done.push(`update ${job.id} ${JSON.stringify(updates)}`);
  }
}
