/**
 * The module `job-list`: tells of all jobs that there are and were (RFC 43). What it knows it has from the journal of the
 * job manager, of jobs of the past from what it has noted of them then.
 */

import type { ModuleDefinition, Service, ServiceContext } from '../../core/broker/service.ts';
import { asFluxError, FluxError } from '../../core/errno.ts';
import { encodeFluid } from '../../core/formats/fluid.ts';
import { JobState } from '../../core/formats/job-state.ts';
import { LookupFlag } from '../../core/formats/kvs-flags.ts';
import { Kvs, PRIMARY_NAMESPACE } from '../../core/handle/kvs.ts';
import { LATER, type Method, type Methods, type Reply, type Request } from '../../core/handle/methods.ts';
import type { JsonObject } from '../../core/json.ts';
import { Role } from '../../core/message/credentials.ts';
import type { Message } from '../../core/message/message.ts';
import type { SlowReaders } from '../rexec/slow-readers.ts';
import { attributeNames } from './attributes.ts';
import type { ConstraintLimits } from './constraint.ts';
import { JobEvents, type JobListener } from './events.ts';
import { History } from './history.ts';
import { type IdWait, IdWaits } from './id-waits.ts';
import { Job } from './job.ts';
import { Jobs } from './jobs.ts';
import { Journal, type JournalReader, type JournalRecord } from './journal.ts';
import { idQuery, listQuery } from './list-request.ts';
import { Listings } from './listing.ts';
import { type JobListSettings, jobListSettings } from './settings.ts';
import { JobStats } from './stats.ts';

/** Hosts or ranks that one constraint may name, in an instance of less. */
const HOSTS_MAX = 1024;
/** The event that tells which jobs are forgotten. */
const PURGE_TOPIC = 'job-purge-inactive';
/** Messages of the journal that wait while it is paused. */
const PAUSED_MAX = 65_536;

/** @param slowReaders knows which clients do not take what they are sent */
export function jobListModule(slowReaders?: SlowReaders): ModuleDefinition {
  return {
    async start(context, args) {
      if (args.length) throw new FluxError('EINVAL', `unknown option: ${args[0]}`);
      const jobList = new JobList(context, slowReaders);
      await jobList.start();
      return jobList;
    },
  };
}

class JobList implements Service, JobListener, JournalReader {
  readonly methods: Methods;
  readonly #context: ServiceContext;
  readonly #kvs: Kvs;
  readonly #journal: Journal;
  readonly #history: History;
  readonly #events = new JobEvents(this);
  readonly #waits = new IdWaits();
  readonly #listings: Listings;
  readonly #stats: JobStats;
  #settings: JobListSettings;
  readonly #jobs = new Jobs();
  /** Whether all is known that has happened so far. */
  #isCurrent = false;
  /** Why there is no journal. */
  #failure: FluxError | undefined;
  /** Requests that wait for all to be known. */
  #early: { readonly go: () => void; readonly fail: (error: FluxError) => void }[] = [];
  /** What the journal told while it is paused. */
  #paused: JournalRecord[] | undefined;
  /** Jobs that are to be forgotten as soon as the journal has told of their end. */
  readonly #purged = new Set<bigint>();
  #lookups = 0;

  constructor(context: ServiceContext, slowReaders: SlowReaders | undefined) {
    this.#context = context;
    this.#kvs = new Kvs(context, PRIMARY_NAMESPACE);
    this.#journal = new Journal(context, this);
    this.#history = new History(context);
    this.#listings = new Listings(context.clock, slowReaders);
    this.#stats = new JobStats(context);
    this.#settings = this.#take(context.config);
    this.methods = this.#methods();
  }

