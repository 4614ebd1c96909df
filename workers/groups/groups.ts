/**
 * The module `groups`: named sets of ranks. A rank joins and leaves for itself; each broker knows the members in its
 * subtree and tells its parent of changes, so rank 0 knows them all, and only rank 0 can be asked.
 *
 * Changes that come in one turn go upstream as one message.
 */

import type { ModuleDefinition, ServiceContext } from '../../core/broker/service.ts';
import { FluxError } from '../../core/errno.ts';
import { IdSet } from '../../core/formats/idset.ts';
import { LATER, type Methods, type Request } from '../../core/handle/methods.ts';
import { RequestList } from '../../core/handle/request-list.ts';
import type { JsonObject } from '../../core/json.ts';
import { Role } from '../../core/message/credentials.ts';
import { NODEID_UPSTREAM } from '../../core/message/message.ts';
import { isObject } from '../../core/message/unpack.ts';
import type { RanksListener } from '../../core/overlay/departures.ts';
import type { ChildListener } from '../../core/overlay/overlay.ts';
import { isOnlineStatus } from '../../core/overlay/subtree.ts';

export interface GroupsHost {
  /** Calls back when a child's status changes. */
  onChild(listener: ChildListener): void;
  /** Calls back with ranks that are gone. */
  onGone(listener: RanksListener): void;
  /** Calls back with ranks that are in other subtrees now. */
  onMovedAway(listener: RanksListener): void;
  /** Calls back when there is another parent, or the same again, which may not know what was told. */
  onParent(listener: () => void): void;
  /** The ranks of the subtree below and with this one. */
  subtree(): Iterable<number>;
  /** Whether ranks have moved. */
  hasMoved(): boolean;
  /** Whether a rank is below and with a child of this one now; what is told of others is out of date. */
  isOf(rank: number, child: number): boolean;
}

interface Group {
  members: IdSet;
  /** The request with which this rank joined. */
  joined: Request | undefined;
  readonly watchers: RequestList;
}

/** Ranks that their parents have not heard of for long. */
const TORPID = 'broker.torpid';

/** Ranks that joined (true) or left (false), in the order in which they did. */
type Changes = { set: boolean; ranks: IdSet }[];

export function groupsModule(host: GroupsHost): ModuleDefinition {
  return { start: (context) => new Groups(context, host) };
}

class Groups {
  readonly #context: ServiceContext;
  readonly #host: GroupsHost;
  readonly #groups = new Map<string, Group>();
  #batch = new Map<string, Changes>();

  constructor(context: ServiceContext, host: GroupsHost) {
    this.#context = context;
    this.#host = host;
    this.#group(TORPID);
    host.onGone((ranks) => this.#leaveAll(IdSet.from(ranks)));
    host.onChild((rank, status, isTorpid) => {
      if (isOnlineStatus(status)) this.#change(TORPID, IdSet.range(rank, rank), isTorpid);
    });
    host.onMovedAway((ranks) => this.#forget(IdSet.from(ranks)));
    host.onParent(() => this.#tellAll(IdSet.from(host.subtree())));
  }

  #group(name: string): Group {
    let group = this.#groups.get(name);
    if (!group) {
      group = { members: IdSet.empty, joined: undefined, watchers: new RequestList() };
      this.#groups.set(name, group);
    }
    return group;
  }

  /** Adds or removes ranks, and lets those know who watch, and the parent. */
  #change(name: string, ranks: IdSet, set: boolean): void {
    const group = this.#group(name);
    const members = set ? group.members.union(ranks) : group.members.difference(ranks);
    if (members.equals(group.members)) return;
    group.members = members;
    if (this.#batch.size === 0) this.#context.clock.after(0, () => this.#flush());
    const changes = this.#batch.get(name);
    const last = changes?.at(-1);
    if (!changes) this.#batch.set(name, [{ set, ranks }]);
    else if (last!.set === set) last!.ranks = last!.ranks.union(ranks);
    else changes.push({ set, ranks });
  }

  #flush(): void {
    const batch = this.#batch;
    this.#batch = new Map();
    for (const name of batch.keys()) {
      const { members, watchers } = this.#group(name);
      if (watchers.count) watchers.respondAll({ members: members.encode() });
    }
    if (this.#context.rank > 0) this.#tellParent(batch);
  }

  #tellParent(batch: ReadonlyMap<string, Changes>): void {
    const update = Object.fromEntries(
      [...batch].map(([name, changes]) => [
        name,
        changes.map(({ set, ranks }) => ({ op: set ? 'set' : 'clear', ranks: ranks.encode() })),
      ]),
    );
    this.#notifyParent({ update });
  }

  #notifyParent(payload: JsonObject): void {
    this.#context.notify('groups.update', { ...payload, child: this.#context.rank }, { nodeid: NODEID_UPSTREAM });
  }

