/**
 * The overlay of one rank: its links in the tree, and the health of the subtree below it. Links change when ranks move:
 * see `moves.ts` for how all ranks learn of it, and `parent-search.ts` for how a rank that lost its parent finds another.
 */

import type { Clock } from '../broker/service.ts';
import { FluxError } from '../errno.ts';
import { Tracer } from '../handle/trace.ts';
import { Message, MessageType } from '../message/message.ts';
import { Departures, type RanksListener } from './departures.ts';
import { ControlType, type FarEnd, Link, type LinkEvents } from './link.ts';
import { ParentSearch } from './parent-search.ts';
import { Silence } from './silence.ts';
import { isOnlineStatus, SubtreeHealth, type SubtreeStatus, statusNumber, subtreeStatuses } from './subtree.ts';
import type { Topology } from './topology.ts';

/** What the overlay needs of its broker. */
export interface OverlayHost {
  readonly rank: number;
  readonly uuid: string;
  readonly topology: Topology;
  readonly clock: Clock;
  log(severity: 'debug' | 'info' | 'err' | 'crit', text: string): void;
  /** Takes a message from a neighbour. */
  receiveFromPeer(message: Message, from: Link): void;
  /** Answers a request that went over a link which is lost now. */
  failRequest(request: Message, error: FluxError): void;
  /** There is a link to another parent, or to a child; or none to a child any more. */
  parentReplaced(link: Link): void;
  childAdded(link: Link): void;
  childRemoved(link: Link): void;
  /** The subtree of a shutting-down rank is empty now. */
  childrenGone(): void;
  /** The parent is lost, and this rank looks for another; it has one again. */
  parentAway(): void;
  parentBack(): void;
  parentLost(why: string): void;
  hostname(rank: number): string;
  /** Index of the process that hosts a rank. */
  nodeOf(rank: number): number;
  /** Seconds that a rank which lost its parent may look for another; undefined where it leaves at once. */
  rewireTimeout(): number | undefined;
  /** Connects to the process of a rank; resolves once messages can be sent there. */
  reach(rank: number): Promise<void>;
  /** Has rank 0 move a rank below this one. */
  adopt(rank: number): Promise<void>;
}

/** Called when a child's status changes, or whether it has fallen silent: torpid. */
export type ChildListener = (rank: number, status: SubtreeStatus, isTorpid: boolean) => void;

/** Seconds that a rank looks for a parent after it was moved where nobody gives a time. */
const SEARCH_SECONDS = 5;

/** Whether a rank asks to be a child. */
const isWish = (type: number) => type === ControlType.seek || type === ControlType.join;

export class Overlay {
  readonly tracer: Tracer;
  readonly children = new Map<number, Link>();
  readonly health: SubtreeHealth;
  readonly #host: OverlayHost;
  readonly #connect: (rank: number) => FarEnd;
  readonly #childListeners: ChildListener[] = [];
  readonly #movedListeners: RanksListener[] = [];
  readonly #silence = new Silence();
  readonly #departures: Departures;
  readonly #search: ParentSearch;
  // Ranks that ask this one to be their parent, and are not children yet.
  readonly #adopting = new Set<number>();
  readonly #linkEvents: LinkEvents;
  #parent: Link | undefined;
  #hasJoined = false;
  // Whether this rank ever had a parent that took it.
  #isMember = false;
  #refuseChildren = false;
  #isParentGone = false;
  #awaitsChildren = false;