  async start(): Promise<void> {
    this.#context.subscribe(PURGE_TOPIC, (event) => this.#purge(event));
    for (const job of await this.#history.load()) this.#jobs.restore(job);
    await this.#journal.start();
  }

  async stop(): Promise<void> {
    this.#journal.stop();
    this.#listings.stop();
    this.#stats.stop();
    await this.#history.stop();
  }

  configure(config: JsonObject): void {
    this.#settings = this.#take(config);
  }

  #take(config: JsonObject): JobListSettings {
    const settings = jobListSettings(config);
    for (const queue of settings.queues) this.#stats.addQueue(queue);
    return settings;
  }

  // ---- the journal

  known(): bigint[] {
    return this.#jobs.inactive.snapshot().flatMap((jobs) => jobs.map(({ id }) => id));
  }

  begin(): void {
    this.#failure = undefined;
    this.#stats.reset();
    for (const job of this.#jobs.all()) {
      if (job.state === JobState.inactive) this.#stats.restore(job);
      else this.#jobs.remove(job);
    }
  }

  take(record: JournalRecord): void {
    if (!this.#paused) {
      this.#apply(record);
      return;
    }
    this.#paused.push(record);
    if (this.#paused.length < PAUSED_MAX) return;
    this.#context.log('warning', `the journal goes on: ${PAUSED_MAX} of its messages wait`);
    this.#unpause();
  }

  upToDate(): void {
    this.#isCurrent = true;
    for (const id of this.#purged) if (!this.#jobs.get(id)) this.#purged.delete(id);
    for (const { go } of this.#early.splice(0)) go();
  }

  lost(error: FluxError): void {
    // Its own errno would be ENODATA, which is the end of an answer to those who ask.
    const failure = new FluxError('ENOSYS', `the job manager is gone: ${error.message}`);
    this.#isCurrent = false;
    this.#failure = failure;
    this.#paused = undefined;
    this.#purged.clear();
    for (const { fail } of this.#early.splice(0)) fail(failure);
    this.#waits.fail(failure);
  }

  #apply({ id, events, jobspec, R }: JournalRecord): void {
    const job = this.#jobs.get(id) ?? this.#newJob(id, events[0]?.name, jobspec);
    if (!job) return;
    this.#jobs.change(job, () => {
      for (const event of events) {
        if (event.name === 'invalidate') this.#invalidate(job);
        else this.#events.apply(job, event, R);
      }
    });
    if (job.state === JobState.inactive && job.piece === undefined && this.#jobs.get(id)) this.#history.added(job);
    if (this.#purged.size && job.state === JobState.inactive && this.#purged.delete(id)) this.#forget(job);
  }

  #newJob(id: bigint, event: string | undefined, jobspec: JsonObject | undefined): Job | undefined {
    if (event !== 'submit') {
      this.#context.log('err', `event ${event ?? '(none)'}: job ${encodeFluid(id)} is not known`);
      return undefined;
    }
    const job = new Job(id, jobspec);
    this.#jobs.add(job);
    return job;
  }

  /** Its submission came to nothing, or it was purged unheard. */
  #invalidate(job: Job): void {
    if (job.state === JobState.inactive) this.#forget(job);
    else this.#jobs.remove(job);
    this.#waits.removed(job.id);
  }

  // ---- what events do to jobs

  entering(job: Job, state: number): void {
    this.#stats.move(job, state);
  }

  entered(job: Job): void {
    this.#waits.entered(job);
  }

  leavingQueue(job: Job): void {
    this.#stats.leaveQueue(job);
  }

  enteredQueue(job: Job): void {
    this.#stats.enterQueue(job);
  }

  invalid(text: string): void {
    this.#context.log('err', text);
  }

  // ---- jobs that are forgotten

  #purge(event: Message): void {
    if (event.topic !== PURGE_TOPIC) return;
    const { jobs } = event.unpack({ jobs: 'a' });
    let count = 0;
    for (const value of jobs) {
      if (typeof value !== 'bigint' && !Number.isInteger(value)) continue;
      const id = BigInt(value as number | bigint);
      const job = this.#jobs.get(id);
      if (job?.state === JobState.inactive) {
        this.#forget(job);
        count++;
      } else if (job || !this.#isCurrent) this.#purged.add(id);
    }
    this.#context.log('debug', `purged ${count} inactive jobs`);
  }

  #forget(job: Job): void {
    this.#stats.purge(job);
    this.#jobs.remove(job);
    this.#history.removed(job);
  }

