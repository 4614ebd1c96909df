/**
 * The ways by which events come to a process, and go on from it: the feed, and the links. One process above is the source: it
 * brings events while the feed does not, and those that the feed has missed. When it is lost, or cut off from rank 0 itself,
 * another one above takes its place; where there is none, nothing waits for events that never come. Under the policy rewire
 * one that has what is missing is waited for; if none comes in time, this process is no part of the instance any more.
 */

import type { Clock, Timer } from '../broker/service.ts';
import { FluxError } from '../errno.ts';
import { EventFeed } from '../overlay/event-feed.ts';
import {
  decodeResend,
  encodeEventFrame,
  encodeJsonFrame,
  encodeResend,
  eventSequence,
  FrameType,
  frameType,
} from '../overlay/node-frames.ts';
import type { Neighbour } from './neighbour.ts';
import type { Wire } from './wires.ts';

/** The last event that there can be. */
const LAST = 0xffffffff;

export interface EventWaysHost {
  readonly clock: Clock;
  /** The process that is the source at first; undefined in that of rank 0. */
  readonly parentNode: number | undefined;
  /** Seconds that another source may be looked for; undefined: none. */
  readonly rewireTimeout: number | undefined;
  readonly neighbours: ReadonlyMap<number, Neighbour>;
  /** Takes the next event: to the threads of this process, or to the feed. */
  deliver(frame: Buffer): void;
  /** What waited for events may go on. */
  relieved(): void;
  /** Connects to the process of rank 0, which has the most events. */
  seekLeader(): void;
  /** This process misses events for good, and can't go on. */
  leave(why: string): void;
}

export class EventWays {
  readonly #host: EventWaysHost;
  readonly #feed: EventFeed;
  #source: number | undefined;
  // While there is none, and another one may come.
  #search: Timer | undefined;
  #followsFeed = false;
  // Once this process is cut off from rank 0: the last event that its source has.
  #lastEvent = Number.POSITIVE_INFINITY;
  #isPlaced: boolean;
  readonly #postponed: (() => void)[] = [];

  constructor(host: EventWaysHost) {
    this.#host = host;
    this.#source = host.parentNode;
    this.#isPlaced = host.parentNode === undefined;
    const feedHost = {
      clock: host.clock,
      deliver: (frame: Buffer) => this.#handOn(frame),
      ask: (first: number, last: number) => this.source?.wire.send(encodeResend(first, last)),
    };
    this.#feed = new EventFeed(feedHost, this.#isPlaced);
  }

  /** The last event that was handed on. */
  get sequence(): number {
    return this.#feed.sequence;
  }

  /** Whether the next process above that this one is linked to becomes the source. */
  get needsSource(): boolean {
    return this.#search !== undefined;
  }

  /** The neighbour that is the source. */
  get source(): Neighbour | undefined {
    return this.#source === undefined ? undefined : this.#host.neighbours.get(this.#source);
  }

  get firstKept(): number {
    return this.#feed.firstKept;
  }

  /** Whether an event may still come. */
  isAwaited(sequence: number): boolean {
    return sequence <= this.#lastEvent;
  }

  /** A neighbour has seen this event. */
  want(sequence: number): void {
    this.#feed.want(sequence);
  }

