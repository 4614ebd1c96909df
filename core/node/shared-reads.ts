/**
 * Reading of all sockets into the same memory: what came is looked at and copied before the next socket is read.
 *
 * Node makes a buffer for each read, which V8 counts as memory outside of its heap; a few megabytes of that make it
 * collect garbage. Sockets that a program opens can be told a buffer (`onread`), those that a server accepts can't; here
 * they are told as Node itself tells the others. A Node that does it in another way goes on to make buffers.
 */

import net from 'node:net';

const incoming = Buffer.allocUnsafeSlow(256 * 1024);

interface Internals {
  readonly _handle: { readonly fd: number; useUserBuffer?(buffer: Buffer): void };
  [key: symbol]: unknown;
}

const symbols = Object.getOwnPropertySymbols(new net.Socket());
const bufferKey = symbols.find(({ description }) => description === 'kBuffer');
const callbackKey = symbols.find(({ description }) => description === 'kBufferCb');

/** The file descriptor of an open socket. */
export function descriptorOf(socket: net.Socket): number {
  return (socket as unknown as Internals)._handle.fd;
}

/** From now on the bytes of a socket's `data` events are there only while one is handled. */
export function shareReads(socket: net.Socket): void {
  const internals = socket as unknown as Internals;
  if (!bufferKey || !callbackKey || !internals._handle.useUserBuffer) return;
  internals[bufferKey] = incoming;
  internals[callbackKey] = (bytes: number) => socket.emit('data', incoming.subarray(0, bytes));
  internals._handle.useUserBuffer(incoming);
}
