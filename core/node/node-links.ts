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
import {
  decodeJsonFrame,
  encodeEventFrame,
  encodeJsonFrame,
  eventStart,
  FrameType,
  frameType,
} from '../overlay/node-frames.ts';
import { NodeLink } from '../overlay/node-link.ts';
import type { MachineFacts, Placement } from '../overlay/placement.ts';
import { Backlog, STUCK_AFTER } from './backlog.ts';
import { EventWays } from './event-ways.ts';
import {
  decodeGoodbye,
  decodeHello,
  decodeWelcome,
  encodeGoodbye,
  encodeHello,
  encodeRefusal,
  encodeWelcome,
  faultOf,
  type Hello,
} from './hello.ts';
import type { Neighbour } from './neighbour.ts';
import type { Wire, WireEvents, Wires } from './wires.ts';

/** How this process reaches others. */
export interface LinkSettings {
  readonly wires: Wires;
  /** Where the processes are that this one connects to, by their indices. */
  readonly uris: ReadonlyMap<number, string>;
  /** Where other processes are, as far as it is known. */
  readonly otherUris?: ReadonlyMap<number, string>;
  /** Where this process takes connections; absent where it takes none. */
  readonly ownUri?: string | undefined;
  /** Where the feed of events is; absent in the process that has it, and where there is none. */
  readonly feedUri?: string | undefined;
  /** What the machine of this process has. */
  readonly machine: MachineFacts;
}

export interface NodeLinksHost {
  readonly clock: Clock;
  readonly instanceId: string;
  /** What tells this process from one that takes its place. */
  readonly processId: string;
  readonly placement: Placement;
  /** The process of each rank. */
  readonly nodeOfRank: Int32Array;
  /** The process above that events come from; undefined in that of rank 0. */
  readonly parentNode: number | undefined;
  /** Seconds that a process which lost all above it may look for another; undefined where it leaves. */
  readonly rewireTimeout: number | undefined;
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
  lost(node: number, why: string): void;
  /** A reader of programs' output is slow, or is not any more. */
  setReader(reader: JsonObject): void;
  /** What a process further down tells that of rank 0. */
  note(note: JsonObject): void;
  log(severity: 'debug' | 'err', text: string): void;
}

/** Why nobody joins any more. */
const LEAVING = 'this part of the instance is shutting down';

export class NodeLinks {
  readonly #host: NodeLinksHost;
  readonly #settings: LinkSettings;
  readonly #events: EventWays;
  // Neighbours that are there, and those that this process greets.
  readonly #neighbours = new Map<number, Neighbour>();
  // Where processes are: above this one, and others.
  readonly #urisAbove: Map<number, string>;
  readonly #otherUris: ReadonlyMap<number, string>;
  #dirty: Neighbour[] = [];
  readonly #backlog: Backlog<Neighbour>;
  #timer: Timer | undefined;
  // No part of the instance any more, though its ranks are yet to end.
  #hasLeft = false;
  #isClosed = false;

