/**
 * The links of this process to its neighbours: the processes that host the parents and children of its ranks. It greets
 * them, hands what ranks send each other from thread to process and from process to thread, follows or feeds the events,
 * and notices who is gone. It parses no message.
 *
 *     child process                     parent process
 *         hello  ─────────────────────▶    version, instance and ranks are what they have to be?
 *            ◀─────────────────  welcome    or why not
 *         records, notes  ◀──────────▶  records, notes, events
 *         goodbye  ───────────────────▶
 */

import type { Clock, Timer } from '../broker/service.ts';
import { FluxError } from '../errno.ts';
import type { JsonObject } from '../json.ts';
import { unpack } from '../message/unpack.ts';
import { EventFeed, type EventFeedHost } from '../overlay/event-feed.ts';
import {
  decodeJsonFrame,
  decodeResend,
  encodeEventFrame,
  encodeJsonFrame,
  encodeResend,
  eventSequence,
  eventStart,
  FrameType,
  frameType,
} from '../overlay/node-frames.ts';
import { NodeLink } from '../overlay/node-link.ts';
import type { MachineFacts, Placement } from '../overlay/placement.ts';
import { Backlog, type Backlogged, STUCK_AFTER } from './backlog.ts';
import { decodeHello, decodeWelcome, encodeHello, encodeRefusal, encodeWelcome, faultOf, type Hello } from './hello.ts';
import type { Wire, WireEvents, Wires } from './wires.ts';

/** How this process reaches others. */
export interface LinkSettings {
  readonly wires: Wires;
  /** Where the processes are that this one connects to, by their indices. */
  readonly uris: ReadonlyMap<number, string>;
  /** Where the feed of events is; absent in the process that has it, and where there is none. */
  readonly feedUri?: string | undefined;
  /** What the machine of this process has. */
  readonly machine: MachineFacts;
}

export interface NodeLinksHost {
  readonly clock: Clock;
  readonly instanceId: string;
  readonly placement: Placement;
  /** The process of each rank. */
  readonly nodeOfRank: Int32Array;
  /** The process above that events come from; undefined in that of rank 0. */
  readonly parentNode: number | undefined;
  /** Seconds of silence after which this process says that it is there (tbon.torpid_min). */
  readonly keepAlive: number;
  /** Seconds without progress after which a neighbour that is sent something is lost (tbon.tcp_user_timeout). */
  readonly timeout: number;
  deliver(to: number, from: number, source: Buffer, start: number, end: number): void;
  /** Hands an event to the threads that have ranks. */
  deliverEvent(source: Buffer, start: number): void;
  /** The memory of a message that was sent is read no more. */
  release(source: Buffer): void;
  /** Whether threads of this process do not keep up. */
  isCongested(): boolean;
  /** Neighbours do not keep up with what comes from this process, or do again. */
  setHeldUp(isHeldUp: boolean): void;
  /** A neighbour takes nothing any more of the much that it is sent, or does again. */
  setStuck(node: number, isStuck: boolean): void;
  /** A neighbour is there; it may have been lost before. */
  joined(node: number): void;
  /** @param wasJoined whether it was there before */
  lost(node: number, why: string, wasJoined: boolean): void;
  /** A reader of programs' output is slow, or is not any more. */
  setReader(reader: JsonObject): void;
  /** What a process further down tells that of rank 0. */
  note(note: JsonObject): void;
  log(severity: 'debug' | 'err', text: string): void;
}

interface Neighbour extends Backlogged {
  readonly node: number;
  readonly wire: Wire;
  readonly link: NodeLink;
  readonly isParent: boolean;
  /** Whether the link is one of the tree in which rank 0's process is above all. */
  readonly isOfTree: boolean;
  /** Whether it gets events over the link. */
  wantsEvents: boolean;
  isDirty: boolean;
  /** Of a parent: the last event before this process joined there. */
  joinedAfter: number;
  /** Of a parent: it gets no more events itself. */
  isCutOff: boolean;
  /** Seconds of the clock's `monotonic`. */
  lastSent: number;
}

export class NodeLinks {
  readonly #host: NodeLinksHost;
  readonly #settings: LinkSettings;
  readonly #feed: EventFeed;
  // Neighbours that are there, and those that this process greets.
  readonly #neighbours = new Map<number, Neighbour>();
  #dirty: Neighbour[] = [];
  readonly #backlog: Backlog<Neighbour>;
  #followsFeed = false;
  /** The process above that brings events when the feed does not. */
  #source: number | undefined;
  /** The last event that may come: once this process is cut off from rank 0, those that its source has. */
  #lastEvent = Number.POSITIVE_INFINITY;
  #isPlaced: boolean;
  #postponed: (() => void)[] = [];
  #timer: Timer | undefined;
  #isClosed = false;

