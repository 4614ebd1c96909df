/**
 * Messages over a stream socket: `local://PATH` to a broker's socket, `fd://N` over a socket that a parent passed on.
 */

import net from 'node:net';
import { asFluxError, FluxError } from '../errno.ts';
import { decodeMessage } from '../message/codec.ts';
import { encodeFrame, FrameReader } from '../message/framing.ts';
import type { Message } from '../message/message.ts';
import type { Transport, TransportEvents } from './transport.ts';

/** One end of a connection whose messages are framed on a stream. */
export class SocketTransport implements Transport {
  readonly #socket: net.Socket;
  readonly #reader = new FrameReader();
  readonly #events: TransportEvents;
  #outgoing: Buffer[] = [];
  #outgoingBytes = 0;
  #closed = false;

  constructor(socket: net.Socket, events: TransportEvents) {
    this.#socket = socket;
    this.#events = events;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', (error) => this.#end(asFluxError(error)));
    socket.on('close', () => this.#end(new FluxError('ECONNRESET', 'the broker closed the connection')));
    socket.on('drain', () => events.onDrain?.());
  }

  #receive(chunk: Buffer): void {
    try {
      this.#reader.push(chunk, (source, start, end) => this.#events.onMessage(decodeMessage(source, start, end)));
    } catch (error) {
      this.#end(asFluxError(error));
      this.#socket.destroy();
    }
  }

  #end(error: FluxError): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#events.onClose(error);
  }

  send(message: Message): void {
    if (this.#closed) return;
    const frame = encodeFrame(message);
    this.#outgoingBytes += frame.length;
    if (this.#outgoing.push(frame) === 1) queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    const frames = this.#outgoing;
    if (frames.length === 0 || this.#closed) return;
    this.#outgoing = [];
    this.#outgoingBytes = 0;
    this.#socket.write(frames.length === 1 ? frames[0]! : Buffer.concat(frames));
  }

  /** Bytes that were sent and that have not left this process. */
  get backlog(): number {
    return this.#outgoingBytes + this.#socket.writableLength;
  }

  /** A figure that is another one as soon as the other end has read something. */
  get progress(): number {
    // What libuv is writing leaves Node's count only when all of it is written.
    const handle = (this.#socket as unknown as { _handle: { writeQueueSize: number } | null })._handle;
    return this.#socket.bytesWritten - this.#socket.writableLength - (handle?.writeQueueSize ?? 0);
  }

  /** Reads no more from the other end, or goes on. */
  pause(isPaused: boolean): void {
    if (isPaused) this.#socket.pause();
    else this.#socket.resume();
  }

  /** Ends the connection with what was not yet sent. */
  destroy(): void {
    this.#socket.destroy();
  }

  close(): Promise<void> {
    this.#flush();
    this.#closed = true;
    return new Promise((resolve) => {
      this.#socket.once('close', () => resolve());
      if (this.#socket.destroyed) resolve();
      else this.#socket.end(() => this.#socket.destroy());
    });
  }

  ref(alive: boolean): void {
    if (alive) this.#socket.ref();
    else this.#socket.unref();
  }
}

/** Connects to a broker's local socket. */
export function connectLocal(path: string, events: TransportEvents): Promise<SocketTransport> {
  return awaitWelcome(net.connect(path), `the broker at ${path}`, events);
}

/**
 * Waits for the byte with which a broker answers a new connection: 0, or an errno (RFC 3, Message Framing and Security).
 *
 * @param who is at the other end, for the error
 */
export function awaitWelcome(socket: net.Socket, who: string, events: TransportEvents): Promise<SocketTransport> {
  return new Promise((resolve, reject) => {
    const refuse = (error: FluxError) => {
      socket.destroy();
      reject(error);
    };
    socket.once('error', (error) => refuse(asFluxError(error)));
    socket.once('close', () => refuse(new FluxError('ECONNRESET', `${who} closed the connection`)));
    socket.once('data', (chunk: Buffer) => {
      if (chunk[0] !== 0) {
        refuse(new FluxError(chunk[0]!, undefined));
        return;
      }
      socket.removeAllListeners('error').removeAllListeners('close');
      socket.pause();
      const transport = new SocketTransport(socket, events);
      if (chunk.length > 1) socket.unshift(chunk.subarray(1));
      socket.resume();
      resolve(transport);
    });
  });
}

/** Goes on with the socket that is open as file descriptor `number`; both sides trust each other, so no byte is awaited. */
export async function connectDescriptor(number: string, events: TransportEvents): Promise<SocketTransport> {
  if (!/^\d+$/.test(number)) throw new FluxError('EINVAL', `'fd://${number}' names no file descriptor`);
  return new SocketTransport(new net.Socket({ fd: Number(number), readable: true, writable: true }), events);
}
