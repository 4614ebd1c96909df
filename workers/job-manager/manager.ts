/** The job manager put together: its parts, in the order in which each needs those before it, and what passes between them. */

import type { Service, ServiceContext } from '../../core/broker/service.ts';
import { FluxError } from '../../core/errno.ts';
import type { EventlogEntry } from '../../core/formats/eventlog.ts';
import type { Method } from '../../core/handle/methods.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import type { Credentials } from '../../core/message/credentials.ts';
import type { Message } from '../../core/message/message.ts';
import { isObject } from '../../core/message/unpack.ts';
import { act } from './actions.ts';
import { Alloc } from './alloc.ts';
import { Annotations } from './annotations.ts';
import { Archive } from './archive.ts';
import { EventWriter } from './event-writer.ts';
import { Events } from './events.ts';
import { Exceptions } from './exceptions.ts';
import { History } from './history.ts';
import { Idle } from './idle.ts';
import type { ActiveJob, InactiveJob, Job, JobRecord } from './job.ts';
import { authorize, Jobs } from './jobs.ts';
import { Jobtap } from './jobtap.ts';
import { JobtapPlugins } from './jobtap-plugins.ts';
import { Journal } from './journal.ts';
import type { Core, Housekeeping, Part, Parts, QueueGate } from './parts.ts';
import type { JobtapPlugin, UpdateRequest, UpdateVerdict } from './plugin.ts';
import { Priorities } from './priorities.ts';
import { Purge, purgeLimits } from './purge.ts';
import { privateMode, Queries } from './queries.ts';
import { CHECKPOINT_KEY, checkpoint, readCheckpoint, restoreCheckpoint, restoreJobs, resume } from './restart.ts';
import { Signals } from './signals.ts';
import { isToStart, Start } from './start.ts';
import { Submit } from './submit.ts';
import { Wait } from './wait.ts';

export interface ManagerOptions {
  readonly parts: Parts;
  /** Userid of the instance owner. */
  readonly owner: number;
  /** Reads the file of a plugin. */
  importPlugin(path: string): Promise<JobtapPlugin>;
}

export class Manager implements Service, Core {
  readonly context: ServiceContext;
  readonly owner: number;
  readonly jobs = new Jobs();
  readonly writer: EventWriter;
  readonly archive: Archive;
  readonly history: History;
  readonly journal: Journal;
  readonly events: Events;
  readonly annotations: Annotations;
  readonly exceptions: Exceptions;
  readonly wait: Wait;
  readonly alloc: Alloc;
  readonly start: Start;
  readonly priorities: Priorities;
  readonly jobtap: Jobtap;
  readonly queues: QueueGate;
  readonly housekeeping: Housekeeping;
  readonly #idle: Idle;
  readonly #purge: Purge;
  readonly #queries: Queries;
  readonly #parts: readonly Part[];
  readonly #plugins: readonly JobtapPlugin[];
  readonly methods: Record<string, Method> = {};

