/**
 * One end of the link between two processes: what goes over it in which order, and how much.
 *
 * - Records go in order. Those that were sent after an event are handed on after it: a frame says which events its sender
 *   had handed on, and waits until these are here, too. So whoever gets an answer from rank 0 has seen what happened before.
 * - At most a window of bytes is under way; the rest waits here. The other side says how much it has taken, and takes
 *   nothing while its own threads do not keep up.
 * - A link that takes nothing for long, or has too much waiting, is lost, as one is whose connection broke.
 */

import { FluxError } from '../errno.ts';
import {
  encodeRecords,
  forEachRecord,
  type OutgoingRecord,
  RECORDS_HEADER_BYTES,
  recordsHeader,
  setTaken,
} from './node-frames.ts';

/** Bytes of records that may be under way. */
const WINDOW = 4 * 1024 * 1024;
/** Bytes of a frame after which the next one begins. */
const FRAME_BYTES = 256 * 1024;

export interface NodeLinkHost {
  /** The last event that this process has handed on. */
  sequence(): number;
  /** Whether that event may still come; if not, nothing waits for it. Absent: all come. */
  awaitsEvent?(sequence: number): boolean;
  /** Whether threads of this process do not keep up. */
  isCongested(): boolean;
  transmit(frame: Buffer): void;
  deliver(to: number, from: number, source: Buffer, start: number, end: number): void;
  /** The other side has seen events up to this one. */
  wantEvents(sequence: number): void;
  /** The memory of a message that was added is read no more. */
  release(source: Buffer): void;
}

export class NodeLink {
  readonly #host: NodeLinkHost;
  // Records of this round.
  #records: OutgoingRecord[] = [];
  #bytes = 0;
  // Frames that wait for the window.
  readonly #waiting: Buffer[] = [];
  #waitingBytes = 0;
  // Bytes of records, modulo 2^32.
  #sent = 0;
  #acknowledged = 0;
  #taken = 0;
  #told = 0;
  // Frames that wait for events, or for this process's threads.
  readonly #held: Buffer[] = [];
  isOpen = false;

  constructor(host: NodeLinkHost) {
    this.#host = host;
  }

  /** Bytes that wait for the other side. */
  get waitingBytes(): number {
    return this.#waitingBytes + this.#bytes;
  }

  /** Bytes that the other side has taken in all, modulo 2^32. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Frames that came and wait here. */
  get heldCount(): number {
    return this.#held.length;
  }

  /** From now on frames may be sent: both sides know each other. */
  open(): void {
    this.isOpen = true;
    this.flush();
  }

  /** Adds a message, which goes with the next flush, or before. */
  add(record: OutgoingRecord): void {
    this.#records.push(record);
    this.#bytes += record.end - record.start;
    if (this.#bytes >= FRAME_BYTES) this.flush();
  }

  /** Sends what was added. */
  flush(): void {
    if (this.#records.length) this.#endFrame();
    this.#transmitWaiting();
  }

  #endFrame(): void {
    const frame = encodeRecords(this.#host.sequence(), this.#records, this.#bytes);
    for (const { source } of this.#records) this.#host.release(source);
    this.#records = [];
    this.#bytes = 0;
    this.#waiting.push(frame);
    this.#waitingBytes += frame.length;
  }

  #transmitWaiting(): void {
    if (!this.isOpen) return;
    let count = 0;
    for (const frame of this.#waiting) {
      if (((this.#sent - this.#acknowledged) | 0) >= WINDOW) break;
      this.#sent = (this.#sent + frame.length) | 0;
      this.#waitingBytes -= frame.length;
      this.#transmit(frame);
      count++;
    }
    if (count) this.#waiting.splice(0, count);
  }

  #transmit(frame: Buffer): void {
    this.#told = this.#taken;
    setTaken(frame, this.#told);
    this.#host.transmit(frame);
  }

  /** Says that this side is there, and how far. */
  keepAlive(): void {
    if (this.isOpen) this.#transmit(encodeRecords(this.#host.sequence(), [], 0));
  }

  /** @throws FluxError EPROTO: a frame of records that is none */
  receive(frame: Buffer): void {
    const { sequence, taken } = recordsHeader(frame);
    const gained = (taken - this.#acknowledged) | 0;
    if (gained < 0 || gained > ((this.#sent - this.#acknowledged) | 0))
      throw new FluxError('EPROTO', 'the other side has taken more than it was sent');
    this.#acknowledged = taken | 0;
    if (gained) this.#transmitWaiting();
    if (sequence > this.#host.sequence()) this.#host.wantEvents(sequence);
    if (frame.length === RECORDS_HEADER_BYTES) return;
    this.#held.push(frame);
    if (this.#held.length === 1) this.release();
  }

  /** Whether its sender had seen events that this process has yet to see. */
  #isEarly(frame: Buffer): boolean {
    const { sequence } = recordsHeader(frame);
    return sequence > this.#host.sequence() && this.#host.awaitsEvent?.(sequence) !== false;
  }

  /** Hands on what waited for events that have come, or for threads that keep up again. */
  release(): void {
    let count = 0;
    for (const frame of this.#held) {
      if (this.#host.isCongested() || this.#isEarly(frame)) break;
      count++;
      this.#taken = (this.#taken + frame.length) | 0;
      forEachRecord(frame, this.#host.deliver);
    }
    this.#held.splice(0, count);
    if (((this.#taken - this.#told) | 0) >= WINDOW / 4) this.keepAlive();
  }
}
