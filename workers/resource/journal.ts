/**
 * What happened to resources: events, some of them kept in the KVS as `resource.eventlog`, all of them told to whoever
 * reads the journal (`resource.journal`).
 *
 * Events are told in the order in which they were posted, each when it and all before it are committed.
 */

import type { ServiceContext } from '../../core/broker/service.ts';
import { asFluxError, type FluxError } from '../../core/errno.ts';
import { decodeEventlog, type EventlogEntry, encodeEventlog, eventToJson } from '../../core/formats/eventlog.ts';
import { CommitFlag } from '../../core/formats/kvs-flags.ts';
import { Kvs, PRIMARY_NAMESPACE } from '../../core/handle/kvs.ts';
import { KvsTransaction } from '../../core/handle/kvs-transaction.ts';
import type { Request } from '../../core/handle/methods.ts';
import { RequestList } from '../../core/handle/request-list.ts';
import type { JsonObject } from '../../core/json.ts';

const EVENTLOG = 'resource.eventlog';
/** Events in one response of a backlog. */
const BATCH = 100;

export interface PostOptions {
  /** Seconds since the epoch; now when absent. */
  readonly timestamp?: number;
  /** Whether it is kept in the KVS. */
  readonly isKept: boolean;
  /** Whether it must be known after a crash, too. */
  readonly isSynced?: boolean;
  /** Called when it is committed, or cannot be, before it is told. */
  readonly done?: (error: FluxError | undefined) => void;
}

export type EventListener = (name: string, context: JsonObject) => void;

export class Journal {
  readonly readers = new RequestList();
  readonly #context: ServiceContext;
  readonly #kvs: Kvs;
  readonly #resources: () => JsonObject | undefined;
  readonly #listeners: EventListener[] = [];
  #events: EventlogEntry[] = [];
  #max: number;
  /** Settles when all that was posted is told. */
  #told: Promise<void> = Promise.resolve();

  /** `resources` gives R, which goes with the event that it is defined. */
  constructor(context: ServiceContext, max: number, resources: () => JsonObject | undefined) {
    this.#context = context;
    this.#kvs = new Kvs(context, PRIMARY_NAMESPACE);
    this.#max = max;
    this.#resources = resources;
  }

  /** Reads what the KVS has of earlier lives; rejects with a FluxError when that makes no sense. */
  async load(): Promise<readonly EventlogEntry[]> {
    const past = await this.#read();
    // R may be another by now.
    this.#events = past.filter(({ name }) => name !== 'resource-define');
    this.#truncate();
    return past;
  }

  async #read(): Promise<readonly EventlogEntry[]> {
    try {
      return decodeEventlog(await this.#kvs.getText(EVENTLOG));
    } catch (error) {
      if (asFluxError(error).code === 'ENOENT') return [];
      throw error;
    }
  }

  /** Removes what is older than a time from the KVS: seconds since the epoch. */
  async forget(before: number): Promise<void> {
    await this.#told;
    const events = await this.#read();
    const kept = events.filter(({ timestamp }) => timestamp >= before);
    if (kept.length < events.length) await this.#kvs.commit(new KvsTransaction().put(EVENTLOG, encodeEventlog(kept)));
  }

  /** Posts an event; resolves when it is told. */
  post(name: string, context: JsonObject, { timestamp, isKept, isSynced, done }: PostOptions): Promise<void> {
    const event: EventlogEntry = { timestamp: timestamp ?? this.#context.clock.now(), name, context };
    this.#events.push(event);
    this.#truncate();
    const flags = isSynced ? this.syncFlags : 0;
    const commit = isKept ? this.#kvs.commit(new KvsTransaction().appendEvent(EVENTLOG, event), { flags }) : undefined;
    const committed = Promise.resolve(commit).then(
      () => undefined,
      (error: unknown) => asFluxError(error),
    );
    this.#told = Promise.all([committed, this.#told]).then(([error]) => {
      done?.(error);
      if (error) this.#context.log('err', `committing to ${EVENTLOG}: ${error.message}`);
      else this.#tell(event);
    });
    return this.#told;
  }

  /** Flags of a commit that is to outlive a crash, where anything does. */
  get syncFlags(): number {
    return this.#context.attribute('content.backing-module') === 'none' ? 0 : CommitFlag.sync;
  }

  #tell(event: EventlogEntry): void {
    for (const listener of this.#listeners) listener(event.name, event.context!);
    this.readers.respondAll(this.#response([event]));
  }

  /** Calls back for each event that is told. */
  onEvent(listener: EventListener): void {
    this.#listeners.push(listener);
  }

  // ---- the journal

  get max(): number {
    return this.#max;
  }
  set max(max: number) {
    this.#max = max;
    this.#truncate();
  }

  /** An event `truncate` stands for those that are not kept in memory. */
  #truncate(): void {
    if (this.#events.length <= this.#max) return;
    const dropped = this.#events.splice(0, this.#events.length - Math.max(this.#max - 1, 0));
    this.#events.unshift({ timestamp: dropped.at(-1)!.timestamp, name: 'truncate' });
  }

  /** Answers with all events so far, then with an empty response, and goes on with those that come. */
  read(request: Request): void {
    let batch: EventlogEntry[] = [];
    const flush = () => {
      if (batch.length) request.respond(this.#response(batch));
      batch = [];
    };
    for (const event of this.#events) {
      const isDefinition = event.name === 'resource-define';
      if (isDefinition || batch.length === BATCH) flush();
      batch.push(event);
      if (isDefinition) flush();
    }
    flush();
    request.respond({ events: [] });
    this.readers.add(request);
  }

  #response(events: readonly EventlogEntry[]): JsonObject {
    const R = events[0]?.name === 'resource-define' ? this.#resources() : undefined;
    const shown = events.map(eventToJson);
    return { events: shown, ...(R && { R }) };
  }

  stop(): void {
    for (const request of this.readers.takeAll()) request.endStream();
  }
}