  /** Does it once this process knows which events have been: from then on it can tell those below. */
  whenPlaced(action: () => void): void {
    if (this.#isPlaced) action();
    else this.#postponed.push(action);
  }

  // ---- events

  /** In the process of rank 0: an event that it has numbered. */
  publish(sequence: number, event: Buffer): void {
    this.#feed.receive(sequence, encodeEventFrame(sequence, event));
  }

  /** @throws FluxError EPROTO: it is no frame of an event */
  take(frame: Buffer): void {
    if (this.#feed.receive(eventSequence(frame), frame)) this.#host.relieved();
  }

  /** Takes a frame of the feed, which works when there is one; errors as of `take`. */
  takeOfFeed(frame: Buffer): void {
    if (frameType(frame) !== FrameType.event) return;
    this.#askForEvents(false);
    if (eventSequence(frame) > 0) this.take(frame);
  }

  /** The feed may have missed some. */
  feedInterrupted(): void {
    this.#askForEvents(true);
  }

  #handOn(frame: Buffer): void {
    this.#host.deliver(frame);
    for (const { wantsEvents, wire } of this.#host.neighbours.values()) if (wantsEvents) wire.send(frame);
  }

  /**
   * Sends events again to a neighbour that misses them.
   *
   * @throws FluxError EOVERFLOW: they are not kept any more; EPROTO: it is no such request
   */
  resend({ wire }: Neighbour, frame: Buffer): void {
    const { first, last } = decodeResend(frame);
    const frames = this.#feed.again(first, last);
    if (!frames) throw new FluxError('EOVERFLOW', `events from ${first} on are not kept any more`);
    for (const each of frames) wire.send(each);
  }

  /** Whether the source has to bring events, because the feed does not. */
  #askForEvents(isWanted: boolean): void {
    const { source } = this;
    if (this.#followsFeed !== isWanted || !source?.link.isOpen) return;
    this.#followsFeed = !isWanted;
    sayWanted(source.wire, isWanted);
    if (isWanted) source.wire.send(encodeResend(this.sequence + 1, LAST));
  }

  // ---- the source

  /**
   * A process above has welcomed this one, after an event.
   *
   * @param firstKept number of the first event that it still has
   */
  welcomed(parent: Neighbour, sequence: number, firstKept: number): void {
    parent.joinedAfter = sequence;
    parent.firstKept = firstKept;
    if (!this.#canBring(parent)) {
      if (parent.node === this.#source) this.#changeSource(this.sequence);
      else if (this.#search) this.#host.seekLeader();
      return;
    }
    if (this.#search) {
      this.#search.cancel();
      this.#search = undefined;
      this.#source = parent.node;
    }
    if (parent.node === this.#source) this.#followSource(parent);
  }

  /** Whether a process above has what this one lacks: one that came later may not, until this one is as far as it was then. */
  #canBring({ isParent, isCutOff, firstKept }: Neighbour): boolean {
    return isParent && !isCutOff && (!this.#isPlaced || firstKept <= this.sequence + 1);
  }

  #followSource({ node, wire, joinedAfter }: Neighbour): void {
    if (!this.#isPlaced) this.#feed.start(joinedAfter);
    // The first source has been told by the hello, and has sent all since.
    if (this.#isPlaced || node !== this.#host.parentNode) {
      this.#followsFeed = false;
      sayWanted(wire, true);
      wire.send(encodeResend(this.sequence + 1, LAST));
    }
    this.#host.relieved();
    this.#isPlaced = true;
    for (const action of this.#postponed.splice(0)) action();
  }

  /** A neighbour is gone. */
  lost({ node }: Neighbour): void {
    if (node === this.#source) this.#changeSource(this.sequence);
  }

  /** A process above gets no more events after `last`. */
  cutOffAbove(parent: Neighbour, last: number): void {
    parent.isCutOff = true;
    if (parent.node === this.#source) this.#changeSource(last);
  }

  #changeSource(last: number): void {
    const above = [...this.#host.neighbours.values()].filter((each) => this.#canBring(each));
    const next = above.find(({ link }) => link.isOpen) ?? above[0];
    if (!next) this.#loseSource(last);
    else {
      this.#source = next.node;
      if (next.link.isOpen) this.#followSource(next);
    }
  }

  #loseSource(last: number): void {
    const { clock, rewireTimeout } = this.#host;
    if (rewireTimeout === undefined) {
      this.#cutOff(last);
      return;
    }
    this.#source = undefined;
    this.#search ??= clock.after(rewireTimeout, () => this.#giveUp(Math.max(last, this.sequence)));
    // Ranks whose parents are there look for no others.
    if (this.#hasParents) this.#host.seekLeader();
  }

  get #hasParents(): boolean {
    return [...this.#host.neighbours.values()].some(({ isParent, link }) => isParent && link.isOpen);
  }

  /** Ranks whose parents are there would go on without the events; others end, as they have found none, and those below them. */
  #giveUp(last: number): void {
    if (this.#hasParents) this.#host.leave(`no process brings the events after ${last}`);
    else this.#cutOff(last);
  }

  /** Nothing waits for events that never come; those below look elsewhere for them. */
  #cutOff(last: number): void {
    this.#lastEvent = last;
    // Who has not joined ends, and takes nobody in before.
    for (const { isParent, wire } of this.#host.neighbours.values()) if (!isParent) this.tellCutOff(wire);
    this.#host.relieved();
  }

  /** Tells a process below, if that is so, that this one gets no more events. */
  tellCutOff(wire: Wire): void {
    if (this.#lastEvent !== Number.POSITIVE_INFINITY)
      wire.send(encodeJsonFrame(FrameType.note, { lastEvent: this.#lastEvent }));
  }

  stop(): void {
    this.#search?.cancel();
    this.#feed.stop();
  }
}

/** Tells the source whether it has to bring events. */
function sayWanted(wire: Wire, isWanted: boolean): void {
  wire.send(encodeJsonFrame(FrameType.note, { events: isWanted }));
}
