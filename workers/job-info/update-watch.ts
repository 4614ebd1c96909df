/**
 * R and jobspecs that are watched: each is read once, and kept as the job's events change it, however many watch it.
 */

import type { ServiceContext } from '../../core/broker/service.ts';
import { asFluxError, endOfStream, FluxError } from '../../core/errno.ts';
import { decodeEventlog, decodeEventlogEntry } from '../../core/formats/eventlog.ts';
import { jobKey } from '../../core/formats/job-keys.ts';
import { applyUpdate, type UpdatedKey, updateEvents } from '../../core/formats/job-updates.ts';
import { PRIMARY_NAMESPACE } from '../../core/handle/kvs.ts';
import type { Request } from '../../core/handle/methods.ts';
import type { JsonObject } from '../../core/json.ts';
import { entryNamed } from './event-names.ts';
import { kvsFlags } from './eventlog-watch.ts';
import { LogStream } from './log-stream.ts';
import { type Lookups, parseObject } from './lookup.ts';
import { isOwn, submitter } from './owners.ts';
import { type Watch, WatchList } from './watch-list.ts';

export class UpdateWatches {
  readonly list = new WatchList();
  readonly #context: ServiceContext;
  readonly #lookups: () => Lookups;
  readonly #values = new Map<string, WatchedValue>();

  constructor(context: ServiceContext, lookups: () => Lookups) {
    this.#context = context;
    this.#lookups = lookups;
  }

  /** What is known of a key, if somebody watches it. */
  current(id: bigint, key: UpdatedKey): JsonObject | undefined {
    return this.#values.get(`${id}-${key}`)?.value;
  }

  /** @throws FluxError EPERM: it is another's job; EINVAL: the matchtag is that of another watch */
  watch(request: Request, id: bigint, key: UpdatedKey): void {
    const name = `${id}-${key}`;
    const watch: Watch = { request, stop: () => this.#values.get(name)?.remove(watch) };
    this.list.add(watch);
    const value = this.#values.get(name) ?? this.#open(name, id, key);
    value.add(watch);
  }

  #open(name: string, id: bigint, key: UpdatedKey): WatchedValue {
    const value = new WatchedValue(this.#context, id, key, {
      end: (watch, error) => this.list.end(watch, error),
      unused: () => {
        if (this.#values.get(name) === value) this.#values.delete(name);
      },
    });
    this.#values.set(name, value);
    value.start(this.#lookups());
    return value;
  }
}

interface ValueHost {
  end(watch: Watch, error: FluxError): void;
  /** Nobody watches it any more. */
  unused(): void;
}

class WatchedValue {
  /** Undefined until it is read. */
  value: JsonObject | undefined;
  readonly #context: ServiceContext;
  readonly #id: bigint;
  readonly #key: UpdatedKey;
  readonly #host: ValueHost;
  readonly #watches = new Set<Watch>();
  #owner = 0;
  #log: LogStream | undefined;
  /** Updates that the value had when it was read: the log tells them again. */
  #known = 0;

  constructor(context: ServiceContext, id: bigint, key: UpdatedKey, host: ValueHost) {
    this.#context = context;
    this.#id = id;
    this.#key = key;
    this.#host = host;
  }

  add(watch: Watch): void {
    this.#watches.add(watch);
    if (this.value) this.#tellFirst(watch);
  }

  remove(watch: Watch): void {
    this.#watches.delete(watch);
    if (this.#watches.size) return;
    this.#log?.stop();
    this.#host.unused();
  }

  start(lookups: Lookups): void {
    void this.#read(lookups).catch((error: unknown) => this.#endAll(asFluxError(error)));
  }

  async #read(lookups: Lookups): Promise<void> {
    const { text, eventlog } = await lookups.stored(this.#id, this.#key);
    this.#owner = submitter(eventlog);
    let value = parseObject(this.#key, text);
    const entries = decodeEventlog(eventlog);
    for (const { name, context } of entries) {
      if (name !== updateEvents[this.#key]) continue;
      if (context) value = this.#apply(value, context);
      this.#known++;
    }
    this.value = value;
    for (const watch of [...this.#watches]) this.#tellFirst(watch);
    if (entries.some(({ name }) => name === 'clean')) this.#endAll(endOfStream);
    else if (this.#watches.size) this.#follow();
  }

  #tellFirst(watch: Watch): void {
    if (isOwn(watch.request, this.#owner)) watch.request.respond({ [this.#key]: this.value! });
    else this.#host.end(watch, new FluxError('EPERM'));
  }

  #follow(): void {
    const place = { namespace: PRIMARY_NAMESPACE, key: jobKey(this.#id, 'eventlog'), flags: kvsFlags(0) };
    this.#log = new LogStream(this.#context, place, {
      entries: (lines) => this.#takeEvents(lines),
      sentinel: () => {},
      ended: (error) => this.#endAll(error),
    });
  }

  #takeEvents(lines: readonly string[]): void {
    for (const line of lines) {
      if (entryNamed(line, 'clean')) {
        this.#endAll(endOfStream);
        return;
      }
      if (!entryNamed(line, updateEvents[this.#key])) continue;
      if (this.#known > 0) {
        this.#known--;
        continue;
      }
      const { context } = decodeEventlogEntry(line);
      if (!context) continue;
      this.value = this.#apply(this.value!, context);
      for (const { request } of this.#watches) request.respond({ [this.#key]: this.value });
    }
  }

  #apply(value: JsonObject, context: JsonObject): JsonObject {
    return applyUpdate(this.#key, value, context, (path) =>
      this.#context.log('info', `failed to update job ${this.#id} ${this.#key}: there is no ${path}`),
    );
  }

  #endAll(error: FluxError): void {
    for (const watch of [...this.#watches]) this.#host.end(watch, error);
  }
}
