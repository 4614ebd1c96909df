/**
 * The overlay of one rank: its links in the tree, the health of the subtree below it, and the service `overlay`.
 */

import { FluxError } from '../errno.ts';
import type { Methods } from '../handle/methods.ts';
import { LATER } from '../handle/methods.ts';
import { endingMethods, RequestList } from '../handle/request-list.ts';
import { Tracer } from '../handle/trace.ts';
import { type JsonObject, real } from '../json.ts';
import { Role } from '../message/credentials.ts';
import { Message } from '../message/message.ts';
import { ControlType, type FarEnd, Link, type LinkEvents } from './link.ts';
import { Silence } from './silence.ts';
import { isOnlineStatus, SubtreeHealth, type SubtreeStatus, statusNumber, subtreeStatuses } from './subtree.ts';
import type { Topology } from './topology.ts';

/** What the overlay needs of its broker. */
export interface OverlayHost {
  readonly rank: number;
  readonly topology: Topology;
  /** Seconds; `now` since the epoch, `monotonic` since some fixed moment. */
  now(): number;
  monotonic(): number;
  log(severity: 'debug' | 'err' | 'crit', text: string): void;
  /** Takes a message from a neighbour. */
  receiveFromPeer(message: Message, from: Link): void;
  /** Answers a request that went over a link which is lost now. */
  failRequest(request: Message, error: FluxError): void;
  /** The subtree of a shutting-down rank is empty now. */
  childrenGone(): void;
  parentLost(why: string): void;
  hostname(rank: number): string;
}

/** Called when a child's status changes, or whether it has fallen silent: torpid. */
export type ChildListener = (rank: number, status: SubtreeStatus, isTorpid: boolean) => void;

export class Overlay {
  readonly tracer: Tracer;
  readonly parent: Link | undefined;
  readonly children = new Map<number, Link>();
  readonly #host: OverlayHost;
  readonly #health: SubtreeHealth;
  readonly #healthRequests = new RequestList();
  readonly #monitors = new RequestList();
  readonly #listeners: ChildListener[] = [];
  readonly #silence = new Silence();
  #refuseChildren = false;
  #isParentGone = false;
  #awaitsChildren = false;

  /**
   * @param connect the far end of the link to a neighbour
   */
  constructor(host: OverlayHost, connect: (rank: number) => FarEnd) {
    this.#host = host;
    this.tracer = new Tracer(() => host.now());
    const children = host.topology.children(host.rank);
    this.#health = new SubtreeHealth(children, host.monotonic());
    const events: LinkEvents = {
      onMessage: (message, link) => host.receiveFromPeer(message, link),
      onControl: (type, status, link) => this.#control(type, status, link),
    };
    const link = (rank: number) => new Link(rank, connect(rank), events, this.tracer);
    for (const rank of children) this.children.set(rank, link(rank));
    const parent = host.topology.parent(host.rank);
    this.parent = parent === undefined ? undefined : link(parent);
  }

  /** The link to a neighbour. */
  link(rank: number): Link | undefined {
    return this.parent?.rank === rank ? this.parent : this.children.get(rank);
  }

  // ---- life

  /** Says hello to the parent. */
  join(): void {
    if (!this.parent || this.#isParentGone) return;
    this.parent.isOnline = true;
    this.#tellParent(this.#health.status);
  }

  #tellParent(status: SubtreeStatus): void {
    if (this.parent?.isOnline) this.parent.send(Message.control(ControlType.status, statusNumber(status)));
  }

  /** No child may join any more. */
  refuseChildren(): void {
    this.#refuseChildren = true;
  }

  /** Calls `childrenGone` once no child is online; false when none is now. */
  awaitChildren(): boolean {
    this.#awaitsChildren = true;
    return this.#health.onlineCount > 0;
  }

  /** Says goodbye to the parent. */
  leave(): void {
    this.#tellParent('offline');
    this.#isParentGone = true;
    this.#closeParent();
  }