  /** Tells the parent who of these ranks is in which group, whatever it knew. */
  #tellAll(ranks: IdSet): void {
    const changes = Array.from(this.#groups, ([name, { members }]): [string, Changes] => [
      name,
      [
        { set: false, ranks: ranks.difference(members) },
        { set: true, ranks: members },
      ],
    ]);
    this.#tellParent(new Map(changes));
  }

  /** Ranks are gone. A parent may know them in groups in which they are not here, if they moved only just before. */
  #leaveAll(ranks: IdSet): void {
    this.#flush();
    this.#forget(ranks);
    if (this.#context.rank > 0) this.#notifyParent({ gone: ranks.encode() });
  }

  /** Ranks are in no group here any more; the parent is not told. */
  #forget(ranks: IdSet): void {
    for (const group of this.#groups.values()) {
      if (!group.members.intersects(ranks)) continue;
      group.members = group.members.difference(ranks);
      group.watchers.respondAll({ members: group.members.encode() });
    }
  }

  /** What a child tells of its subtree: {name: [{op: set|clear, ranks}]}. */
  #update(update: JsonObject, child?: number): void {
    for (const [name, changes] of Object.entries(update)) {
      if (!Array.isArray(changes)) continue;
      for (const change of changes) {
        if (isObject(change) && typeof change.ranks === 'string')
          this.#change(name, this.#those(change.ranks, child), change.op === 'set');
      }
    }
  }

  #those(ranks: string, child: number | undefined): IdSet {
    const told = IdSet.parse(ranks);
    if (child === undefined || !this.#host.hasMoved()) return told;
    const stray = [...told].filter((rank) => !this.#host.isOf(rank, child));
    return stray.length ? told.difference(IdSet.from(stray)) : told;
  }

  #checkLocal(request: Request): void {
    if ((request.rolemask & Role.local) === 0)
      throw new FluxError('EPROTO', `${request.topic} is restricted to the local broker`);
  }

  get #self(): IdSet {
    return IdSet.range(this.#context.rank, this.#context.rank);
  }

  readonly methods: Methods = {
    join: {
      handler: (request: Request) => {
        const { name } = request.unpack({ name: 's' });
        this.#checkLocal(request);
        const group = this.#group(name);
        if (group.joined) throw new FluxError('EEXIST', `rank ${this.#context.rank} is already a member of ${name}`);
        group.joined = request;
        this.#change(name, this.#self, true);
        return undefined;
      },
    },
    leave: {
      handler: (request: Request) => {
        const { name } = request.unpack({ name: 's' });
        this.#checkLocal(request);
        const group = this.#groups.get(name);
        if (!group?.joined) throw new FluxError('ENOENT', `rank ${this.#context.rank} is not a member of ${name}`);
        group.joined = undefined;
        this.#change(name, this.#self, false);
        return undefined;
      },
    },
    get: {
      allow: Role.user,
      handler: (request: Request) => {
        const { name } = request.unpack({ name: 's' });
        if (this.#context.rank > 0) throw new FluxError('EPROTO', 'this RPC is only available on rank 0');
        const group = this.#group(name);
        request.respond({ members: group.members.encode() });
        if (request.isStreaming) group.watchers.add(request);
        return LATER;
      },
    },
    update: {
      handler: (request: Request) => {
        const { update = {}, gone, child } = request.unpack({ update: 'o?', gone: 's?', child: 'i?' });
        this.#update(update, child);
        if (gone !== undefined) this.#leaveAll(this.#those(gone, child));
        return LATER;
      },
    },
    'stats-get': {
      allow: Role.user,
      handler: () => ({
        subtree: Object.fromEntries([...this.#groups].map(([name, group]) => [name, group.members.encode()])),
      }),
    },
    disconnect: {
      allow: Role.user,
      handler: (request: Request) => {
        for (const [name, group] of this.#groups) {
          group.watchers.disconnect(request);
          if (group.joined?.sender !== request.sender) continue;
          group.joined = undefined;
          this.#change(name, this.#self, false);
        }
        return undefined;
      },
    },
  };
}
