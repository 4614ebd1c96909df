/**
 * Messages over a stream socket: `local://PATH` to a broker's socket, `fd://N` over a socket that a parent passed on.
 */

import net from 'node:net';
import { asFluxError, FluxError } from '../errno.ts';
import { decodeMessage } from '../message/codec.ts';
import { encodeFrame, FrameReader } from '../message/framing.ts';
import type { Message } from '../message/message.ts';
import type { Transport, TransportEvents } from './transport.ts';

class SocketTransport implements Transport {
  readonly #socket: net.Socket;
  readonly #reader = new FrameReader();
  readonly #events: TransportEvents;
  #outgoing: Buffer[] = [];
  #closed = false;

  constructor(socket: net.Socket, events: TransportEvents) {
    this.#socket = socket;
    this.#events = events;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', (error) => this.#end(asFluxError(error)));
    socket.on('close', () => this.#end(new FluxError('ECONNRESET', 'the broker closed the connection')));
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
    if (this.#outgoing.push(encodeFrame(message)) === 1) queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    const frames = this.#outgoing;
    if (frames.length === 0 || this.#closed) return;
    this.#outgoing = [];
    this.#socket.write(frames.length === 1 ? frames[0]! : Buffer.concat(frames));
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

/** Connects to a broker's local socket; it answers with one byte: 0, or an errno (RFC 3, Message Framing and Security). */
export function connectLocal(path: string, events: TransportEvents): Promise<Transport> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(path);
    const refuse = (error: FluxError) => {
      socket.destroy();
      reject(error);
    };
    socket.once('error', (error) => refuse(asFluxError(error)));
    socket.once('end', () => refuse(new FluxError('ECONNRESET', `the broker at ${path} closed the connection`)));
    socket.once('data', (chunk: Buffer) => {
      if (chunk[0] !== 0) {
        refuse(new FluxError(chunk[0]!, undefined));
        return;
      }
      socket.removeAllListeners('error').removeAllListeners('end');
      socket.pause();
      const transport = new SocketTransport(socket, events);
      if (chunk.length > 1) socket.unshift(chunk.subarray(1));
      socket.resume();
      resolve(transport);
    });
  });
}

/** Goes on with the socket that is open as file descriptor `number`; both sides trust each other, so no byte is awaited. */
export async function connectDescriptor(number: string, events: TransportEvents): Promise<Transport> {
  if (!/^\d+$/.test(number)) throw new FluxError('EINVAL', `'fd://${number}' names no file descriptor`);
  return new SocketTransport(new net.Socket({ fd: Number(number), readable: true, writable: true }), events);
}
