/**
 * Follows the journal of the job manager: all events of all jobs there are, an entry for each job, an empty one behind
 * them, and then events as they happen; many entries in each message.
 *
 * Of a job manager that is loaded anew the journal is asked for again. It leaves out inactive jobs that the reader knows, and
 * tells of those of them that are no more (an event `invalidate`).
 */

import type { ServiceContext, Timer } from '../../core/broker/service.ts';
import type { FluxError } from '../../core/errno.ts';
import type { EventlogEntry } from '../../core/formats/eventlog.ts';
import { type Responses, untilEnd } from '../../core/handle/rpc.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import { Flag, type Message } from '../../core/message/message.ts';
import { unpack } from '../../core/message/unpack.ts';

/** What an entry of the journal says of a job. */
export interface JournalRecord {
  readonly id: bigint;
  readonly events: readonly EventlogEntry[];
  readonly jobspec: JsonObject | undefined;
  readonly R: JsonObject | undefined;
}

export interface JournalReader {
  /** Inactive jobs that the journal need not tell of. */
  known(): bigint[];
  /** The journal begins: whatever else was known before, it tells anew. */
  begin(): void;
  take(record: JournalRecord): void;
  /** All is told that has happened so far. */
  upToDate(): void;
  /** There is no journal now. */
  lost(error: FluxError): void;
}

/** Which job the message is of that stands behind all that has happened so far. */
const ANY_JOB = -1n;
/** Seconds between two attempts to get a journal. */
const RETRY_DELAY = 1;
/** Seconds for which events are taken without others having their turns. */
const SLICE = 0.005;

export class Journal {
  readonly #context: ServiceContext;
  readonly #reader: JournalReader;
  #responses: Responses | undefined;
  #timer: Timer | undefined;
  #isStopped = false;
  #sliceEnd = 0;
  /** Messages of this journal that were taken. */
  #taken = 0;
  /** Who waits until so many messages are taken, in order. */
  readonly #waits: { readonly taken: number; readonly go: () => void }[] = [];

  constructor(context: ServiceContext, reader: JournalReader) {
    this.#context = context;
    this.#reader = reader;
  }

  /**
   * Begins to follow the journal; goes on by itself.
   *
   * @throws FluxError ENOSYS: there is no job manager
   */
  async start(): Promise<void> {
    const first = await this.#open();
    if (first.errnum) throw first.error();
    this.#follow(first);
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#responses?.abandon();
    this.#endWaits();
  }

  /** Resolves when all that has come so far is taken, or can't be any more; undefined: it is taken. */
  caughtUp(): Promise<void> | undefined {
    const taken = this.#responses?.received ?? 0;
    if (taken <= this.#taken) return undefined;
    return new Promise((go) => this.#waits.push({ taken, go }));
  }

  #endWaits(taken = Infinity): void {
    while (this.#waits.length && this.#waits[0]!.taken <= taken) this.#waits.shift()!.go();
  }

  #open(): Promise<Message> {
    const payload = { full: true, batched: true, known: this.#reader.known() };
    this.#responses = this.#context.request('job-manager.events-journal', payload, { flags: Flag.streaming });
    return this.#responses.next();
  }

  async #follow(first: Message): Promise<void> {
    for (let message: Message | undefined = first; !this.#isStopped; message = undefined) {
      if (!message) message = await this.#reopen();
      if (!message) return;
      this.#taken = 0;
      this.#reader.begin();
      this.#take(message);
      const error = await untilEnd(this.#responses!, (next) => this.#take(next));
      this.#endWaits();
      if (this.#isStopped) return;
      this.#context.log('err', `the journal of the job manager ended: ${error.message}`);
      this.#reader.lost(error);
    }
  }

  async #reopen(): Promise<Message | undefined> {
    while (!this.#isStopped) {
      await this.#pause(RETRY_DELAY);
      const message = await this.#open().catch(() => undefined);
      if (message && !message.errnum) return message;
    }
    return undefined;
  }

  #pause(seconds: number): Promise<void> {
    return new Promise((resolve) => {
      this.#timer = this.#context.clock.after(seconds, resolve);
    });
  }

  #take(message: Message): void | Promise<void> {
    let entries: readonly JsonValue[] = [];
    try {
      entries = message.unpack({ jobs: 'a' }).jobs;
    } catch (error) {
      this.#invalid(error);
    }
    return this.#takeFrom(entries, 0);
  }

  /** Takes the entries of a message from one on. */
  #takeFrom(entries: readonly JsonValue[], first: number): void | Promise<void> {
    for (let at = first; at < entries.length; at++) {
      this.#takeEntry(entries[at]!);
      const pause = this.#endOfSlice();
      if (pause) return pause.then(() => this.#takeFrom(entries, at + 1));
    }
    this.#endWaits(++this.#taken);
  }

  #takeEntry(entry: JsonValue): void {
    try {
      const { id, events, jobspec, R } = unpack(entry, { id: 'I', events: 'a', jobspec: 'o?', R: 'o?' });
      if (id === ANY_JOB) this.#reader.upToDate();
      else this.#reader.take({ id, events: events.map(readEvent), jobspec, R });
    } catch (error) {
      this.#invalid(error);
    }
  }

  #invalid(error: unknown): void {
    this.#context.log('err', `journal of the job manager: ${(error as Error).message}`);
  }

  /** Long sequences are taken in slices. */
  #endOfSlice(): void | Promise<void> {
    const { clock } = this.#context;
    const now = clock.monotonic();
    if (now < this.#sliceEnd) return;
    const wasIdle = now > this.#sliceEnd + SLICE;
    this.#sliceEnd = now + SLICE;
    if (wasIdle) return;
    return this.#pause(0).then(() => {
      this.#sliceEnd = clock.monotonic() + SLICE;
    });
  }
}

function readEvent(value: unknown): EventlogEntry {
  const { timestamp, name, context } = unpack(value as JsonObject, { timestamp: 'n', name: 's', context: 'o?' });
  return context ? { timestamp, name, context } : { timestamp, name };
}
