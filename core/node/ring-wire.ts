/**
 * One wire of the debug ring: what is on its way over it, whether there is room for more, and whether the other side is
 * heard of.
 *
 * Nothing is sent again: a request is performed once, or not at all. What the other side has not taken when it is lost is
 * given back, so that whoever asked is told.
 */

import { FluxError } from '../errno.ts';
import { decodeBeat, encodeBeat, type RingHeader } from '../overlay/ring-frames.ts';
import type { Wire } from './wires.ts';

/** Bytes that may be on their way. One message may be larger. */
const BACKLOG_BYTES = 16 * 1024 * 1024;
/** What has no message, as a refusal, is sent until there are so many more bytes. */
const RESERVE_BYTES = 1024 * 1024;

/** A frame that the other side has yet to take. */
interface UnderWay {
  /** How many were sent before it, and it. */
  readonly index: number;
  readonly bytes: number;
  readonly header: RingHeader;
}

export class RingWire {
  readonly node: number;
  readonly #wire: Wire;
  #underWay: UnderWay[] = [];
  #bytes = 0;
  // Messages, modulo 2^32.
  #sent = 0;
  #acknowledged = 0;
  #taken = 0;
  /** Whether both sides know each other. */
  isOpen = false;
  /** Whether nothing was heard of the other side for long. */
  isSilent = false;
  /** Seconds of the clock's `monotonic`. */
  lastHeard: number;

  constructor(node: number, wire: Wire, now: number) {
    this.node = node;
    this.#wire = wire;
    this.lastHeard = now;
  }

  /** Whether messages can be sent. */
  get isUsable(): boolean {
    return this.isOpen && !this.isSilent;
  }

  hasRoom(bytes: number): boolean {
    return this.#bytes === 0 || this.#bytes + bytes <= BACKLOG_BYTES;
  }

  get hasReserve(): boolean {
    return this.#bytes <= BACKLOG_BYTES + RESERVE_BYTES;
  }

  send(frame: Buffer, header: RingHeader): void {
    this.#sent = (this.#sent + 1) >>> 0;
    this.#bytes += frame.length;
    this.#underWay.push({ index: this.#sent, bytes: frame.length, header });
    this.#wire.send(frame);
  }

  /** Sends a frame that is no message. */
  say(frame: Buffer): void {
    this.#wire.send(frame);
  }

  /** Says that this side is there, and what it has taken. */
  beat(): void {
    this.#wire.send(encodeBeat(this.#taken));
  }

  heard(now: number): void {
    this.lastHeard = now;
    this.isSilent = false;
  }

  /** A message has come. */
  take(): void {
    this.#taken = (this.#taken + 1) >>> 0;
    this.beat();
  }

  /** @throws FluxError EPROTO: it is no beat, or the other side says that it has taken what it was not sent */
  acknowledge(frame: Buffer): void {
    const taken = decodeBeat(frame);
    if (((taken - this.#acknowledged) | 0) < 0 || ((this.#sent - taken) | 0) < 0)
      throw new FluxError('EPROTO', 'the other side has taken more than it was sent');
    this.#acknowledged = taken;
    const left = this.#underWay.findIndex(({ index }) => ((index - taken) | 0) > 0);
    this.#forget(left < 0 ? this.#underWay.length : left);
  }

  #forget(count: number): UnderWay[] {
    const gone = this.#underWay.splice(0, count);
    for (const { bytes } of gone) this.#bytes -= bytes;
    return gone;
  }

  /** Gives up what is on its way: the other side may take it yet, or never. */
  giveUp(): RingHeader[] {
    return this.#forget(this.#underWay.length).map(({ header }) => header);
  }

  close(): void {
    this.isOpen = false;
    this.#wire.close();
  }
}
