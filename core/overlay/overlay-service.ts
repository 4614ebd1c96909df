/** The service `overlay` of one rank: what others may ask of its place in the tree, and how ranks are moved. */

import type { Clock, Timer } from '../broker/service.ts';
import { FluxError } from '../errno.ts';
import { LATER, type Methods, type Request } from '../handle/methods.ts';
import { endingMethods, RequestList } from '../handle/request-list.ts';
import { type JsonObject, type JsonValue, real } from '../json.ts';
import { Role } from '../message/credentials.ts';
import type { Moves } from './moves.ts';
import type { Overlay } from './overlay.ts';
import { isOnlineStatus, type SubtreeStatus } from './subtree.ts';
import type { Topology } from './topology.ts';

export interface OverlayServiceHost {
  readonly rank: number;
  readonly topology: Topology;
  readonly moves: Moves;
  readonly clock: Clock;
  /** Asks another rank. */
  rpc(topic: string, payload: JsonObject, rank: number): Promise<JsonValue | undefined>;
  /** At rank 0: tells all ranks of a move. */
  publishMove(rank: number, parent: number): void;
  /**
   * At rank 0: whether the processes could be linked if a rank moved.
   *
   * @throws FluxError EINVAL: why not
   */
  checkMove(rank: number, parent: number): void;
  /** Where the process of this rank takes connections; undefined where it takes none. */
  address(): Promise<string | undefined>;
  /** Connects to the process of a rank, at `uri` if its address is not known. */
  reach(rank: number, uri?: string): Promise<void>;
}

/** Seconds that a rank which was moved may take to come. */
const ARRIVAL_TIMEOUT = 10;

export class OverlayService {
  readonly #overlay: Overlay;
  readonly #host: OverlayServiceHost;
  readonly #healthRequests = new RequestList();
  readonly #monitors = new RequestList();
  // Who waits for children that are about to come.
  readonly #arrivals = new Map<number, Request[]>();
  readonly #timers = new Set<Timer>();

  constructor(overlay: Overlay, host: OverlayServiceHost) {
    this.#overlay = overlay;
    this.#host = host;
    overlay.onChild((rank, status, torpid) => {
      if (isOnlineStatus(status)) this.#arrived(rank);
      this.#monitors.respondAll({ rank, status, torpid });
      if (this.#healthRequests.count) this.#healthRequests.respondAll(this.#describeHealth());
    });
  }

  #describeHealth(): JsonObject {
    const { health } = this.#overlay;
    const now = this.#host.clock.monotonic();
    const children = [...health.entries()].map(([rank, child]) => ({
      rank,
      status: child.status,
      duration: real(now - child.since),
      ...(!isOnlineStatus(child.status) && child.error && { error: child.error }),
    }));
    return { rank: this.#host.rank, status: health.status, duration: real(now - health.since), children };
  }

  #describeTopology(rank: number): JsonObject {
    const { topology } = this.#host;
    const children = [...topology.children(rank)].map((child) => this.#describeTopology(child));
    return { rank, size: topology.descendants(rank) + 1, children };
  }

  #monitored(rank: number, status: SubtreeStatus): JsonObject {
    return { rank, status, torpid: this.#overlay.isTorpid(rank) };
  }

  #stats(): JsonObject {
    const { children, health, parent } = this.#overlay;
    let childRpcs = 0;
    for (const link of children.values()) childRpcs += link.tracker.count;
    return {
      'child-count': health.childCount,
      'child-connected': health.onlineCount,
      'parent-count': parent ? 1 : 0,
      'parent-rpc': parent?.tracker.count ?? 0,
      'child-rpc': childRpcs,
      interthread: { sendq: 0, recvq: 0 },
    };
  }

  // ---- moves, at rank 0

  #checkLeader(): void {
    if (this.#host.rank !== 0) throw new FluxError('EINVAL', 'only rank 0 moves ranks');
  }

