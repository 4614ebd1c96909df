/**
 * The journal of all jobs' events (`job-manager.events-journal`): first all that happened to the jobs there are, then,
 * behind a response without events, each event as it happens.
 *
 * Who asks for it `batched` gets as `jobs` of one response what others get in many.
 */

import type { ServiceContext } from '../../core/broker/service.ts';
import { FluxError } from '../../core/errno.ts';
import { type EventlogEntry, eventToJson } from '../../core/formats/eventlog.ts';
import { encodeFluid } from '../../core/formats/fluid.ts';
import { LATER, type Methods, type Reply, type Request } from '../../core/handle/methods.ts';
import { RequestList } from '../../core/handle/request-list.ts';
import { integer, type JsonObject, type JsonValue } from '../../core/json.ts';
import { isObject } from '../../core/message/unpack.ts';
import type { Archive, StoredJob } from './archive.ts';
import type { EventWriter } from './event-writer.ts';
import type { Job } from './job.ts';
import type { Jobs } from './jobs.ts';
import { attached, JournalBatch, type JournalEntry, respondBatched } from './journal-batch.ts';

/** Inactive jobs that are read from the KVS at a time. */
const READ_AHEAD = 64;

const END_OF_BACKLOG: JournalEntry = { id: -1, events: [] };

/** Which events a listener wants, by their names; all when absent. */
interface Filter {
  readonly allow: JsonObject | undefined;
  readonly deny: JsonObject | undefined;
  readonly isBatched: boolean;
}

interface WholeJob extends StoredJob {
  readonly id: bigint;
}

function wants({ allow, deny }: Filter, name: string): boolean {
  return (!allow || Object.hasOwn(allow, name)) && !(deny && Object.hasOwn(deny, name));
}

export class Journal {
  /** Those who get the backlog, and those who have got it. */
  readonly #readers = new RequestList();
  readonly #listeners = new RequestList();
  readonly #batch = new JournalBatch();
  readonly #filters = new WeakMap<Request, Filter>();
  readonly #context: ServiceContext;
  readonly #jobs: Jobs;
  readonly #archive: Archive;
  readonly #writer: EventWriter;
  #eventCount = 0;