  constructor(host: NodeLinksHost, settings: LinkSettings) {
    this.#host = host;
    this.#settings = settings;
    this.#urisAbove = new Map(settings.uris);
    this.#otherUris = settings.otherUris ?? new Map();
    this.#backlog = new Backlog(
      {
        timeout: host.timeout,
        setHeldUp: (isHeldUp) => host.setHeldUp(isHeldUp),
        setStuck: ({ node }, isStuck) => host.setStuck(node, isStuck),
        lose: (neighbour, why) => this.#lose(neighbour, why),
      },
      this.#neighbours,
    );
    this.#events = new EventWays({
      clock: host.clock,
      parentNode: host.parentNode,
      rewireTimeout: host.rewireTimeout,
      neighbours: this.#neighbours,
      deliver: (frame) => {
        if (host.placement.own === 0) settings.wires.publish(frame);
        else host.deliverEvent(frame, eventStart);
      },
      relieved: () => this.relieved(),
      seekLeader: () => void this.reach(0).catch((error: FluxError) => host.log('debug', error.message)),
      leave: (why) => this.#leave(why),
    });
  }

  /** Connects to the processes above, and takes the connections of those below. */
  start(): void {
    const { wires, uris, feedUri } = this.#settings;
    wires.serve({
      accept: (wire) => this.#accept(wire),
      probe: () => this.#keepAlive(0),
      subscribed: () => wires.publish(encodeEventFrame(0, Buffer.alloc(0))),
    });
    for (const [node, uri] of uris) this.#greet(node, uri, node === this.#host.parentNode, true);
    if (feedUri !== undefined)
      wires.follow(
        feedUri,
        (frame) => this.#guard(undefined, () => this.#events.takeOfFeed(frame)),
        () => this.#events.feedInterrupted(),
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

  /**
   * Connects to a process, if it is no neighbour; resolves once records can be sent to it.
   *
   * @param uri where it is, if that is not known here
   * @throws FluxError EHOSTUNREACH: that can't be
   */
  async reach(node: number, uri = this.#urisAbove.get(node) ?? this.#otherUris.get(node)): Promise<void> {
    let neighbour = this.#neighbours.get(node);
    if (neighbour?.link.isOpen) return;
    if (this.#isLeaving) throw new FluxError('EHOSTUNREACH', LEAVING);
    if (!neighbour && uri === undefined)
      throw new FluxError('EHOSTUNREACH', `nobody knows where process ${node} takes connections`);
    neighbour ??= this.#greet(node, uri!, this.#events.needsSource, false);
    await new Promise<void>((resolve, reject) => neighbour.waiting.push({ resolve, reject }));
  }

  #greet(node: number, uri: string, wantsEvents: boolean, isFirst: boolean): Neighbour {
    const wire = this.#settings.wires.connect(uri, {
      onFrame: (frame) => this.#guard(node, () => this.#receive(neighbour, frame)),
      onLost: (why) => this.#lose(neighbour, why),
    });
    const neighbour = this.#add(node, wire, { isParent: true, isFollower: false, isFirst });
    const { placement, instanceId, processId } = this.#host;
    const { own, nodes } = placement;
    const { ranks } = nodes[own]!;
    const hello = { instance: instanceId, node: own, ranks, process: processId, events: wantsEvents };
    wire.send(encodeHello(hello, this.#settings.machine));
    return neighbour;
  }

  #add(
    node: number,
    wire: Wire,
    role: Pick<Neighbour, 'isParent' | 'isFollower' | 'isFirst'> & { process?: string },
  ): Neighbour {
    const now = this.#host.clock.monotonic();
    const link = new NodeLink({
      sequence: () => this.#events.sequence,
      awaitsEvent: (sequence) => this.#events.isAwaited(sequence),
      isCongested: () => this.#host.isCongested(),
      transmit: (frame) => {
        neighbour.lastSent = this.#host.clock.monotonic();
        wire.send(frame);
      },
      deliver: (to, from, source, start, end) => this.#host.deliver(to, from, source, start, end),
      wantEvents: (sequence) => this.#events.want(sequence),
      release: (source) => this.#host.release(source),
    });
    const neighbour: Neighbour = {
      node,
      wire,
      link,
      process: undefined,
      ...role,
      waiting: [],
      wantsEvents: role.isFollower,
      isDirty: false,
      joinedAfter: 0,
      firstKept: 0,
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
        this.#events.whenPlaced(() =>
          this.#guard(neighbour?.node, () => {
            if (neighbour) this.#receive(neighbour, frame);
            else neighbour = this.#welcome(wire, frame);
          }),
        ),
      onLost: (why) => this.#events.whenPlaced(() => neighbour && this.#lose(neighbour, why)),
    };
  }

  /** What a neighbour sends is right, or the link to it is lost. */
  #guard(node: number | undefined, action: () => void): void {
    try {
      action();
    } catch (error) {
      if (!(error instanceof FluxError)) throw error;
      const neighbour = node === undefined ? undefined : this.#neighbours.get(node);
      if (neighbour) this.#lose(neighbour, error.message);
      else this.#host.log('err', `a frame of another process is dropped: ${error.message}`);
    }
  }

  #welcome(wire: Wire, frame: Buffer): Neighbour | undefined {
    let hello: Hello | undefined;
    try {
      hello = decodeHello(frame);
    } catch (error) {
      wire.send(encodeRefusal((error as FluxError).message));
      wire.close();
      throw error;
    }
    if (!hello) {
      // As one does that was lost, and does not know yet.
      this.#host.log('debug', 'a process sends before it says hello');
      wire.close();
      return undefined;
    }
    const fault = this.#fault(hello);
    if (fault !== undefined) {
      this.#host.log('err', `process ${hello.node} (ranks ${hello.ranks}) may not join: ${fault}`);
      wire.send(encodeRefusal(fault));
      wire.close();
      return undefined;
    }
    const before = this.#neighbours.get(hello.node);
    if (before) this.#lose(before, 'it has connected anew');
    const { node, process, events } = hello;
    const neighbour = this.#add(node, wire, { isParent: false, isFollower: events, isFirst: false, process });
    const { sequence, firstKept } = this.#events;
    wire.send(encodeWelcome({ sequence, firstKept, uris: this.#urisForBelow() }));
    this.#host.joined(hello.node);
    if (hello.events) this.tell({ node: hello.node, machine: hello.machine });
    this.#events.tellCutOff(wire);
    neighbour.link.open();
    return neighbour;
  }

  #fault(hello: Hello): string | undefined {
    if (this.#isLeaving) return LEAVING;
    const { instanceId, placement } = this.#host;
    const ranks = placement.nodes[hello.node]?.ranks;
    const other = this.#neighbours.get(hello.node);
    const isTaken = other !== undefined && other.process !== hello.process;
    return faultOf(hello, instanceId, ranks) ?? (isTaken ? `another process hosts ranks ${hello.ranks}` : undefined);
  }

  #urisForBelow(): ReadonlyMap<number, string> {
    const { ownUri } = this.#settings;
    const { own } = this.#host.placement;
    return ownUri === undefined ? this.#urisAbove : new Map([[own, ownUri], ...this.#urisAbove]);
  }

  #welcomed(neighbour: Neighbour, frame: Buffer): void {
    const { sequence, firstKept, uris } = decodeWelcome(frame);
    for (const [node, uri] of uris) this.#urisAbove.set(node, uri);
    neighbour.link.open();
    this.#host.joined(neighbour.node);
    this.#events.welcomed(neighbour, sequence, firstKept);
    for (const { resolve } of neighbour.waiting.splice(0)) resolve();
  }

  // ---- frames

  #receive(neighbour: Neighbour, frame: Buffer): void {
    if (this.#neighbours.get(neighbour.node) !== neighbour) return;
    switch (frameType(frame)) {
      case FrameType.records:
        neighbour.link.receive(frame);
        return;
      case FrameType.event:
        this.#events.take(frame);
        return;
      case FrameType.resend:
        this.#events.resend(neighbour, frame);
        return;
      case FrameType.welcome:
        if (neighbour.isParent && !neighbour.link.isOpen) this.#welcomed(neighbour, frame);
        return;
      case FrameType.note:
        this.#note(neighbour, decodeJsonFrame(frame));
        return;
      case FrameType.goodbye:
        this.#lose(neighbour, decodeGoodbye(frame), false);
        return;
      default:
        throw new FluxError('EPROTO', `a frame of type ${frameType(frame)}`);
    }
  }

  /** Notes go towards the process of rank 0, but for those that are about the link. */
  #note(neighbour: Neighbour, note: JsonObject): void {
    if (typeof note.events === 'boolean') {
      neighbour.isFollower = true;
      neighbour.wantsEvents = note.events;
    } else if (typeof note.lastEvent === 'number') this.#events.cutOffAbove(neighbour, note.lastEvent);
    else if (note.reader) this.#spread(note, neighbour);
    else this.tell(note);
  }

  /** Tells all other processes that a reader of programs' output is slow, or is not any more. */
  spread(reader: JsonObject): void {
    this.#spread({ reader }, undefined);
  }

  #spread(note: JsonObject, from: Neighbour | undefined): void {
    if (from) this.#host.setReader(note.reader as JsonObject);
    const frame = encodeJsonFrame(FrameType.note, note);
    const { source } = this.#events;
    for (const neighbour of this.#neighbours.values())
      if (neighbour !== from && (neighbour.isFollower || neighbour === source)) neighbour.wire.send(frame);
  }

  /** Tells the process of rank 0 something. */
  tell(note: JsonObject): void {
    if (this.#host.placement.own === 0) this.#host.note(note);
    else this.#events.source?.wire.send(encodeJsonFrame(FrameType.note, note));
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

  /** In the process of rank 0: an event that it has numbered. */
  publish(sequence: number, source: Buffer, start: number, end: number): void {
    this.#events.publish(sequence, source.subarray(start, end));
  }

  // ---- life

  /** Says to those that this process is there who have heard nothing of it for so many seconds. */
  #keepAlive(seconds: number): void {
    const before = this.#host.clock.monotonic() - seconds;
    for (const { link, lastSent } of this.#neighbours.values()) if (lastSent <= before) link.keepAlive();
  }

  /** @param isThere whether it may still read what it is sent; if not, that would wait for nobody */
  #lose(neighbour: Neighbour, why: string, isThere = true): void {
    if (this.#neighbours.get(neighbour.node) !== neighbour) return;
    this.#neighbours.delete(neighbour.node);
    // It may not know: what it sends from now on would come to nobody.
    if (isThere) neighbour.wire.send(encodeGoodbye(`this process was cut off: ${why}`));
    neighbour.wire.close();
    if (this.#isClosed) return;
    this.#backlog.relax();
    const error = new FluxError('EHOSTUNREACH', `process ${neighbour.node} can't be reached: ${why}`);
    for (const { reject } of neighbour.waiting.splice(0)) reject(error);
    if (neighbour.link.isOpen || neighbour.isFirst) this.#host.lost(neighbour.node, why);
    this.#events.lost(neighbour);
  }

  get #isLeaving(): boolean {
    return this.#isClosed || this.#hasLeft;
  }

  /** Ranks here have no parents any more, and find none; those below them in other processes may find others. */
  #leave(why: string): void {
    this.#hasLeft = true;
    this.#host.log('err', why);
    for (const neighbour of [...this.#neighbours.values()]) this.#lose(neighbour, why);
  }

  /** Where this process takes connections. */
  get uri(): string | undefined {
    return this.#settings.ownUri;
  }

  /** Ends all links, in order: what was sent arrives, and nobody takes the end for a failure. */
  close(): void {
    this.flush();
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#events.stop();
    const { own } = this.#host.placement;
    for (const { wire } of this.#neighbours.values()) wire.send(encodeGoodbye(`process ${own} has ended`));
    this.#neighbours.clear();
    this.#settings.wires.close();
  }
}
