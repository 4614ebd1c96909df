/**
 * The neighbours of a process in the debug ring: a wire to the next one, which this process keeps trying to reach, and one
 * from the previous one. Both beat, so that one that stands still is noticed.
 *
 *     previous process              this process                 next process
 *         hello  ───────────────────▶       hello  ───────────────────▶
 *            ◀───────────  welcome             ◀───────────  welcome
 *         messages, beats  ◀────────▶  messages, beats  ◀────────▶
 */

import type { Clock, Timer } from '../broker/service.ts';
import { FluxError } from '../errno.ts';
import type { JsonObject } from '../json.ts';
import { frameType } from '../overlay/node-frames.ts';
import type { Placement } from '../overlay/placement.ts';
import { RingFrameType } from '../overlay/ring-frames.ts';
import { beside, type Heading } from '../overlay/ring-way.ts';
import { faultOf, type Greeting } from './hello.ts';
import {
  checkRingWelcome,
  decodeRingGoodbye,
  decodeRingHello,
  encodeRingGoodbye,
  encodeRingHello,
  encodeRingWelcome,
} from './ring-hello.ts';
import { RingWire } from './ring-wire.ts';
import type { RingServer } from './shared-wires.ts';
import type { Wire, WireEvents, Wires } from './wires.ts';

/** How this process reaches the next one of the ring. */
export interface RingSettings {
  readonly wires: Wires;
  /** Where the next process is; absent: nobody knows, and the ring has a gap there. */
  readonly ringUri?: string | undefined;
  /** Why the previous process cannot connect to this one, where that is known. */
  readonly ringFault?: string | undefined;
}

export interface RingNeighboursHost {
  readonly clock: Clock;
  readonly instanceId: string;
  readonly placement: Placement;
  /** Outages are of no interest but to who looks for them. */
  log(severity: 'debug', text: string): void;
  /** Takes a message; throws FluxError EPROTO when it is none. */
  take(frame: Buffer): void;
  /** Nothing that is on its way over the wire can be counted on any more. */
  failed(wire: RingWire): void;
}

/** Seconds from beat to beat, without one until a neighbour counts as silent, and until its wire is given up. */
const BEAT = 1;
const SILENT_AFTER = 3;
const LOST_AFTER = 60;
/** Seconds from one try to reach the next process to another. */
const RETRY = 3;

const headings = ['next', 'previous'] as const;

