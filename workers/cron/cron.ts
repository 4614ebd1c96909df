/**
 * The module `cron`: runs commands after a time, at events and at dates, as programs of the instance that no scheduler knows
 * of. It belongs on rank 0, which runs them on any rank.
 */

import type { ModuleDefinition, Service, ServiceContext } from '../../core/broker/service.ts';
import { FluxError } from '../../core/errno.ts';
import { parseDuration } from '../../core/formats/duration.ts';
import type { Methods, Request } from '../../core/handle/methods.ts';
import { type JsonObject, real } from '../../core/json.ts';
import { makeDatetime } from './datetime.ts';
import { Entry } from './entry.ts';
import { makeEvent } from './event.ts';
import { makeInterval } from './interval.ts';
import { readEntrySpec } from './request.ts';
import { SyncPoint } from './sync-point.ts';
import type { MakeTrigger } from './trigger.ts';

const triggers: ReadonlyMap<string, MakeTrigger> = new Map([
  ['interval', makeInterval],
  ['event', makeEvent],
  ['datetime', makeDatetime],
]);

export const cron: ModuleDefinition = { start: (context, args) => new Cron(context, args) };

class Cron implements Service {
  readonly #context: ServiceContext;
  readonly #sync: SyncPoint;
  readonly #entries = new Map<number, Entry>();
  #lastId = 0;

  constructor(context: ServiceContext, args: readonly string[]) {
    this.#context = context;
    this.#sync = new SyncPoint(context);
    let topic: string | undefined;
    for (const arg of args) {
      const [, key, value = ''] = /^(sync|sync_epsilon)=(.+)$/s.exec(arg) ?? [];
      if (key === 'sync') topic = value;
      else if (key === 'sync_epsilon') this.#sync.epsilon = parseDuration(value);
      else throw new FluxError('EINVAL', `${arg}: unknown option`);
    }
    if (topic !== undefined) this.#sync.follow(topic);
  }

  /** An id is spent even when its entry cannot be made, as in Flux. */
  #create(request: Request): JsonObject {
    const spec = readEntrySpec(request.payload);
    const id = ++this.#lastId;
    const makeTrigger = triggers.get(spec.type);
    if (!makeTrigger)
      throw new FluxError('ENOSYS', `there is no type '${spec.type}'; there are ${[...triggers.keys()].join(', ')}`);
    const entry = new Entry(this.#context, this.#sync, id, spec, makeTrigger, () => this.#entries.delete(id));
    this.#entries.set(id, entry);
    entry.start();
    return entry.toJSON();
  }

  #find(request: Request): Entry {
    const { id } = request.unpack({ id: 'i' });
    const entry = this.#entries.get(id);
    if (!entry) throw new FluxError('ENOENT', `there is no cron-${id}`);
    return entry;
  }

  #delete(request: Request): JsonObject {
    const entry = this.#find(request);
    const { kill = false } = request.unpack({ kill: 'b?' });
    const before = entry.toJSON();
    entry.delete(kill);
    return before;
  }

  #setSync(request: Request): JsonObject {
    const sync = this.#sync;
    const { topic, disable, sync_epsilon } = request.unpack({ topic: 's?', disable: 'b?', sync_epsilon: 'n?' });
    if (topic === '') throw new FluxError('EINVAL', 'the topic is empty');
    if (topic !== undefined) sync.follow(topic);
    else if (disable) sync.disable();
    if (sync_epsilon !== undefined) sync.epsilon = sync_epsilon;
    if (sync.topic === undefined) return { sync_disabled: true };
    return { sync_event: sync.topic, sync_epsilon: real(sync.epsilon) };
  }

  readonly methods: Methods = {
    create: { handler: (request) => this.#create(request) },
    delete: { handler: (request) => this.#delete(request) },
    list: { handler: () => ({ entries: [...this.#entries.values()].map((entry) => entry.toJSON()) }) },
    stop: {
      handler: (request) => {
        const entry = this.#find(request);
        entry.stop();
        return entry.toJSON();
      },
    },
    start: {
      handler: (request) => {
        const entry = this.#find(request);
        entry.start();
        return entry.toJSON();
      },
    },
    sync: { handler: (request) => this.#setSync(request) },
  };

  stop(): void {
    for (const entry of this.#entries.values()) entry.abandon();
  }
}
