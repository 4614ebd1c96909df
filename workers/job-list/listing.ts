/**
 * Answers to requests for many jobs. A long one is worked off in slices, so that others have their turns: it tells of the
 * jobs that there were when it began, as they are when their turn comes.
 */

import type { Clock } from '../../core/broker/service.ts';
import { asFluxError } from '../../core/errno.ts';
import { JobState } from '../../core/formats/job-state.ts';
import type { Request } from '../../core/handle/methods.ts';
import { mayEnd } from '../../core/handle/request-list.ts';
import type { SlowReaders } from '../rexec/slow-readers.ts';
import type { JobWriter } from './attributes.ts';
import type { Constraint } from './constraint.ts';
import type { Job } from './job.ts';
import type { Jobs } from './jobs.ts';

export interface ListQuery {
  readonly constraint: Constraint;
  readonly write: JobWriter;
  /** Jobs at most; 0: all. */
  readonly entriesMax: number;
  /** Only inactive jobs that became so later: seconds since the epoch. */
  readonly since: number;
  /** Jobs at most in one response of a stream. */
  readonly batch: number;
}

/** Seconds that a slice takes. */
const SLICE = 0.003;
/** Jobs that are looked at between two looks at the clock. */
const LOOK_EVERY = 32;

/** The jobs of the lists in which a request may find some, in the order in which they are told of. */
class Candidates {
  readonly #chunks: readonly (readonly Job[])[];
  /** The first of them that has inactive jobs, the newest first. */
  readonly #inactive: number;
  readonly #since: number;
  #chunk = 0;
  #place = 0;

  constructor(jobs: Jobs, { constraint: { possible }, since }: ListQuery) {
    const pending = possible & JobState.pending ? jobs.pending.snapshot() : [];
    const running = possible & JobState.running ? jobs.running.snapshot() : [];
    const inactive = possible & JobState.inactive ? jobs.inactive.snapshot() : [];
    this.#chunks = [...pending, ...running, ...inactive];
    this.#inactive = pending.length + running.length;
    this.#since = since;
  }

  next(): Job | undefined {
    for (; this.#chunk < this.#chunks.length; this.#chunk++, this.#place = 0) {
      const job = this.#chunks[this.#chunk]![this.#place++];
      if (!job) continue;
      return this.#chunk >= this.#inactive && job.ended <= this.#since ? undefined : job;
    }
    return undefined;
  }
}

class Listing {
  readonly request: Request;
  isPaused = false;
  readonly #query: ListQuery;
  readonly #candidates: Candidates;
  readonly #resumed: () => void;
  /** What an answer in one message says so far. */
  readonly #parts: Buffer[] = [];
  /** Jobs that are not told of yet. */
  #texts: string[] = [];
  #count = 0;

  constructor(request: Request, query: ListQuery, jobs: Jobs, resumed: () => void) {
    this.request = request;
    this.#query = query;
    this.#candidates = new Candidates(jobs, query);
    this.#resumed = resumed;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    this.#resumed();
  }

  /** Goes on until a time by the clock; true when the request is answered. */
  work(clock: Clock, until: number): boolean {
    try {
      while (!this.isPaused) {
        for (let looks = 0; looks < LOOK_EVERY; looks++) if (this.#isAtEnd()) return true;
        if (clock.monotonic() >= until) break;
      }
      this.#tell();
      return false;
    } catch (error) {
      this.request.fail(asFluxError(error));
      return true;
    }
  }

  /** Takes the next job, if it is one of those wanted. */
  #isAtEnd(): boolean {
    const { constraint, write, entriesMax, batch } = this.#query;
    const job = this.#candidates.next();
    if (job) {
      if (!constraint.test(job)) return false;
      this.#count++;
      if (this.#texts.push(write(job)) >= batch && this.request.isStreaming) this.#tell();
      if (this.#count !== entriesMax) return false;
    }
    this.#end();
    return true;
  }

  #tell(): void {
    const isFirst = this.#count === this.#texts.length;
    const text = this.#texts.join(',');
    this.#texts = [];
    if (text === '') return;
    if (!this.request.isStreaming) this.#parts.push(Buffer.from(isFirst ? text : `,${text}`));
    else this.request.respond(Buffer.from(`{"jobs":[${text}]${isFirst ? ',"version":1' : ''}}\0`));
  }

  #end(): void {
    this.#tell();
    if (this.request.isStreaming) this.request.endStream();
    else this.request.respond(Buffer.concat([Buffer.from('{"jobs":['), ...this.#parts, Buffer.from(']}\0')]));
  }
}

export class Listings {
  readonly #clock: Clock;
  readonly #slowReaders: SlowReaders | undefined;
  #waiting: Listing[] = [];
  #isScheduled = false;

  /** @param slowReaders knows which clients do not take what they are sent */
  constructor(clock: Clock, slowReaders: SlowReaders | undefined) {
    this.#clock = clock;
    this.#slowReaders = slowReaders;
  }

  /** Answers a request: at once, unless that takes long or others take long. */
  start(request: Request, query: ListQuery, jobs: Jobs): void {
    const listing = new Listing(request, query, jobs, () => this.#schedule());
    if (this.#waiting.length === 0 && this.#work(listing)) return;
    this.#waiting.push(listing);
    this.#slowReaders?.add(request, listing);
    this.#schedule();
  }

  #work(listing: Listing): boolean {
    return listing.work(this.#clock, this.#clock.monotonic() + SLICE);
  }

  #schedule(): void {
    if (this.#isScheduled || !this.#waiting.some(({ isPaused }) => !isPaused)) return;
    this.#isScheduled = true;
    this.#clock.after(0, () => {
      this.#isScheduled = false;
      this.#turn();
      this.#schedule();
    });
  }

  /** One slice of the one that has waited longest. */
  #turn(): void {
    const listing = this.#waiting.find(({ isPaused }) => !isPaused);
    if (!listing) return;
    this.#remove((each) => each === listing);
    if (this.#work(listing)) this.#slowReaders?.remove(listing);
    else this.#waiting.push(listing);
  }

  /** A client is gone. */
  disconnect(disconnect: Request): void {
    this.#remove((each) => {
      const isGone = each.request.sender === disconnect.sender && mayEnd(disconnect, each.request);
      if (isGone) this.#slowReaders?.remove(each);
      return isGone;
    });
  }

  #remove(matches: (listing: Listing) => boolean): void {
    this.#waiting = this.#waiting.filter((each) => !matches(each));
  }

  stop(): void {
    for (const listing of this.#waiting.splice(0)) {
      this.#slowReaders?.remove(listing);
      listing.request.fail('ENOSYS');
    }
  }
}