export class RingNeighbours {
  readonly #host: RingNeighboursHost;
  readonly #settings: RingSettings | undefined;
  readonly #own: number;
  readonly #count: number;
  readonly #wires: Record<Heading, RingWire | undefined> = { next: undefined, previous: undefined };
  // What was last said of each side: an outage is told once, not at each try to end it.
  readonly #said: Record<Heading, string> = { next: '', previous: '' };
  #retryAt = 0;
  #timer: Timer | undefined;
  #isClosed = false;
  /** What takes the connections of the previous process, and looks whether the wires still work. */
  readonly server: RingServer = { accept: (wire) => this.#accept(wire), probe: () => this.#beat() };

  /** @param settings absent in an instance of one process */
  constructor(host: RingNeighboursHost, settings: RingSettings | undefined) {
    this.#host = host;
    this.#settings = settings;
    this.#own = host.placement.own;
    this.#count = host.placement.nodes.length;
  }

  /** The wire by which messages go on that way; undefined while there is none that works. */
  wire(heading: Heading): RingWire | undefined {
    const wire = this.#wires[heading];
    return wire?.isUsable ? wire : undefined;
  }

  /** Connects to the next process, in the background, and again whenever that is lost. */
  start(): void {
    if (!this.#settings) return;
    const { ringUri, ringFault } = this.#settings;
    const gap = (where: string, why: string) => `the ring has a gap ${where} process ${this.#own}: ${why}`;
    if (ringUri === undefined) this.#say('next', gap('behind', 'the next one has no address'));
    if (ringFault !== undefined) this.#say('previous', gap('before', ringFault));
    this.#look();
  }

  /** Looks, now and then, who is heard of. */
  #look(): void {
    const now = this.#host.clock.monotonic();
    this.#beat();
    for (const heading of headings) this.#checkSilence(heading, now);
    if (!this.#wires.next && now >= this.#retryAt) this.#connect(now);
    this.#timer = this.#host.clock.after(BEAT, () => this.#look());
  }

  /** Says to the neighbours that this process is there. */
  #beat(): void {
    for (const heading of headings) if (this.#wires[heading]?.isOpen) this.#wires[heading].beat();
  }

  #checkSilence(heading: Heading, now: number): void {
    const wire = this.#wires[heading];
    if (!wire) return;
    const silence = now - wire.lastHeard;
    if (silence > LOST_AFTER) this.#lose(wire, heading, `nothing was heard of it for ${LOST_AFTER}s`);
    else if (wire.isOpen && !wire.isSilent && silence > SILENT_AFTER) {
      wire.isSilent = true;
      this.#host.failed(wire);
    }
  }

  // ---- greetings

  #connect(now: number): void {
    const { wires, ringUri } = this.#settings!;
    if (ringUri === undefined) return;
    const { instanceId, placement } = this.#host;
    const wire = wires.connect(
      ringUri,
      {
        onFrame: (frame) => this.#guard(next, 'next', () => this.#receive(next, 'next', frame)),
        onLost: (why) => this.#lose(next, 'next', why),
      },
      RETRY,
    );
    const next = new RingWire(beside(this.#own, 'next', this.#count), wire, now);
    this.#wires.next = next;
    next.say(encodeRingHello({ instance: instanceId, node: this.#own, ranks: placement.nodes[this.#own]!.ranks }));
  }

  /** A connection whose first frame is yet to be read. */
  #accept(wire: Wire): WireEvents {
    let previous: RingWire | undefined;
    return {
      onFrame: (frame) => {
        if (previous) {
          const known = previous;
          this.#guard(known, 'previous', () => this.#receive(known, 'previous', frame));
        } else previous = this.#welcome(wire, frame);
      },
      onLost: (why) => previous && this.#lose(previous, 'previous', why),
    };
  }

  #welcome(wire: Wire, frame: Buffer): RingWire | undefined {
    let refusal: Buffer;
    try {
      const hello = decodeRingHello(frame);
      const fault = hello && this.#fault(hello);
      if (hello && fault === undefined) return this.#join(hello.node, wire);
      // Who says no hello was lost, and does not know yet.
      refusal = fault === undefined ? encodeRingGoodbye('this process was lost') : encodeRingWelcome(fault);
      if (fault !== undefined) this.#say('previous', `process ${hello!.node} may not join the ring: ${fault}`);
    } catch (error) {
      if (!(error instanceof FluxError)) throw error;
      refusal = encodeRingGoodbye(error.message);
    }
    wire.send(refusal);
    wire.close();
    return undefined;
  }

  #fault(hello: Greeting): string | undefined {
    if (this.#isClosed) return 'this part of the instance is shutting down';
    const { instanceId, placement } = this.#host;
    const fault = faultOf(hello, instanceId, placement.nodes[hello.node]?.ranks);
    if (fault !== undefined) return fault;
    if (hello.node !== beside(this.#own, 'previous', this.#count))
      return `process ${hello.node} is not the one before process ${this.#own}`;
    return this.#wires.previous?.isUsable ? `process ${hello.node} is in the ring already` : undefined;
  }

  #join(node: number, wire: Wire): RingWire {
    const { previous } = this.#wires;
    if (previous) this.#lose(previous, 'previous', 'it has come again');
    const joined = new RingWire(node, wire, this.#host.clock.monotonic());
    this.#wires.previous = joined;
    this.#open(joined, 'previous');
    joined.say(encodeRingWelcome());
    return joined;
  }

  #open(wire: RingWire, heading: Heading): void {
    wire.isOpen = true;
    this.#say(heading, `the ring's wire to process ${wire.node}, the ${heading} one, works`);
  }

  #say(heading: Heading, text: string): void {
    if (this.#said[heading] === text) return;
    this.#said[heading] = text;
    this.#host.log('debug', text);
  }

  // ---- frames

  /** What a neighbour sends is right, or the wire to it is lost. */
  #guard(wire: RingWire, heading: Heading, action: () => void): void {
    try {
      action();
    } catch (error) {
      if (!(error instanceof FluxError)) throw error;
      this.#lose(wire, heading, error.message);
    }
  }

  #receive(wire: RingWire, heading: Heading, frame: Buffer): void {
    if (this.#wires[heading] !== wire) return;
    wire.heard(this.#host.clock.monotonic());
    switch (frameType(frame)) {
      case RingFrameType.message:
        wire.take();
        this.#host.take(frame);
        return;
      case RingFrameType.beat:
        wire.acknowledge(frame);
        return;
      case RingFrameType.welcome:
        checkRingWelcome(frame);
        if (heading === 'next') this.#open(wire, heading);
        return;
      case RingFrameType.goodbye:
        this.#lose(wire, heading, decodeRingGoodbye(frame));
        return;
      default:
        throw new FluxError('EPROTO', `a frame of type ${frameType(frame)}`);
    }
  }

  // ---- life

  #lose(wire: RingWire, heading: Heading, why: string): void {
    if (this.#wires[heading] !== wire) return;
    this.#wires[heading] = undefined;
    if (heading === 'next') this.#retryAt = this.#host.clock.monotonic() + RETRY;
    if (!this.#isClosed)
      this.#say(heading, `the ring's wire to process ${wire.node}, the ${heading} one, fails: ${why}`);
    // It may not know: what it sends from now on would come to nobody.
    wire.say(encodeRingGoodbye(`this process was lost: ${why}`));
    wire.close();
    this.#host.failed(wire);
  }

  /** What this process knows of a neighbour. */
  describe(heading: Heading): JsonObject {
    const process = beside(this.#own, heading, this.#count);
    const wire = this.#wires[heading];
    const status = !wire?.isOpen ? 'disconnected' : wire.isSilent ? 'silent' : 'connected';
    return { process, ranks: this.#host.placement.nodes[process]!.ranks, status };
  }

  /** Ends the ring here, in order; the one who closes the sockets does that afterwards. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    for (const heading of headings) {
      this.#wires[heading]?.say(encodeRingGoodbye(`process ${this.#own} has ended`));
      this.#wires[heading] = undefined;
    }
  }
}