  /** No answer of the parent will be taken any more. */
  #closeParent(): void {
    if (!this.parent) return;
    this.parent.isOnline = false;
    for (const request of this.parent.tracker.takeAll())
      this.#host.failRequest(request, new FluxError('EHOSTUNREACH', 'overlay disconnect'));
  }

  onChild(listener: ChildListener): void {
    this.#listeners.push(listener);
  }

  // ---- what neighbours say of themselves

  #control(type: number, status: number, link: Link): void {
    if (link === this.parent) {
      if (type === ControlType.disconnect)
        this.#loseParent(`${this.#host.hostname(link.rank)} (rank ${link.rank}) sent disconnect control message`);
      return;
    }
    // What a child sent before it learned that it is cut off does not bring it back.
    if (type !== ControlType.status || this.#health.child(link.rank)!.status === 'lost') return;
    const name = subtreeStatuses[status] ?? 'unknown';
    if (isOnlineStatus(name) && !link.isOnline && this.#refuseChildren) {
      link.send(Message.control(ControlType.disconnect, 0));
      return;
    }
    this.#setChild(link, name);
  }

  #loseParent(why: string): void {
    if (this.#isParentGone) return;
    this.#isParentGone = true;
    this.#closeParent();
    this.#host.log('crit', why);
    this.#host.parentLost(why);
  }

  /** Links to these neighbours work (again): children may say that they are here. */
  linksUp(links: readonly Link[]): void {
    for (const link of links) link.isStuck = false;
    for (const link of links)
      if (link !== this.parent && this.#health.child(link.rank)?.status === 'lost') this.#setChild(link, 'offline');
  }

  /** Links to these neighbours do not work any more. */
  linksDown(links: readonly Link[], why: string): void {
    for (const link of links) {
      if (link === this.parent) this.#loseParent(`${this.#host.hostname(link.rank)} (rank ${link.rank}): ${why}`);
      else if (link.isOnline) {
        const below = this.#host.topology.descendants(link.rank);
        const more = below ? ` and severed contact with ${below} other nodes` : '';
        this.#setChild(link, 'lost', why);
        this.#host.log('err', `${this.#host.hostname(link.rank)} (rank ${link.rank}) is lost${more}: ${why}`);
      }
    }
  }

  #setChild(link: Link, status: SubtreeStatus, error?: string): void {
    const { rank } = link;
    const wasOnline = link.isOnline;
    link.isOnline = isOnlineStatus(status);
    const ownChanged = this.#health.setChild(rank, status, this.#host.monotonic(), error);
    if (wasOnline && !link.isOnline)
      for (const request of link.tracker.takeAll()) this.#host.failRequest(request, new FluxError('EHOSTUNREACH'));
    if (ownChanged) this.#tellParent(this.#health.status);
    if (!link.isOnline) this.#silence.forget(link);
    this.#tellOfChild(rank, status);
    if (this.#healthRequests.count) this.#healthRequests.respondAll(this.#describeHealth());
    if (this.#awaitsChildren && this.#health.onlineCount === 0) {
      this.#awaitsChildren = false;
      this.#host.childrenGone();
    }
  }

  #tellOfChild(rank: number, status: SubtreeStatus): void {
    const monitored = this.#monitored(rank, status);
    for (const listener of this.#listeners) listener(rank, status, monitored.torpid);
    this.#monitors.respondAll(monitored);
  }

  #monitored(rank: number, status: SubtreeStatus) {
    return { rank, status, torpid: this.#silence.isTorpid(this.children.get(rank)!) };
  }

  /** Whether neighbours of this rank are in other processes, which may fall silent. */
  get hasRemoteLinks(): boolean {
    if (this.parent?.isRemote) return true;
    for (const { isRemote } of this.children.values()) if (isRemote) return true;
    return false;
  }

  /**
   * Says to the parent that this rank is there when it has said nothing for `torpidMin` seconds, and notices children that
   * have said nothing for `torpidMax`, 0 for ever; to be called more often than that.
   */
  checkSilence(torpidMin: number, torpidMax: number): void {
    const now = this.#host.monotonic();
    if (this.parent?.isRemote && this.parent.isOnline && this.#silence.sentNothing(this.parent, now, torpidMin))
      this.parent.send(Message.control(ControlType.heartbeat, 0));
    for (const link of this.children.values())
      if (link.isRemote && link.isOnline && this.#silence.changes(link, now, torpidMax))
        this.#torpidChanged(link, torpidMax);
  }

  #torpidChanged(link: Link, torpidMax: number): void {
    const name = `${this.#host.hostname(link.rank)} (rank ${link.rank})`;
    const text = this.#silence.isTorpid(link)
      ? `is torpid: it has said nothing for ${torpidMax}s`
      : 'is heard of again';
    this.#host.log('err', `${name} ${text}`);
    this.#tellOfChild(link.rank, this.#health.child(link.rank)!.status);
  }

  #describeHealth(): JsonObject {
    const now = this.#host.monotonic();
    const children = [...this.#health.entries()].map(([rank, child]) => ({
      rank,
      status: child.status,
      duration: real(now - child.since),
      ...(!isOnlineStatus(child.status) && child.error && { error: child.error }),
    }));
    return { rank: this.#host.rank, status: this.#health.status, duration: real(now - this.#health.since), children };
  }

  #describeTopology(rank: number): JsonObject {
    const { topology } = this.#host;
    const children = [...topology.children(rank)].map((child) => this.#describeTopology(child));
    return { rank, size: topology.descendants(rank) + 1, children };
  }

  /** Cuts a child off, with the ranks below it. */
  #disconnect(rank: number): void {
    const link = this.children.get(rank);
    if (!link) throw new FluxError('ENOENT', "requested rank is not this broker's direct child");
    if (!link.isOnline) throw new FluxError('ENOENT', 'requested rank is already disconnected');
    link.send(Message.control(ControlType.disconnect, 0));
    this.#setChild(link, 'lost', 'administrative disconnect');
    const below = this.#host.topology.descendants(rank);
    const more = below ? ` and severed contact with ${below} other nodes` : '';
    this.#host.log('err', `${this.#host.hostname(rank)} (rank ${rank}) disconnected by request${more}`);
  }

  #stats(): JsonObject {
    let childRpcs = 0;
    for (const link of this.children.values()) childRpcs += link.tracker.count;
    return {
      'child-count': this.#health.childCount,
      'child-connected': this.#health.onlineCount,
      'parent-count': this.parent ? 1 : 0,
      'parent-rpc': this.parent?.tracker.count ?? 0,
      'child-rpc': childRpcs,
      interthread: { sendq: 0, recvq: 0 },
    };
  }

  // ---- the service

  methods(): Methods {
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
          if (rank !== this.#host.rank && !this.children.has(rank))
            throw new FluxError('ENOENT', 'requested rank is not this broker or its direct child');
          return this.#describeTopology(rank);
        },
      },
      monitor: {
        streaming: true,
        handler: (request) => {
          for (const [rank, { status }] of this.#health.entries())
            if (status !== 'offline') request.respond(this.#monitored(rank, status));
          this.#monitors.add(request);
          return LATER;
        },
      },
      trace: {
        handler: (request) => {
          this.tracer.add(request);
          return LATER;
        },
      },
      'disconnect-subtree': {
        handler: (request) => {
          this.#disconnect(request.unpack({ rank: 'i' }).rank);
          return undefined;
        },
      },
      'disconnect-parent': {
        handler: (request) => {
          const { reason = 'disconnect requested' } = request.unpack({ reason: 's?' });
          this.#tellParent('lost');
          this.#loseParent(reason);
          return undefined;
        },
      },
      disconnect: endingMethods(Role.user, this.#healthRequests, this.#monitors, this.tracer.requests).disconnect,
    };
  }
}