  /** @throws FluxError EINVAL: no such ranks, or one is below the other */
  #checkRanks(rank: number, parent: number): void {
    const { topology } = this.#host;
    if (rank <= 0 || rank >= topology.size) throw new FluxError('EINVAL', `rank ${rank} can't be moved`);
    if (parent < 0 || parent >= topology.size) throw new FluxError('EINVAL', `there is no rank ${parent}`);
    if (topology.isInSubtree(parent, rank))
      throw new FluxError('EINVAL', `rank ${rank} can't be moved below rank ${parent}, which is part of its subtree`);
  }

  /** A rank takes another one that lost its parent, and is connected to it. */
  #adopt(rank: number, parent: number): void {
    this.#checkLeader();
    this.#checkRanks(rank, parent);
    if (this.#host.topology.parent(rank) !== parent) this.#host.publishMove(rank, parent);
  }

  /** Moves a rank on demand; resolves once it can be asked in its new place. */
  async #reparent(rank: number, parent: number): Promise<void> {
    this.#checkLeader();
    this.#checkMove(rank, parent);
    const { uri } = (await this.#host.rpc('overlay.address', {}, parent)) as { uri?: string };
    await this.#host.rpc('overlay.reach', { rank: parent, ...(uri !== undefined && { uri }) }, rank);
    // Others may have moved meanwhile.
    this.#checkMove(rank, parent);
    this.#host.publishMove(rank, parent);
    await this.#host.rpc('overlay.await-child', { rank }, parent);
  }

  /** @throws FluxError as `#checkRanks`; EEXIST: it is there already; EINVAL: processes would be above each other */
  #checkMove(rank: number, parent: number): void {
    this.#checkRanks(rank, parent);
    if (this.#host.topology.parent(rank) === parent)
      throw new FluxError('EEXIST', `rank ${parent} is the parent of rank ${rank} already`);
    this.#host.checkMove(rank, parent);
  }

  #awaitChild(request: Request): void {
    const { rank } = request.unpack({ rank: 'i' });
    if (this.#overlay.children.get(rank)?.isOnline) {
      request.respond();
      return;
    }
    const waiting = this.#arrivals.get(rank);
    if (waiting) waiting.push(request);
    else this.#arrivals.set(rank, [request]);
    const timer = this.#host.clock.after(ARRIVAL_TIMEOUT, () => {
      this.#timers.delete(timer);
      const left = this.#arrivals.get(rank) ?? [];
      if (!left.includes(request)) return;
      this.#arrivals.set(
        rank,
        left.filter((each) => each !== request),
      );
      request.fail(new FluxError('ETIMEDOUT', `rank ${rank} has not come in ${ARRIVAL_TIMEOUT}s`));
    });
    this.#timers.add(timer);
  }

  /** Nothing is waited for any more. */
  stop(): void {
    for (const timer of this.#timers) timer.cancel();
  }

  #arrived(rank: number): void {
    for (const request of this.#arrivals.get(rank) ?? []) request.respond();
    this.#arrivals.delete(rank);
  }

  // ---- the methods

  methods(): Methods {
    const overlay = this.#overlay;
    return {
      'stats-get': { allow: Role.user, handler: () => this.#stats() },
      health: {
        allow: Role.user,
        handler: (request) => {
          request.respond(this.#describeHealth());
          if (request.isStreaming) this.#healthRequests.add(request);
          return LATER;
        },
      },
      topology: {
        allow: Role.user,
        handler: (request) => {
          const { rank } = request.unpack({ rank: 'i' });
          if (rank !== this.#host.rank && !overlay.children.has(rank))
            throw new FluxError('ENOENT', 'requested rank is not this broker or its direct child');
          return this.#describeTopology(rank);
        },
      },
      monitor: {
        streaming: true,
        handler: (request) => {
          for (const [rank, { status }] of overlay.health.entries())
            if (status !== 'offline') request.respond(this.#monitored(rank, status));
          this.#monitors.add(request);
          return LATER;
        },
      },
      trace: {
        handler: (request) => {
          overlay.tracer.add(request);
          return LATER;
        },
      },
      'disconnect-subtree': {
        handler: (request) => {
          overlay.disconnectChild(request.unpack({ rank: 'i' }).rank);
          return undefined;
        },
      },
      'disconnect-parent': {
        handler: (request) => {
          const { reason = 'disconnect requested' } = request.unpack({ reason: 's?' });
          overlay.disconnectParent(reason);
          return undefined;
        },
      },
      reparent: {
        handler: async (request) => {
          const { rank, parent } = request.unpack({ rank: 'i', parent: 'i' });
          await this.#reparent(rank, parent);
          return undefined;
        },
      },
      adopt: {
        handler: (request) => {
          const { rank, parent } = request.unpack({ rank: 'i', parent: 'i' });
          this.#adopt(rank, parent);
          return undefined;
        },
      },
      'await-child': {
        handler: (request) => {
          this.#awaitChild(request);
          return LATER;
        },
      },
      moves: { handler: () => ({ moves: this.#host.moves.list() }) },
      address: {
        handler: async () => {
          const uri = await this.#host.address();
          return uri === undefined ? {} : { uri };
        },
      },
      reach: {
        handler: async (request) => {
          const { rank, uri } = request.unpack({ rank: 'i', uri: 's?' });
          await this.#host.reach(rank, uri);
          return undefined;
        },
      },
      disconnect: endingMethods(Role.user, this.#healthRequests, this.#monitors, overlay.tracer.requests).disconnect,
    };
  }
}
