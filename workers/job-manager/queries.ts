/** What can be asked about jobs and about the manager itself. */

import type { ServiceContext } from '../../core/broker/service.ts';
import { FluxError } from '../../core/errno.ts';
import { type EventlogEntry, eventToJson } from '../../core/formats/eventlog.ts';
import type { Methods, Request } from '../../core/handle/methods.ts';
import { type JsonObject, type JsonValue, real } from '../../core/json.ts';
import { Role } from '../../core/message/credentials.ts';
import { isObject } from '../../core/message/unpack.ts';
import type { Alloc } from './alloc.ts';
import type { Archive } from './archive.ts';
import type { EventWriter } from './event-writer.ts';
import { type ActiveJob, Job, type JobRecord } from './job.ts';
import { authorize, type Jobs } from './jobs.ts';
import type { Journal } from './journal.ts';
import type { Housekeeping } from './parts.ts';
import type { Wait } from './wait.ts';

export interface QueriesHost {
  readonly context: ServiceContext;
  readonly jobs: Jobs;
  readonly alloc: Alloc;
  readonly wait: Wait;
  readonly journal: Journal;
  readonly archive: Archive;
  readonly writer: EventWriter;
  readonly housekeeping: Pick<Housekeeping, 'stats'>;
}

interface Attributes {
  readonly jobspec: JsonObject;
  readonly R: JsonObject | undefined;
  readonly eventlog: readonly EventlogEntry[];
}

export class Queries {
  readonly #host: QueriesHost;
  /** Guests are told of nothing but their own jobs. */
  isPrivate = false;

  readonly methods: Methods = {
    list: { handler: (request) => this.#list(request) },
    getattr: { allow: Role.user, handler: (request) => this.#getattr(request) },
    // For who misses something in the KVS.
    committed: { handler: async () => ({ rootseq: await this.#host.writer.committed() }) },
    getinfo: {
      allow: Role.user,
      handler: (request) => {
        this.#checkPrivate(request);
        return { max_jobid: this.#host.jobs.maxId };
      },
    },
    'stats-get': {
      allow: Role.user,
      handler: (request) => {
        this.#checkPrivate(request);
        return this.stats();
      },
    },
  };

  constructor(host: QueriesHost) {
    this.#host = host;
  }

  stats(): JsonObject {
    const { jobs, journal, housekeeping } = this.#host;
    return {
      journal: journal.stats(),
      active_jobs: jobs.active.size,
      inactive_jobs: jobs.inactive.size,
      max_jobid: jobs.maxId,
      housekeeping: housekeeping.stats(),
    };
  }

  #checkPrivate(request: Request): void {
    if (this.isPrivate && !isPrivileged(request)) throw new FluxError('EPERM');
  }

  /** Those that wait for resources in their order, then the other active ones, then those nobody has waited for. */
  #list(request: Request): JsonObject {
    const { max_entries } = request.unpack({ max_entries: 'i' });
    if (max_entries < 0) throw new FluxError('EPROTO');
    const { alloc, jobs, wait } = this.#host;
    const listed: JsonObject[] = [];
    const isFull = () => max_entries !== 0 && listed.length >= max_entries;
    for (const job of alloc.queue) {
      if (isFull()) break;
      listed.push(show(job));
    }
    for (const job of jobs.active.values()) {
      if (isFull()) break;
      if (!job.isAllocQueued) listed.push(show(job));
    }
    for (const job of wait.zombies()) listed.push(show(job));
    return { jobs: listed };
  }

  async #getattr(request: Request): Promise<JsonObject> {
    const { id, attrs } = request.unpack({ id: 'I', attrs: '*' });
    const job = this.#host.jobs.lookup(id);
    if (!job) {
      this.#checkPrivate(request);
      throw new FluxError('EINVAL', 'unknown job');
    }
    authorize(request, job.userid, this.isPrivate ? undefined : 'guests can only access their own jobs');
    const names = Array.isArray(attrs) ? attrs : [];
    for (const name of names) checkAttribute(name);
    if (names.length === 0) return {};
    const attributes = job instanceof Job ? job : await this.#stored(id);
    return Object.fromEntries(names.map((name) => [String(name), attributeOf(attributes, String(name))]));
  }

  async #stored(id: bigint): Promise<Attributes> {
    await this.#host.writer.committed();
    return this.#host.archive.job(id);
  }
}

function isPrivileged({ rolemask }: Request): boolean {
  return (rolemask & (Role.owner | Role.admin)) !== 0;
}

function checkAttribute(name: JsonValue): void {
  if (typeof name !== 'string') throw new FluxError('EPROTO', 'attribute list contains non-string');
  if (!['jobspec', 'R', 'eventlog'].includes(name)) throw new FluxError('ENOENT', `unknown attr ${name}`);
}

function attributeOf(attributes: Attributes, name: string): JsonValue {
  if (name === 'eventlog') return attributes.eventlog.map(eventToJson);
  if (name === 'jobspec') return attributes.jobspec;
  if (!attributes.R) throw new FluxError('ENOENT', 'R is NULL');
  return attributes.R;
}

function show(job: JobRecord & Partial<Pick<ActiveJob, 'annotations' | 'dependencies'>>): JsonObject {
  const { id, userid, urgency, priority, tSubmit, state, annotations, dependencies } = job;
  return {
    id,
    userid,
    urgency,
    priority,
    t_submit: real(tSubmit),
    state,
    ...(annotations && { annotations }),
    ...(job instanceof Job && job.usedDependencies.size && { dependencies: [...dependencies!] }),
  };
}

/**
 * Whether `[access]` of the configuration hides jobs from other users.
 *
 * @throws FluxError EINVAL: it says something else than true or false
 */
export function privateMode(config: JsonObject): boolean {
  const { access } = config;
  const mode = isObject(access) ? access['private-mode'] : undefined;
  if (mode !== undefined && typeof mode !== 'boolean')
    throw new FluxError('EINVAL', 'access.private-mode: Expected true or false');
  return mode ?? false;
}
