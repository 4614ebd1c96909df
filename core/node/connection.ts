/** One client's connection: what comes in is framed and stamped, what goes out is joined and written, once a round. */

import type net from 'node:net';
import { FluxError } from '../errno.ts';
import { asksForAnswer, hasHeader, ROLEMASK_FROM_END, USERID_FROM_END } from '../message/codec.ts';
import { Role, USERID_UNKNOWN } from '../message/credentials.ts';
import { FRAME_HEADER_BYTES, FrameReader, writeFrameHeader } from '../message/framing.ts';
import { endpoint } from '../ring/endpoint.ts';
import type { LargeBuffers } from '../ring/large-buffers.ts';
import type { Mailbox } from '../ring/mailbox.ts';
import { rankIndex } from './plan.ts';

/** Answers of several connections are joined into one write up to this size. */
const JOIN_BYTES_MAX = 64 * 1024;

/** One client, or one module process: a socket whose other end speaks for itself. */
export class Connection {
  readonly endpoint: number;
  readonly rank: number;
  readonly thread: number;
  readonly userid: number;
  readonly rolemask: number;
  readonly pid: number;
  readonly socket: net.Socket;
  readonly #rankEndpoint: number;
  readonly #mailbox: Mailbox;
  readonly #reader: FrameReader;
  readonly #buffers: LargeBuffers;
  #outgoing: Buffer[] = [];
  #outgoingBytes = 0;
  isSlow = false;

  constructor(
    socket: net.Socket,
    address: number,
    rank: number,
    thread: number,
    peer: { userid: number; rolemask: number; pid: number },
    mailbox: Mailbox,
    buffers: LargeBuffers,
  ) {
    this.socket = socket;
    this.endpoint = address;
    this.rank = rank;
    this.thread = thread;
    this.userid = peer.userid;
    this.rolemask = peer.rolemask;
    this.pid = peer.pid;
    this.#rankEndpoint = endpoint(thread, rankIndex(rank));
    this.#mailbox = mailbox;
    this.#buffers = buffers;
    this.#reader = new FrameReader(buffers);
  }

  /**
   * Takes bytes of the socket and sends each whole message to the rank.
   *
   * @throws FluxError EPROTO: what came is no message
   */
  receive(chunk: Buffer): void {
    this.#reader.push(chunk, (source, start, end) => {
      if (!hasHeader(source, start, end))
        throw new FluxError('EPROTO', 'bad magic, version or type in a message header');
      this.#stamp(source, end);
      this.#mailbox.sendBytes(this.#rankEndpoint, this.endpoint, source, start, end);
      if (asksForAnswer(source, end)) this.#mailbox.awaitAnswer();
    });
  }

  /** RFC 12, Credential Assignment; the same as `assignCredentials`, on the bytes. */
  #stamp(source: Buffer, end: number): void {
    const isOwner = (this.rolemask & Role.owner) !== 0;
    if (!isOwner || source.readUInt32BE(end - USERID_FROM_END) === USERID_UNKNOWN)
      source.writeUInt32BE(this.userid, end - USERID_FROM_END);
    if (!isOwner || source.readUInt32BE(end - ROLEMASK_FROM_END) === Role.none)
      source.writeUInt32BE(this.rolemask, end - ROLEMASK_FROM_END);
  }

  /** Adds a message; true when it is the first since the last flush. */
  add(source: Buffer, start: number, end: number): boolean {
    // The record's header lies before the message, and the frame's goes in its place.
    writeFrameHeader(source, start - FRAME_HEADER_BYTES, end - start);
    this.#outgoing.push(source.subarray(start - FRAME_HEADER_BYTES, end));
    this.#outgoingBytes += end - start;
    return this.#outgoing.length === 1;
  }

  /** Writes what was added. */
  flush(): void {
    const frames = this.#outgoing;
    this.#outgoing = [];
    const bytes = this.#outgoingBytes;
    this.#outgoingBytes = 0;
    if (this.socket.destroyed) return;
    if (frames.length === 1) this.#write(frames[0]!);
    else if (bytes <= JOIN_BYTES_MAX) this.socket.write(Buffer.concat(frames));
    else {
      this.socket.cork();
      for (const frame of frames) this.#write(frame);
      this.socket.uncork();
    }
  }

  #write(frame: Buffer): void {
    if (frame.length <= JOIN_BYTES_MAX) this.socket.write(frame);
    else this.socket.write(frame, (error) => error || this.#buffers.give(frame));
  }
}
