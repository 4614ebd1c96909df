/**
 * A client that costs as little as a client can: it sends ready-made frames and looks at no more of what comes back than
 * where a message ends. So what is measured is the broker, and any broker with a local connector can be.
 */

import net from 'node:net';
import { encodeFrame, FrameReader } from '../core/message/framing.ts';
import { Message, type Payload } from '../core/message/message.ts';

/** A request as bytes, to be sent again and again; the matchtag is its last word (RFC 3). */
export function requestFrame(topic: string, payload?: Payload): Buffer {
  return encodeFrame(Message.request({ topic, payload, matchtag: 1 }));
}

export class WireClient {
  readonly socket: net.Socket;
  /** Called with how many messages came in one piece. */
  onMessages: (count: number) => void = () => {};
  readonly #reader = new FrameReader();
  #matchtag = 0;

  private constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      let count = 0;
      this.#reader.push(chunk, () => {
        count++;
      });
      if (count) this.onMessages(count);
    });
  }

  /** Connects to a `local://` URI. */
  static connect(uri: string): Promise<WireClient> {
    return new Promise((resolve, reject) => {
      const socket = net.connect(uri.replace(/^local:\/\//, ''));
      socket.once('error', (error: NodeJS.ErrnoException) => {
        // A broker that has no room for more who wait to be accepted: they come again.
        if (error.code === 'EAGAIN') setImmediate(() => WireClient.connect(uri).then(resolve, reject));
        else reject(error);
      });
      socket.once('data', (answer: Buffer) => {
        if (answer[0] !== 0) reject(new Error(`the broker refused the connection: errno ${answer[0]}`));
        else resolve(new WireClient(socket));
      });
    });
  }

  /** Sends a request frame `count` times, each with a matchtag of its own. */
  send(frame: Buffer, count = 1): void {
    const bytes = Buffer.allocUnsafe(frame.length * count);
    for (let at = 0; at < bytes.length; at += frame.length) {
      frame.copy(bytes, at);
      this.#matchtag = (this.#matchtag + 1) >>> 0 || 1;
      bytes.writeUInt32BE(this.#matchtag, at + frame.length - 4);
    }
    this.socket.write(bytes);
  }

  /** Resolves when one more message has come. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.onMessages = () => resolve();
    });
  }

  close(): void {
    this.socket.destroy();
  }
}