  constructor(host: NodeLinksHost, settings: LinkSettings) {
    this.#host = host;
    this.#settings = settings;
    this.#isPlaced = host.parentNode === undefined;
    this.#backlog = new Backlog(
      {
        timeout: host.timeout,
        setHeldUp: (isHeldUp) => host.setHeldUp(isHeldUp),
        setStuck: ({ node }, isStuck) => host.setStuck(node, isStuck),
        lose: (neighbour, why) => this.#lose(neighbour, why),
      },
      this.#neighbours,
    );
    this.#source = host.parentNode;
    const feedHost: EventFeedHost = {
      after: (seconds, callback) => host.clock.after(seconds, callback),
      deliver: (_, frame) => this.#handOn(frame),
      ask: (first, last) => this.#parent()?.wire.send(encodeResend(first, last)),
    };
    this.#feed = new EventFeed(feedHost, this.#isPlaced);
  }

  /** Connects to the processes above, and takes the connections of those below. */
  start(): void {
    const { wires, uris, feedUri } = this.#settings;
    wires.serve({
      accept: (wire) => this.#accept(wire),
      probe: () => this.#keepAlive(0),
      subscribed: () => wires.publish(encodeEventFrame(0, Buffer.alloc(0))),
    });
    for (const [node, uri] of uris) this.#greet(node, uri);
    if (feedUri !== undefined)
      wires.follow(
        feedUri,
        (frame) => this.#takeFeed(frame),
        () => this.#wantEvents(true),
      );
    this.#lookSoon();
  }

  #lookSoon(): void {
    const { clock, keepAlive, timeout } = this.#host;
    const period = Math.max(0.1, Math.min(keepAlive / 2, timeout / 8 || 1, STUCK_AFTER / 2));
    this.#timer = clock.after(period, () => {
      this.#keepAlive(keepAlive);
      this.#backlog.look(clock.monotonic());
      if (!this.#isClosed) this.#lookSoon();
    });
  }

  // ---- greetings

  #greet(node: number, uri: string): void {
    const wire = this.#settings.wires.connect(uri, {
      onFrame: (frame) => this.#guard(node, () => this.#receive(neighbour, frame)),
      onLost: (why) => this.#lose(neighbour, why),
    });
    const neighbour = this.#add(node, wire, true, node === this.#host.parentNode);
    const { placement, instanceId, parentNode } = this.#host;
    const { own, nodes } = placement;
    const hello = { instance: instanceId, node: own, ranks: nodes[own]!.ranks, events: node === parentNode };
    wire.send(encodeHello(hello, this.#settings.machine));
  }

  #add(node: number, wire: Wire, isParent: boolean, isOfTree: boolean): Neighbour {
    const now = this.#host.clock.monotonic();
    const link = new NodeLink({
      sequence: () => this.#feed.sequence,
      awaitsEvent: (sequence) => sequence <= this.#lastEvent,
      isCongested: () => this.#host.isCongested(),
      transmit: (frame) => {
        neighbour.lastSent = this.#host.clock.monotonic();
        wire.send(frame);
      },
      deliver: (to, from, source, start, end) => this.#host.deliver(to, from, source, start, end),
      wantEvents: (sequence) => this.#feed.want(sequence),
      release: (source) => this.#host.release(source),
    });
    const neighbour: Neighbour = {
      node,
      wire,
      link,
      isParent,
      isOfTree,
      wantsEvents: false,
      isDirty: false,
      joinedAfter: 0,
      isCutOff: false,
      isStuck: false,
      lastSent: now,
      lastProgress: now,
      acknowledged: 0,
    };
    this.#neighbours.set(node, neighbour);
    return neighbour;
  }

  /** A connection of which nobody knows yet whose it is. */
  #accept(wire: Wire): WireEvents {
    let neighbour: Neighbour | undefined;
    return {
      onFrame: (frame) =>
        this.#whenPlaced(() =>
          this.#guard(neighbour?.node, () => {
            if (neighbour) this.#receive(neighbour, frame);
            else neighbour = this.#welcome(wire, frame);
          }),
        ),
      onLost: (why) => this.#whenPlaced(() => neighbour && this.#lose(neighbour, why)),
    };
  }

  /** Does it once this process knows which events have been: from then on it can tell those below. */
  #whenPlaced(action: () => void): void {
    if (this.#isPlaced) action();
    else this.#postponed.push(action);
  }

  #place(): void {
    this.#isPlaced = true;
    for (const action of this.#postponed.splice(0)) action();
  }

  /** What a neighbour sends is right, or the link to it is lost. */
  #guard(node: number | undefined, action: () => void): void {
    try {
      action();
    } catch (error) {
      if (!(error instanceof FluxError)) throw error;
      const neighbour = node === undefined ? undefined : this.#neighbours.get(node);
      if (neighbour) this.#lose(neighbour, error.message);
      else this.#host.log('err', `a connection of another process ended: ${error.message}`);
    }
  }

  #welcome(wire: Wire, frame: Buffer): Neighbour | undefined {
    const hello = decodeHello(frame);
    if (!hello) {
      // As one does that was lost, and does not know yet.
      this.#host.log('debug', 'a process sends before it says hello');
      return undefined;
    }
    const fault = this.#fault(hello);
    if (fault !== undefined) {
      this.#host.log('err', `process ${hello.node} (ranks ${hello.ranks}) may not join: ${fault}`);
      wire.send(encodeRefusal(fault));
      wire.close();
      return undefined;
    }
    const neighbour = this.#add(hello.node, wire, false, hello.events);
    neighbour.wantsEvents = hello.events;
    wire.send(encodeWelcome(this.#feed.sequence));
    this.#host.joined(hello.node);
    if (hello.events) this.tell({ node: hello.node, machine: hello.machine });
    if (this.#lastEvent !== Number.POSITIVE_INFINITY) wire.send(this.#encodeLastEvent());
    neighbour.link.open();
    return neighbour;
  }

  #fault(hello: Hello): string | undefined {
    if (this.#isClosed) return 'this part of the instance is shutting down';
    const { instanceId, placement } = this.#host;
    const ranks = placement.nodes[hello.node]?.ranks;
    const taken = `another process hosts ranks ${hello.ranks}`;
    return faultOf(hello, instanceId, ranks) ?? (this.#neighbours.has(hello.node) ? taken : undefined);
  }

  #welcomed(neighbour: Neighbour, frame: Buffer): void {
    const sequence = decodeWelcome(frame);
    neighbour.link.open();
    this.#host.joined(neighbour.node);
    neighbour.joinedAfter = sequence;
    if (neighbour.node === this.#source) this.#followEvents(neighbour);
  }

  /** From now on events come from that process when the feed does not bring them. */
  #followEvents({ node, wire, joinedAfter }: Neighbour): void {
    if (!this.#isPlaced) this.#feed.start(joinedAfter);
    if (node !== this.#host.parentNode) {
      this.#followsFeed = false;
      wire.send(encodeJsonFrame(FrameType.note, { events: true }));
      wire.send(encodeResend(this.#feed.sequence + 1, 0xffffffff));
    }
    this.relieved();
    this.#place();
  }

  /** The process that events came from is lost, or has none after `last`: another one above has them, or none. */
  #changeSource(last: number): void {
    const above = [...this.#neighbours.values()].filter(({ isParent, isCutOff }) => isParent && !isCutOff);
    const next = above.find(({ link }) => link.isOpen) ?? above[0];
    if (!next) this.#cutOff(last);
    else {
      this.#source = next.node;
      if (next.link.isOpen) this.#followEvents(next);
    }
  }

  /** Nothing waits for events that never come; those below look elsewhere for them. */
  #cutOff(last: number): void {
    this.#lastEvent = last;
    // Who has not joined ends, and takes nobody in before.
    for (const { isParent, wire } of this.#neighbours.values()) if (!isParent) wire.send(this.#encodeLastEvent());
    this.relieved();
  }

  #encodeLastEvent(): Buffer {
    return encodeJsonFrame(FrameType.note, { lastEvent: this.#lastEvent });
  }

  // ---- frames

  #receive(neighbour: Neighbour, frame: Buffer): void {
    if (this.#neighbours.get(neighbour.node) !== neighbour) return;
    switch (frameType(frame)) {
      case FrameType.records:
        neighbour.link.receive(frame);
        return;
      case FrameType.event:
        this.#takeEvent(frame);
        return;
      case FrameType.resend:
        this.#resend(neighbour, frame);
        return;
      case FrameType.welcome:
        if (neighbour.isParent && !neighbour.link.isOpen) this.#welcomed(neighbour, frame);
        return;
      case FrameType.note:
        this.#note(neighbour, decodeJsonFrame(frame));
        return;
      case FrameType.goodbye:
        this.#lose(neighbour, unpack(decodeJsonFrame(frame), { reason: 's' }).reason);
        return;
      default:
        throw new FluxError('EPROTO', `a frame of type ${frameType(frame)}`);
    }
  }

  /** Notes go towards the process of rank 0, but for those that are about the link. */
  #note(neighbour: Neighbour, note: JsonObject): void {
    if (typeof note.events === 'boolean') neighbour.wantsEvents = note.events;
    else if (typeof note.lastEvent === 'number') {
      neighbour.isCutOff = true;
      if (neighbour.node === this.#source) this.#changeSource(note.lastEvent);
    } else if (note.reader) this.#spread(note, neighbour);
    else this.tell(note);
  }

  /** Tells all other processes that a reader of programs' output is slow, or is not any more. */
  spread(reader: JsonObject): void {
    this.#spread({ reader }, undefined);
  }

  #spread(note: JsonObject, from: Neighbour | undefined): void {
    if (from) this.#host.setReader(note.reader as JsonObject);
    const frame = encodeJsonFrame(FrameType.note, note);
    for (const neighbour of this.#neighbours.values())
      if (neighbour.isOfTree && neighbour !== from) neighbour.wire.send(frame);
  }

  /** Tells the process of rank 0 something. */
  tell(note: JsonObject): void {
    if (this.#host.placement.own === 0) this.#host.note(note);
    else this.#parent()?.wire.send(encodeJsonFrame(FrameType.note, note));
  }

  #parent(): Neighbour | undefined {
    return this.#source === undefined ? undefined : this.#neighbours.get(this.#source);
  }

  // ---- records

  /** Sends a message to a rank of a neighbour; it goes at the end of the round. What nobody can take any more is dropped. */
  send(to: number, from: number, source: Buffer, start: number, end: number): void {
    const neighbour = this.#neighbours.get(this.#host.nodeOfRank[to]!);
    if (!neighbour) return;
    neighbour.link.add({ to, from, source, start, end });
    if (neighbour.isDirty) return;
    neighbour.isDirty = true;
    this.#dirty.push(neighbour);
  }

  /** Sends what was added in this round. */
  flush(): void {
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const neighbour of dirty) {
      neighbour.isDirty = false;
      neighbour.link.flush();
      this.#backlog.sent(neighbour);
    }
  }

  /** Threads keep up again. */
  relieved(): void {
    for (const { node, link } of this.#neighbours.values()) this.#guard(node, () => link.release());
  }

  // ---- events

  /** In the process of rank 0: an event that it has numbered. */
  publish(sequence: number, source: Buffer, start: number, end: number): void {
    this.#feed.receive(sequence, encodeEventFrame(sequence, source.subarray(start, end)));
  }

  #takeEvent(frame: Buffer): void {
    if (this.#feed.receive(eventSequence(frame), frame)) this.relieved();
  }

  /** The next event: to the threads of this process, and to those who do not get it otherwise. */
  #handOn(frame: Buffer): void {
    if (this.#host.placement.own === 0) this.#settings.wires.publish(frame);
    else this.#host.deliverEvent(frame, eventStart);
    for (const { wantsEvents, wire } of this.#neighbours.values()) if (wantsEvents) wire.send(frame);
  }

  #resend(neighbour: Neighbour, frame: Buffer): void {
    const { first, last } = decodeResend(frame);
    const frames = this.#feed.again(first, last);
    if (!frames) throw new FluxError('EOVERFLOW', `events from ${first} on are not kept any more`);
    for (const each of frames) neighbour.wire.send(each);
  }

  #takeFeed(frame: Buffer): void {
    if (frameType(frame) !== FrameType.event) return;
    this.#wantEvents(false);
    if (eventSequence(frame) > 0) this.#takeEvent(frame);
  }

  /** Whether events have to come over the link from the parent process, because the feed does not work (yet). */
  #wantEvents(isWanted: boolean): void {
    if (this.#followsFeed !== isWanted || this.#isClosed) return;
    const parent = this.#parent();
    if (!parent?.link.isOpen) return;
    this.#followsFeed = !isWanted;
    parent.wire.send(encodeJsonFrame(FrameType.note, { events: isWanted }));
    if (isWanted) parent.wire.send(encodeResend(this.#feed.sequence + 1, 0xffffffff));
  }

  // ---- life

  /** Says to those that this process is there who have heard nothing of it for so many seconds. */
  #keepAlive(seconds: number): void {
    const before = this.#host.clock.monotonic() - seconds;
    for (const { link, lastSent } of this.#neighbours.values()) if (lastSent <= before) link.keepAlive();
  }

  #lose(neighbour: Neighbour, why: string): void {
    if (this.#neighbours.get(neighbour.node) !== neighbour) return;
    this.#neighbours.delete(neighbour.node);
    // It may not know: what it sends from now on would come to nobody.
    neighbour.wire.send(encodeJsonFrame(FrameType.goodbye, { reason: why }));
    neighbour.wire.close();
    if (this.#isClosed) return;
    this.#backlog.relax();
    this.#host.lost(neighbour.node, why, neighbour.link.isOpen);
    if (neighbour.node === this.#source) this.#changeSource(this.#feed.sequence);
  }

  /** Ends all links, in order: what was sent arrives, and nobody takes the end for a failure. */
  close(): void {
    this.flush();
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#feed.stop();
    const { own } = this.#host.placement;
    for (const { wire } of this.#neighbours.values())
      wire.send(encodeJsonFrame(FrameType.goodbye, { reason: `process ${own} has ended` }));
    this.#neighbours.clear();
    this.#settings.wires.close();
  }
}