  // ---- requests

  #methods(): Methods {
    return {
      list: this.#method((request) => {
        const userid = this.#isRestricted(request) ? request.userid : undefined;
        this.#listings.start(request, listQuery(request.payload, userid, this.#limits), this.#jobs);
        return LATER;
      }),
      'list-id': this.#method((request) => this.#listId(request)),
      'list-attrs': this.#method(() => ({ attrs: attributeNames })),
      'job-stats': this.#method((request) => {
        if (this.#isRestricted(request)) throw new FluxError('EPERM');
        this.#stats.answer(request);
        return LATER;
      }),
      'job-state-pause': this.#method(() => {
        this.#paused ??= [];
        return undefined;
      }),
      'job-state-unpause': this.#method(() => {
        this.#unpause();
        return undefined;
      }),
      'stats-get': this.#method((request) => {
        if (this.#isRestricted(request)) throw new FluxError('EPERM');
        return this.#moduleStats();
      }),
      disconnect: {
        allow: Role.user,
        handler: (request) => {
          this.#stats.watchers.disconnect(request);
          this.#waits.disconnect(request);
          this.#listings.disconnect(request);
          return undefined;
        },
      },
    };
  }

  /** A method that any user may call; it waits until all is known that had happened when it was called. */
  #method(handler: (request: Request) => Reply | Promise<Reply>): Method {
    return {
      allow: Role.user,
      handler: async (request) => {
        if (this.#failure) throw this.#failure;
        if (!this.#isCurrent) await new Promise<void>((go, fail) => this.#early.push({ go, fail }));
        await this.#journal.caughtUp();
        if (this.#failure) throw this.#failure;
        return handler(request);
      },
    };
  }

  /** Whether who asks may know of his own jobs only. */
  #isRestricted({ rolemask }: Request): boolean {
    return this.#settings.isPrivate && (rolemask & (Role.owner | Role.admin)) === 0;
  }

  get #limits(): ConstraintLimits {
    return { ...this.#settings, hostsMax: Math.max(this.#context.size, HOSTS_MAX) };
  }

  async #listId(request: Request): Promise<Reply> {
    const { id, write, states } = idQuery(request.payload);
    const wait: IdWait = {
      request,
      id,
      states,
      answer: (job) => {
        if (!this.#mayKnow(request, job)) request.fail('ENOENT');
        else request.respond(Buffer.from(`{"job":${write(job)}}\0`));
      },
    };
    const job = this.#jobs.get(id);
    if (job && !this.#mayKnow(request, job)) throw new FluxError('ENOENT');
    if (!job) await this.#lookUp(id);
    this.#waits.add(wait, job ?? this.#jobs.get(id));
    return LATER;
  }

  #mayKnow(request: Request, job: Job): boolean {
    return !this.#isRestricted(request) || request.userid === job.userid;
  }

  /**
   * Whether there is a job that the journal may not have told of yet.
   *
   * @throws FluxError ENOENT: there is none
   */
  async #lookUp(id: bigint): Promise<void> {
    this.#lookups++;
    try {
      await this.#kvs.lookup(encodeFluid(id, 'kvs'), { flags: LookupFlag.readdir });
    } catch (error) {
      throw new FluxError(asFluxError(error).errno);
    } finally {
      this.#lookups--;
    }
  }

  #unpause(): void {
    const records = this.#paused ?? [];
    this.#paused = undefined;
    for (const record of records) this.#apply(record);
  }

  #moduleStats(): JsonObject {
    const { pending, running, inactive } = this.#jobs;
    return {
      jobs: { pending: pending.count, running: running.count, inactive: inactive.count },
      idsync: { lookups: this.#lookups, waits: this.#waits.count },
      stats_watchers: this.#stats.watchers.count,
    };
  }
}