  /**
   * @param connect the far end of the link to another rank
   */
  constructor(host: OverlayHost, connect: (rank: number) => FarEnd) {
    const { rank, topology } = host;
    this.#host = host;
    this.#connect = connect;
    this.tracer = new Tracer(() => host.clock.now());
    this.#departures = new Departures(host);
    this.health = new SubtreeHealth(topology.children(rank), host.clock.monotonic());
    this.#linkEvents = {
      uuid: host.uuid,
      onMessage: (message, link) => host.receiveFromPeer(message, link),
      onControl: (type, status, link) => this.#control(type, status, link),
    };
    for (const child of topology.children(rank)) this.children.set(child, this.#link(child));
    const parent = topology.parent(rank);
    this.#parent = parent === undefined ? undefined : this.#link(parent);
    this.#search = new ParentSearch({
      rank,
      topology,
      clock: host.clock,
      nodeOf: (other) => host.nodeOf(other),
      reach: (other) => host.reach(other),
      seek: (other) => this.#seek(other),
      gaveUp: () => this.#loseParent('no rank above can be reached'),
    });
  }

  #link(rank: number): Link {
    return new Link(rank, this.#connect(rank), this.#linkEvents, this.tracer);
  }

  get parent(): Link | undefined {
    return this.#parent;
  }

  /** The link to a neighbour. */
  link(rank: number): Link | undefined {
    return this.#parent?.rank === rank ? this.#parent : this.children.get(rank);
  }

  /** Takes a message from another rank; one that is no neighbour can only ask to be one. */
  receive(from: number, message: Message): void {
    const link = this.link(from);
    if (link) link.receive(message);
    else if (message.type === MessageType.control && isWish(message.word1))
      this.#adopt(from, message.word1 === ControlType.join);
  }

  // ---- life

  /** Says hello to the parent. */
  join(): void {
    this.#hasJoined = true;
    if (!this.#parent || this.#isParentGone || this.#search.isRunning) return;
    if (this.#parent.isRemote) {
      // This process may be one that takes the place of another, whose ranks have moved meanwhile.
      this.#host.parentAway();
      this.#search.join();
      return;
    }
    this.#isMember = true;
    this.#parent.isOnline = true;
    this.#tellParent(this.health.status);
  }

  #tellParent(status: SubtreeStatus): void {
    if (this.#parent?.isOnline) this.#parent.send(Message.control(ControlType.status, statusNumber(status)));
  }

  /** No child may join any more. */
  refuseChildren(): void {
    this.#refuseChildren = true;
  }

  /** Calls `childrenGone` once no child is online; false when none is now. */
  awaitChildren(): boolean {
    this.#awaitsChildren = true;
    return this.health.onlineCount > 0;
  }

  /** Says goodbye to the parent. */
  leave(): void {
    this.#tellParent('offline');
    this.#isParentGone = true;
    this.#search.stop();
    this.#closeParent();
  }

  /** No answer of the parent will be taken any more, and nobody there waits for one of this rank. */
  #closeParent(): void {
    const parent = this.#parent;
    if (!parent) return;
    parent.isOnline = false;
    for (const request of parent.tracker.takeAll())
      this.#host.failRequest(request, new FluxError('EHOSTUNREACH', 'overlay disconnect'));
    parent.endStreams();
  }

  /** Nothing is waited for any more. */
  stop(): void {
    this.#search.stop();
    this.#departures.stop();
  }

  onChild(listener: ChildListener): void {
    this.#childListeners.push(listener);
  }

  onGone(listener: RanksListener): void {
    this.#departures.onGone(listener);
  }

  // ---- what neighbours say of themselves

  #control(type: number, status: number, link: Link): void {
    if (link === this.#parent) {
      if (type === ControlType.adopted) this.#adopted();
      else if (type === ControlType.disconnect) this.#loseParent(`${this.#name(link)} sent disconnect control message`);
      return;
    }
    if ((type !== ControlType.status && !isWish(type)) || link.isCutOff) return;
    const name = subtreeStatuses[status] ?? 'unknown';
    if (isOnlineStatus(name) && !link.isOnline && this.#refuseChildren) {
      link.send(Message.control(ControlType.disconnect, 0));
      return;
    }
    const wasMember = this.#isAwaited(link) || this.health.child(link.rank)!.status === 'lost';
    if (type === ControlType.join && wasMember) this.#departures.leave(link.rank);
    this.#setChild(link, name);
    if (isWish(type)) link.send(Message.control(ControlType.adopted, 0));
  }

  #name({ rank }: Link): string {
    return `${this.#host.hostname(rank)} (rank ${rank})`;
  }

  #loseParent(why: string): void {
    if (this.#isParentGone) return;
    this.#isParentGone = true;
    this.#search.stop();
    this.#closeParent();
    this.#host.log('crit', why);
    this.#host.parentLost(why);
  }

  /** Links to these neighbours work (again): children may say that they are here. */
  linksUp(links: readonly Link[]): void {
    for (const link of links) {
      link.isStuck = false;
      link.isCutOff = false;
    }
  }

  /** Links to these neighbours do not work any more. */
  linksDown(links: readonly Link[], why: string): void {
    for (const link of links) {
      if (link === this.#parent) this.#parentDown(link, why);
      else if (link.isOnline || this.#isAwaited(link)) {
        link.isCutOff = true;
        const below = this.#host.topology.descendants(link.rank);
        const more = below ? ` and severed contact with ${below} other nodes` : '';
        this.#setChild(link, 'lost', why);
        this.#host.log('err', `${this.#name(link)} is lost${more}: ${why}`);
      }
    }
  }

  #parentDown(parent: Link, why: string): void {
    const timeout = this.#host.rewireTimeout();
    if (timeout === undefined) {
      this.#loseParent(`${this.#name(parent)}: ${why}`);
      return;
    }
    if (this.#isParentGone) return;
    this.#host.log('err', `lost parent ${this.#name(parent)}, looking for another: ${why}`);
    this.#closeParent();
    this.#host.parentAway();
    this.#search.start(timeout, this.#host.nodeOf(parent.rank));
  }

  #setChild(link: Link, status: SubtreeStatus, error?: string): void {
    const { rank } = link;
    const wasOnline = link.isOnline;
    link.isOnline = isOnlineStatus(status);
    const ownChanged = this.health.setChild(rank, status, this.#host.clock.monotonic(), error);
    if (wasOnline && !link.isOnline) this.#closeChild(link);
    if (ownChanged) this.#tellParent(this.health.status);
    const timeout = status === 'lost' ? this.#host.rewireTimeout() : undefined;
    if (isOnlineStatus(status)) this.#departures.settle(rank);
    else if (timeout === undefined) this.#departures.leave(rank);
    else this.#departures.lose(rank, timeout);
    for (const listener of this.#childListeners) listener(rank, status, this.isTorpid(rank));
    this.#checkEmpty();
  }

  #closeChild(link: Link): void {
    for (const request of link.tracker.takeAll()) this.#host.failRequest(request, new FluxError('EHOSTUNREACH'));
    link.endStreams();
    this.#silence.forget(link);
  }

  /** Whether a child was moved here, and is yet to come. */
  #isAwaited({ rank }: Link): boolean {
    return this.#departures.isAwaited(rank) && this.health.child(rank)!.status === 'offline';
  }

  #checkEmpty(): void {
    if (!this.#awaitsChildren || this.health.onlineCount > 0) return;
    this.#awaitsChildren = false;
    this.#host.childrenGone();
  }

  // ---- moves

  /** Asks a rank to be the parent. */
  #seek(rank: number): void {
    const link = this.#parent?.rank === rank ? this.#parent : this.#link(rank);
    const type = this.#isMember ? ControlType.seek : ControlType.join;
    link.send(Message.control(type, statusNumber(this.health.status)));
  }

  /** A rank that is no child asks to be one: only rank 0 moves ranks, and all learn of it by an event. */
  #adopt(rank: number, isNew: boolean): void {
    if (this.#adopting.has(rank) || this.#refuseChildren) return;
    this.#adopting.add(rank);
    this.#host
      .adopt(rank)
      // It may have asked before it knew that it is a child now; it asks again in any case.
      .then(
        () => {
          if (isNew && this.children.has(rank)) this.#departures.leave(rank);
          this.children.get(rank)?.send(Message.control(ControlType.adopted, 0));
        },
        (error: Error) => this.#host.log('debug', `rank ${rank} can't be adopted: ${error.message}`),
      )
      .finally(() => this.#adopting.delete(rank));
  }

  /** The parent has taken this rank. */
  #adopted(): void {
    if (!this.#search.isRunning) return;
    this.#search.stop();
    this.#isMember = true;
    if (this.#hasJoined) {
      this.#parent!.isOnline = true;
      this.#tellParent(this.health.status);
    }
    this.#host.parentBack();
    this.#host.log('info', `${this.#name(this.#parent!)} is the parent`);
  }

  /** The tree has changed: this rank is below another one now, to which it has yet to say so. */
  moveBelow(rank: number): void {
    if (!this.#search.isRunning && !this.#isParentGone) this.#host.parentAway();
    this.#closeParent();
    this.#silence.forget(this.#parent!);
    this.#parent = this.#link(rank);
    this.#host.parentReplaced(this.#parent);
    if (!this.#isParentGone) this.#search.start(this.#host.rewireTimeout() ?? SEARCH_SECONDS);
  }

  /** The tree has changed: this rank has one more child. */
  addChild(rank: number): void {
    const link = this.#link(rank);
    this.children.set(rank, link);
    this.#host.childAdded(link);
    const seconds = this.#host.rewireTimeout() ?? SEARCH_SECONDS;
    this.#departures.await(rank, seconds, () => this.#setChild(link, 'lost', `it has not come in ${seconds}s`));
    if (this.health.addChild(rank, this.#host.clock.monotonic())) this.#tellParent(this.health.status);
  }

  /** The tree has changed: this rank has one child less. */
  removeChild(rank: number): void {
    const link = this.children.get(rank);
    if (!link) return;
    this.children.delete(rank);
    this.#departures.settle(rank);
    link.isOnline = false;
    this.#closeChild(link);
    this.#host.childRemoved(link);
    if (this.health.removeChild(rank, this.#host.clock.monotonic())) this.#tellParent(this.health.status);
    this.#checkEmpty();
  }

  onMovedAway(listener: RanksListener): void {
    this.#movedListeners.push(listener);
  }

  /** The tree has changed: these ranks are not in the subtree of this one any more. */
  movedAway(ranks: readonly number[]): void {
    for (const listener of this.#movedListeners) listener(ranks);
  }

  // ---- silence

  /** Whether a child has fallen silent. */
  isTorpid(rank: number): boolean {
    const link = this.children.get(rank);
    return link !== undefined && this.#silence.isTorpid(link);
  }

  /** Whether neighbours of this rank are in other processes, which may fall silent. */
  get hasRemoteLinks(): boolean {
    if (this.#parent?.isRemote) return true;
    for (const { isRemote } of this.children.values()) if (isRemote) return true;
    return false;
  }

  /**
   * Says to the parent that this rank is there when it has said nothing for `torpidMin` seconds, and notices children that
   * have said nothing for `torpidMax`, 0 for ever; to be called more often than that.
   */
  checkSilence(torpidMin: number, torpidMax: number): void {
    const now = this.#host.clock.monotonic();
    const parent = this.#parent;
    if (parent?.isRemote && parent.isOnline && this.#silence.sentNothing(parent, now, torpidMin))
      parent.send(Message.control(ControlType.heartbeat, 0));
    for (const link of this.children.values())
      if (link.isRemote && link.isOnline && this.#silence.changes(link, now, torpidMax))
        this.#torpidChanged(link, torpidMax);
  }

  #torpidChanged(link: Link, torpidMax: number): void {
    const isTorpid = this.#silence.isTorpid(link);
    const text = isTorpid ? `is torpid: it has said nothing for ${torpidMax}s` : 'is heard of again';
    this.#host.log('err', `${this.#name(link)} ${text}`);
    const { status } = this.health.child(link.rank)!;
    for (const listener of this.#childListeners) listener(link.rank, status, isTorpid);
  }

  // ---- on demand

  /**
   * Cuts a child off, with the ranks below it.
   *
   * @throws FluxError ENOENT: there is no such child, or it is not there
   */
  disconnectChild(rank: number): void {
    const link = this.children.get(rank);
    if (!link) throw new FluxError('ENOENT', "requested rank is not this broker's direct child");
    if (!link.isOnline) throw new FluxError('ENOENT', 'requested rank is already disconnected');
    link.send(Message.control(ControlType.disconnect, 0));
    link.isCutOff = true;
    this.#setChild(link, 'lost', 'administrative disconnect');
    this.#departures.leave(rank);
    const below = this.#host.topology.descendants(rank);
    const more = below ? ` and severed contact with ${below} other nodes` : '';
    this.#host.log('err', `${this.#name(link)} disconnected by request${more}`);
  }

  /** Cuts this rank off, with those below it. */
  disconnectParent(reason: string): void {
    this.#tellParent('lost');
    this.#loseParent(reason);
  }
}
