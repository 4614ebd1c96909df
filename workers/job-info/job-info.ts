/**
 * The module `job-info`: what the KVS has of jobs, for those who may read it: keys of a job, its event logs as they grow,
 * and its R and jobspec as its events change them. Rank 0 answers for all ranks.
 */

import type { ModuleDefinition, Service, ServiceContext } from '../../core/broker/service.ts';
import { FluxError } from '../../core/errno.ts';
import { GUEST_PREFIX } from '../../core/formats/job-keys.ts';
import { isUpdatedKey } from '../../core/formats/job-updates.ts';
import { LATER, type Methods, type Reply, type Request } from '../../core/handle/methods.ts';
import type { JsonObject } from '../../core/json.ts';
import { Role } from '../../core/message/credentials.ts';
import { EventlogWatch, WatchFlag, type WatchHost } from './eventlog-watch.ts';
import { GuestWatch } from './guest-watch.ts';
import { LookupFlag, Lookups } from './lookup.ts';
import { Owners } from './owners.ts';
import { UpdateWatches } from './update-watch.ts';
import { WatchList } from './watch-list.ts';

export const jobInfo: ModuleDefinition = { start: (context) => new JobInfo(context) };

const LOOKUP_FLAGS = LookupFlag.decode | LookupFlag.current;
const WATCH_FLAGS = WatchFlag.waitcreate | WatchFlag.initialSentinel;

class JobInfo implements Service {
  readonly #context: ServiceContext;
  readonly #owners = new Owners();
  readonly #lookups: Lookups;
  readonly #updates: UpdateWatches;
  readonly #watches = new WatchList();
  readonly #guestWatches = new WatchList();

  constructor(context: ServiceContext) {
    this.#context = context;
    this.#updates = new UpdateWatches(context, () => this.#lookups);
    this.#lookups = new Lookups(context, this.#owners, (id, key) => this.#updates.current(id, key));
  }

  readonly methods: Methods = {
    lookup: { allow: Role.user, handler: (request) => this.#lookup(request) },
    'eventlog-watch': { allow: Role.user, handler: (request) => this.#watchEventlog(request) },
    'eventlog-watch-cancel': {
      allow: Role.user,
      handler: (request) => cancelIn(request, this.#watches, this.#guestWatches),
    },
    'update-lookup': { allow: Role.user, handler: (request) => this.#lookupUpdated(request) },
    'update-watch': { allow: Role.user, handler: (request) => this.#watchUpdates(request) },
    'update-watch-cancel': { allow: Role.user, handler: (request) => cancelIn(request, this.#updates.list) },
    disconnect: {
      allow: Role.user,
      handler: (request) => {
        for (const list of this.#lists) list.disconnect(request);
        return undefined;
      },
    },
    'stats-get': { handler: () => this.stats() },
  };

  get #lists(): readonly WatchList[] {
    return [this.#watches, this.#guestWatches, this.#updates.list];
  }

  stats(): JsonObject {
    return {
      lookups: this.#lookups.count,
      watchers: this.#watches.count,
      guest_watchers: this.#guestWatches.count,
      update_lookups: 0,
      update_watchers: this.#updates.list.count,
    };
  }

  stop(): void {
    for (const list of this.#lists) list.stop();
  }

  // ---- requests

  #lookup(request: Request): Promise<Reply> {
    const { id, keys, flags } = request.unpack({ id: 'I', keys: 'a', flags: 'i' });
    checkFlags('lookup', flags, LOOKUP_FLAGS);
    if (!keys.every((key) => typeof key === 'string')) throw new FluxError('EPROTO', 'a key is not a string');
    return this.#lookups.lookup(request, id, keys, flags);
  }

  #lookupUpdated(request: Request): Promise<Reply> {
    const { id, key, flags } = request.unpack({ id: 'I', key: 's', flags: 'i' });
    checkFlags('update-lookup', flags, 0);
    if (key !== 'R') throw new FluxError('EINVAL', 'update-lookup unsupported key specified');
    return this.#lookups.lookup(request, id, [key], LOOKUP_FLAGS);
  }

  #watchEventlog(request: Request): Reply {
    const { id, path, flags } = request.unpack({ id: 'I', path: 's', flags: 'i' });
    checkFlags('eventlog-watch', flags, WATCH_FLAGS);
    checkStreaming('eventlog-watch', request);
    if (!request.message.wantsResponse) return undefined;
    const isGuest = path.startsWith(GUEST_PREFIX);
    const list = isGuest ? this.#guestWatches : this.#watches;
    const host: WatchHost = {
      context: this.#context,
      owners: this.#owners,
      lookups: this.#lookups,
      end: (watch, error) => list.end(watch, error),
    };
    const watch = isGuest
      ? new GuestWatch(host, { request, id, path: path.slice(GUEST_PREFIX.length), flags })
      : new EventlogWatch(host, { request, id, path, flags });
    list.add(watch);
    watch.start();
    return LATER;
  }

  #watchUpdates(request: Request): Reply {
    const { id, key, flags } = request.unpack({ id: 'I', key: 's', flags: 'i' });
    checkFlags('update-watch', flags, 0);
    checkStreaming('update-watch', request);
    if (!isUpdatedKey(key)) throw new FluxError('EINVAL', 'update-watch unsupported key specified');
    if (!request.message.wantsResponse) return undefined;
    this.#updates.watch(request, id, key);
    return LATER;
  }
}

function cancelIn(request: Request, ...lists: readonly WatchList[]): undefined {
  const { matchtag } = request.unpack({ matchtag: 'i' });
  for (const list of lists) list.cancel(request, matchtag);
  return undefined;
}

function checkFlags(method: string, flags: number, known: number): void {
  if (flags & ~known) throw new FluxError('EPROTO', `${method} request rejected with invalid flag`);
}

function checkStreaming(method: string, request: Request): void {
  if (!request.isStreaming) throw new FluxError('EPROTO', `${method} request rejected without streaming RPC flag`);
}