  constructor(context: ServiceContext, { parts, owner, importPlugin }: ManagerOptions) {
    this.context = context;
    this.owner = owner;
    this.writer = new EventWriter(context);
    this.archive = new Archive(context);
    this.history = new History(this);
    this.journal = new Journal(context, this.jobs, this.archive, this.writer);
    this.events = new Events(context, this.writer, this);
    this.annotations = new Annotations(this.jobs, this.events);
    this.exceptions = new Exceptions(context, this.jobs, this.events);
    this.wait = new Wait(this.jobs);
    this.queues = parts.queues(this);
    this.housekeeping = parts.housekeeping(this);
    this.alloc = new Alloc(this);
    this.start = new Start(this);
    this.priorities = new Priorities(this);
    this.#idle = new Idle(this.jobs, this.writer, () => this.alloc.sent.size);
    this.#purge = new Purge(this);
    this.#queries = new Queries(this);
    this.#parts = [this.queues, this.housekeeping, ...parts.others(this)];
    this.#plugins = [...parts.plugins, ...this.#parts.flatMap(({ plugins = [] }) => plugins)];
    const builtin = new Map(this.#plugins.map((plugin) => [plugin.name!, plugin]));
    const source = { builtin, loadable: parts.loadable, importPlugin };
    this.jobtap = new Jobtap(this, new JobtapPlugins(this, source, this.methods));
    this.#addMethods();
  }

  #addMethods(): void {
    const ours = [
      this.#idle,
      this.#purge,
      this.#queries,
      this.journal,
      this.annotations,
      this.exceptions,
      this.wait,
      this.jobtap,
    ];
    const others = [this.alloc, this.start, this.priorities, new Signals(this.context, this.jobs), new Submit(this)];
    for (const { methods } of [...ours, ...others, ...this.#parts]) Object.assign(this.methods, methods);
    this.methods.disconnect = {
      handler: (request) => {
        for (const part of [this.alloc, this.start, this.wait, this.#idle, this.journal]) part.disconnect(request);
        return undefined;
      },
    };
  }

  // ---- start and end

  /**
   * Loads plugins and brings back all jobs.
   *
   * @throws FluxError when the configuration or the KVS can't be read
   */
  async open(): Promise<void> {
    const { config } = this.context;
    this.#configureCore(config);
    for (const part of this.#parts) part.configure?.(config);
    for (const plugin of this.#plugins) this.jobtap.plugins.start(plugin, plugin.name!, {});
    await this.#loadConfigured(config);
    const saved = await readCheckpoint(this.context);
    await restoreJobs(this, await this.history.load(saved));
    restoreCheckpoint(this, saved);
    this.history.started();
    for (const part of this.#parts) part.started?.();
  }

  /** `plugins` of `[job-manager]`: what is loaded and removed at the start. */
  async #loadConfigured(config: JsonObject): Promise<void> {
    const { plugins } = managerTable(config);
    if (plugins === undefined) return;
    const fail = (why: string): never => {
      throw new FluxError('EINVAL', `[job-manager.plugins]${why}`);
    };
    if (!Array.isArray(plugins)) fail(' config must be an array');
    for (const [index, entry] of (plugins as readonly JsonValue[]).entries()) {
      if (!isObject(entry)) return fail(`[${index}]: Expected object`);
      const { load, conf, remove } = entry;
      for (const [key, value] of Object.entries({ load, remove }))
        if (value !== undefined && typeof value !== 'string') fail(`[${index}]: ${key} is not a string`);
      await attempt(`[${index}]: remove ${remove}`, fail, () => remove && this.jobtap.plugins.remove(String(remove)));
      await attempt(`[${index}]: load`, fail, () => load && this.jobtap.load(String(load), conf));
    }
  }

  async stop(): Promise<void> {
    this.alloc.stop();
    this.journal.stop();
    this.wait.stop();
    this.#idle.stop();
    this.jobtap.plugins.stop();
    for (const part of this.#parts) part.stop?.();
    this.history.stop();
    this.saveState();
    await this.writer.stop();
  }

  configure(config: JsonObject): void {
    this.#configureCore(config);
    for (const part of this.#parts) part.configure?.(config);
    this.jobtap.plugins.configure(config);
  }

  #configureCore(config: JsonObject): void {
    const limits = purgeLimits(managerTable(config));
    this.#queries.isPrivate = privateMode(config);
    this.#purge.limits = limits;
  }

  stats(): JsonObject {
    return this.#queries.stats();
  }

  takeResponse(response: Message): void {
    const { topic = '' } = response;
    if (topic === 'sched.alloc') this.alloc.takeAllocResponse(response);
    else if (topic === 'sched.free') this.alloc.takeFreeResponse(response);
    else if (topic.endsWith('.start')) this.start.takeResponse(response);
  }

  // ---- what passes between the parts

  /** An event was applied to a job. */
  applied(job: Job, entry: EventlogEntry, previous: number): void {
    this.journal.tell(job, entry);
    this.jobs.countRunning(previous, job.state);
    this.jobtap.applied(job, entry, previous);
    if (entry.name === 'resource-update') void this.start.updateExpiration(job, entry.context!);
  }

  /** Does what a job's state wants. */
  act(job: Job): void {
    act(job, this);
  }

  release({ id, userid }: Job, R: JsonObject): void {
    this.housekeeping.start(R, id, userid);
  }

  retire(job: Job): void {
    this.wait.ended(job);
    const inactive = this.jobs.retire(job);
    this.jobtap.inactiveAdded(inactive);
    this.jobtap.destroy(job);
    this.history.added(inactive);
    this.#idle.check();
  }

  restored(job: Job): void {
    this.jobs.add(job);
    this.jobs.noteId(job.id);
    this.wait.added(job);
    job.mayHaveStarted = isToStart(job) && !job.isStarted;
    this.act(job);
    if (job.isReadOnly) return;
    this.jobtap.restored(job);
    resume(job, (name, context) => this.events.post(job, name, context));
  }

  restoredInactive(inactive: InactiveJob, job: Job | undefined): void {
    this.jobs.noteId(inactive.id);
    this.jobs.inactive.set(inactive.id, inactive);
    if (job) {
      this.wait.added(job);
      this.wait.ended(job);
    }
    this.jobtap.inactiveAdded(inactive);
    this.history.added(inactive);
  }

  removed(job: InactiveJob): void {
    this.jobtap.inactiveRemoved(job);
  }

  /** The scheduler or a job needs less than before. */
  pendingChanged(): void {
    this.#idle.check();
  }

  jobGone(): void {
    this.#idle.check();
  }

  priorityOf(job: Job): number | undefined {
    return this.jobtap.priorityOf(job);
  }

  saveState(): void {
    this.writer.put(CHECKPOINT_KEY, checkpoint(this.jobs, this.queues, this.history));
  }

  // ---- what other parts may ask

  active(id: bigint): ActiveJob | undefined {
    return this.jobs.active.get(id);
  }

  lookup(id: bigint): JobRecord | undefined {
    return this.jobs.lookup(id);
  }

  activeJobs(): Iterable<ActiveJob> {
    return this.jobs.active.values();
  }

  get runningCount(): number {
    return this.jobs.runningCount;
  }

  authorize(credentials: Credentials, job: JobRecord, guestsMayNot: string): void {
    authorize(credentials, job.userid, guestsMayNot);
  }

  post(job: ActiveJob, name: string, context?: JsonObject): void {
    this.events.post(this.#own(job), name, context);
  }

  raise(job: ActiveJob, type: string, severity: number, note: string, userid?: number): void {
    this.exceptions.raise(this.#own(job), { type, severity, note, userid });
  }

  checkUpdate(job: ActiveJob, request: UpdateRequest): UpdateVerdict {
    return this.jobtap.checkUpdate(this.#own(job), request);
  }

  validateUpdates(job: ActiveJob, updates: JsonObject): void {
    this.jobtap.validateUpdates(this.#own(job), updates);
  }

  get isSchedulerReady(): boolean {
    return this.alloc.isSchedulerReady;
  }

  enqueue(jobs: Iterable<ActiveJob>): void {
    for (const job of [...jobs]) this.alloc.enqueue(this.#own(job));
    this.alloc.recalculate();
  }

  dequeue(jobs: Iterable<ActiveJob>): void {
    for (const job of [...jobs]) {
      this.alloc.dequeue(this.#own(job));
      this.alloc.cancel(this.#own(job), false);
    }
  }

  free(R: JsonObject, id: bigint, isFinal: boolean): void {
    this.alloc.free(R, id, isFinal);
  }

  /** @throws FluxError ENOENT: the job is not active any more */
  #own(job: ActiveJob): Job {
    const own = this.jobs.active.get(job.id);
    if (!own || own !== job) throw new FluxError('ENOENT', 'the job is not active');
    return own;
  }
}

/** `[job-manager]` of the configuration. */
function managerTable(config: JsonObject): JsonObject {
  const table = config['job-manager'];
  return isObject(table) ? table : {};
}

async function attempt(what: string, fail: (why: string) => never, action: () => unknown): Promise<void> {
  try {
    await action();
  } catch (error) {
    fail(`${what}: ${(error as Error).message}`);
  }
}
