/**
 * What a restart is to know of jobs that are over, in pieces of many, so that it need not read the event log of each.
 *
 *     checkpoint.job-manager-inactive.N   jobs that are over
 *     checkpoint.job-manager-others       jobs in no piece: some by their ids, and any whose id is greater than `until`
 *     checkpoint.job-manager              has a member `history` while these are right: a manager that knows nothing of them
 *                                         writes it without
 *
 * They change in the commits that change the jobs, so they are right after a crash, too. Without them, or when they can't
 * be read, all event logs are read, and the pieces made anew.
 */

import type { ServiceContext } from '../../core/broker/service.ts';
import { asFluxError } from '../../core/errno.ts';
import { Kvs, PRIMARY_NAMESPACE } from '../../core/handle/kvs.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import { unpack } from '../../core/message/unpack.ts';
import { isTemporary } from '../content/backing-store.ts';
import { RecordPieces } from '../record-pieces.ts';
import type { EventWriter } from './event-writer.ts';
import { eventSet, InactiveJob, type Job } from './job.ts';
import type { Jobs } from './jobs.ts';

const PIECES_KEY = 'checkpoint.job-manager-inactive';
const OTHERS_KEY = 'checkpoint.job-manager-others';
const VERSION = 1;
/** Jobs that are over are put into pieces once there are as many of them as there are active ones in so many. */
const ACTIVE_SHARE = 8;
/** Milliseconds by which jobs may come later than others with greater ids, at first. */
const LATE_MIN = 1000;
/** Where the milliseconds of an id are (RFC 19). */
const TIMESTAMP_SHIFT = 24n;

/** What is known of the past without event logs. */
export interface Past {
  readonly inactive: readonly InactiveJob[];
  /** Jobs with smaller ids are inactive, or among `others`. */
  readonly until: bigint;
  /** Ids of jobs that may have been purged since. */
  readonly others: readonly bigint[];
}

export interface HistoryHost {
  readonly context: ServiceContext;
  readonly jobs: Jobs;
  readonly writer: EventWriter;
  /** Writes `checkpoint.job-manager`. */
  saveState(): void;
}

export class History {
  readonly #host: HistoryHost;
  /** Whether anything outlasts the instance. */
  readonly #isKept: boolean;
  readonly #kvs: Kvs;
  #pieces = new RecordPieces(PIECES_KEY, { encode, decode });
  /** All jobs are back. */
  #isStarted = false;
  /** Whether a restart may rely on what is in the KVS. */
  #isValid = false;
  /** The checkpoint says so, and it is not. */
  #isMisleading = false;
  #until = -1n;
  #late = LATE_MIN;

  constructor(host: HistoryHost) {
    this.#host = host;
    this.#kvs = new Kvs(host.context, PRIMARY_NAMESPACE);
    this.#isKept = !isTemporary(host.context);
  }

  /** Member of the checkpoint. */
  get version(): number | undefined {
    return this.#isValid ? VERSION : undefined;
  }

  /** @param checkpoint what `checkpoint.job-manager` has */
  async load(checkpoint: JsonObject | undefined): Promise<Past | undefined> {
    if (!this.#isKept || checkpoint?.history !== VERSION) return undefined;
    try {
      const { until, ids } = unpack(await this.#kvs.getJson(OTHERS_KEY), { until: 's', ids: 'a' });
      const inactive = await this.#pieces.load(this.#kvs);
      this.#isValid = true;
      this.#until = BigInt(until);
      return { inactive, until: this.#until, others: ids.map((id) => BigInt(id as string)) };
    } catch (error) {
      this.#host.context.log(
        'err',
        `restart: all event logs are read, as records can not be: ${asFluxError(error).message}`,
      );
      this.#pieces = new RecordPieces(PIECES_KEY, { encode, decode });
      this.#isMisleading = true;
      return undefined;
    }
  }

  /** All jobs are back after a restart. */
  started(): void {
    this.#isStarted = true;
    this.#putChanges();
    if (this.#isMisleading) this.#host.saveState();
    this.#check();
  }

  /** A job is over. */
  added(job: InactiveJob): void {
    if (!this.#isKept || job.piece !== undefined) return;
    this.#pieces.add(job);
    if (this.#isStarted) this.#check();
  }

  /** Jobs are purged. */
  removed(jobs: readonly InactiveJob[]): void {
    for (const job of jobs) this.#pieces.remove(job);
    this.#putChanges();
  }

  /** A job is active that was not there before. */
  submitted({ id }: Job): void {
    if (id > this.#until) return;
    while (id <= this.#until) {
      this.#late = Math.max(this.#late * 2, LATE_MIN);
      this.#until = this.#newUntil();
    }
    this.#putOthers();
  }

  /** No job comes any more, not even late. */
  stop(): void {
    this.#late = 0;
    if (this.#pieces.gathered) this.#close();
  }

  #check(): void {
    if (this.#pieces.isDue && this.#pieces.gathered >= this.#host.jobs.active.size / ACTIVE_SHARE) this.#close();
  }

  #close(): void {
    if (!this.#isValid) this.#host.writer.put(PIECES_KEY, undefined);
    this.#isValid = true;
    this.#pieces.close();
    this.#putChanges();
    this.#until = this.#newUntil();
    this.#putOthers();
    this.#host.saveState();
  }

  #newUntil(): bigint {
    const until = this.#host.jobs.maxId - (BigInt(this.#late) << TIMESTAMP_SHIFT);
    return until < 0n ? -1n : until;
  }

  #putChanges(): void {
    for (const { key, value } of this.#pieces.takeChanges()) this.#host.writer.put(key, value);
  }

  #putOthers(): void {
    const ids = [...this.#host.jobs.active.keys()].filter((id) => id <= this.#until);
    this.#host.writer.put(OTHERS_KEY, { until: `${this.#until}`, ids: ids.map(String) });
  }
}

// ---- a piece

/** Names of events are the same for most jobs: they are told once, and jobs have their place. */
function encode(jobs: readonly InactiveJob[]): JsonValue {
  const sets = new Map<ReadonlySet<string>, number>();
  const rows = jobs.map((job) => {
    const { id, userid, urgency, priority, flags, tSubmit, tClean, result, endedByException, eventNames } = job;
    const set = sets.get(eventNames) ?? sets.size;
    sets.set(eventNames, set);
    return [`${id}`, userid, urgency, priority, flags, tSubmit, tClean, result, endedByException, set];
  });
  return { events: [...sets.keys()].map((names) => [...names]), jobs: rows };
}

type Row = readonly [string, number, number, number, number, number, number, number, boolean, number];

function decode(value: JsonValue): InactiveJob[] {
  const { events, jobs } = unpack(value, { events: 'a', jobs: 'a' });
  const sets = events.map((names) => eventSet(names as readonly string[]));
  return jobs.map((row) => {
    const [id, userid, urgency, priority, flags, tSubmit, tClean, result, endedByException, set] =
      row as unknown as Row;
    return new InactiveJob({
      id: BigInt(id),
      userid,
      urgency,
      priority,
      flags,
      tSubmit,
      tClean,
      result,
      endedByException,
      eventNames: sets[set]!,
    });
  });
}