  readonly methods: Methods = {
    'events-journal': { handler: (request) => this.#read(request) },
    'events-journal-cancel': {
      handler: (request) => {
        const { matchtag } = request.unpack({ matchtag: 'i' });
        for (const list of this.#lists) list.cancel(request, matchtag);
        return undefined;
      },
    },
  };

  constructor(context: ServiceContext, jobs: Jobs, archive: Archive, writer: EventWriter) {
    this.#context = context;
    this.#jobs = jobs;
    this.#archive = archive;
    this.#writer = writer;
  }

  get #lists(): readonly RequestList[] {
    return [this.#readers, this.#listeners, this.#batch.listeners];
  }

  stats(): JsonObject {
    const listeners = this.#lists.reduce((sum, { count }) => sum + count, 0);
    return { listeners, events: this.#eventCount };
  }

  disconnect(request: Request): void {
    for (const list of this.#lists) list.disconnect(request);
  }

  stop(): void {
    this.#batch.send();
    for (const list of this.#lists) for (const request of list.takeAll()) request.endStream();
  }

  /** Tells the listeners of an event that was just applied to a job. */
  tell(job: Job, entry: EventlogEntry): void {
    this.#eventCount++;
    this.#batch.add(job, entry);
    if (this.#listeners.count === 0) return;
    const payload: JsonObject = { id: integer(job.id), events: [eventToJson(entry)], ...attached(job, entry.name) };
    for (const request of this.#listeners) if (wants(this.#filters.get(request)!, entry.name)) request.respond(payload);
  }

  #read(request: Request): Reply {
    const { allow, deny, full, known, batched } = request.unpack({
      allow: '*?',
      deny: '*?',
      full: 'b?',
      known: 'a?',
      batched: 'b?',
    });
    if (!request.isStreaming) throw new FluxError('EPROTO', 'job-manager.events requires streaming RPC flag');
    const knownIds = (known ?? []).map(readId);
    const filter = { allow: rules('allow', allow), deny: rules('deny', deny), isBatched: batched ?? false };
    if (batched && (allow ?? deny))
      throw new FluxError('EPROTO', 'job-manager.events batched has no allow and no deny');
    this.#filters.set(request, filter);
    this.#readers.add(request);
    if (full) void this.#readInactive(request, this.#stillThere(request, knownIds));
    else this.#goLive(request);
    return LATER;
  }

  /** Which of the jobs that a listener knows are inactive; it is told which of them are not. */
  #stillThere(request: Request, known: readonly bigint[]): ReadonlySet<bigint> {
    const there = new Set<bigint>();
    const gone: JournalEntry[] = [];
    for (const id of known) {
      if (this.#jobs.inactive.has(id)) there.add(id);
      else gone.push({ id, events: [eventToJson({ timestamp: this.#context.clock.now(), name: 'invalidate' })] });
    }
    this.#respond(request, gone);
    return there;
  }

  /**
   * Sends the inactive jobs but those that are known. Those that become inactive meanwhile come behind the others, so when
   * this is done, nothing is missing but the active ones.
   */
  async #readInactive(request: Request, known: ReadonlySet<bigint>): Promise<void> {
    const ids = unknown(this.#jobs.inactive.keys(), known);
    for (;;) {
      const batch = [...take(ids, READ_AHEAD)];
      if (batch.length === 0) break;
      // The end of a job may not be in the KVS yet.
      await this.#writer.committed().catch(() => {});
      const jobs = await Promise.all(batch.map((id) => this.#stored(id)));
      if (!this.#isReader(request)) return;
      this.#respond(
        request,
        jobs.flatMap((job) => (job ? this.#whole(request, job) : [])),
      );
    }
    this.#goLive(request);
  }

  async #stored(id: bigint): Promise<WholeJob | undefined> {
    try {
      return { id, ...(await this.#archive.job(id)) };
    } catch (error) {
      // What is purged meanwhile is no fault.
      if (this.#jobs.inactive.has(id))
        this.#context.log('err', `journal: ${encodeFluid(id)}: ${(error as Error).message}`);
      return undefined;
    }
  }

  #isReader(request: Request): boolean {
    return [...this.#readers].includes(request);
  }

  /** The backlog's rest at once, so that no event comes between it and those that follow. */
  #goLive(request: Request): void {
    if (!this.#isReader(request)) return;
    // What the backlog has is not to be told once more.
    this.#batch.send();
    this.#respond(
      request,
      [...this.#jobs.active.values()].map((job) => this.#whole(request, job)),
    );
    this.#respond(request, [END_OF_BACKLOG]);
    this.#readers.remove(request);
    (this.#filters.get(request)!.isBatched ? this.#batch.listeners : this.#listeners).add(request);
  }

  #respond(request: Request, entries: readonly JournalEntry[]): void {
    if (this.#filters.get(request)!.isBatched) respondBatched(request, entries);
    else for (const entry of entries) request.respond({ ...entry });
  }

  #whole(request: Request, { id, eventlog, jobspec, R }: WholeJob): JournalEntry {
    const filter = this.#filters.get(request)!;
    const events = eventlog.filter(({ name }) => wants(filter, name)).map(eventToJson);
    return { id: integer(id), events, jobspec, ...(R && { R }) };
  }
}

function rules(name: string, value: JsonValue | undefined): JsonObject | undefined {
  if (value === undefined || isObject(value)) return value;
  throw new FluxError('EPROTO', `job-manager.events ${name} should be an object`);
}

function readId(value: JsonValue): bigint {
  if (typeof value === 'bigint' || Number.isInteger(value)) return BigInt(value as number | bigint);
  throw new FluxError('EPROTO', 'job-manager.events known should be an array of job ids');
}

/** Ids of a map, and those that are added meanwhile: its iterator goes on with them. */
function* unknown(ids: Iterable<bigint>, known: ReadonlySet<bigint>): Iterator<bigint> {
  for (const id of ids) if (!known.has(id)) yield id;
}

/** The next items of an iterator, which goes on behind them. */
function* take<T>(items: Iterator<T>, count: number): Iterable<T> {
  for (let taken = 0; taken < count; taken++) {
    const { done, value } = items.next();
    if (done) return;
    yield value;
  }
}
