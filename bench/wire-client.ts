/**
 * A client that costs as little as a client can: it sends ready-made frames and looks at no more of what comes back than
 * where a message ends and whether it is an error. So what is measured is the broker, and any broker with a local
 * connector can be.
 */

import net from 'node:net';
import { strerror } from '../core/errno.ts';
import { encodeFrame, FrameReader } from '../core/message/framing.ts';
import { Message, MessageType, NODEID_ANY, type Payload } from '../core/message/message.ts';

/** Offsets from the end of an encoded message (RFC 3): its type, and the errnum of a response. */
const TYPE_FROM_END = 18;
const ERRNUM_FROM_END = 8;

/** A request as bytes, to be sent again and again; the matchtag is its last word (RFC 3). */
export function requestFrame(topic: string, payload?: Payload, flags = 0, nodeid = NODEID_ANY): Buffer {
  return encodeFrame(Message.request({ topic, payload, flags, nodeid, matchtag: 1 }));
}

export class WireClient {
  readonly socket: net.Socket;
  /** Called with how many messages came in one piece. */
  onMessages: (count: number) => void = () => {};
  /** The errnum of the last response that was an error. */
  errnum = 0;
  readonly #reader = new FrameReader();
  #matchtag = 0;

  private constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      let count = 0;
      this.#reader.push(chunk, (source, _, end) => {
        count++;
        if (source[end - TYPE_FROM_END] !== MessageType.response) return;
        const errnum = source.readUInt32BE(end - ERRNUM_FROM_END);
        if (errnum) this.errnum = errnum;
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

  /**
   * Keeps requests under way, each answered by one message, as long as `goOn` says so.
   *
   * @param window how many at a time
   * @param next the frame of the next request; it is copied
   * @param goOn asked before each request
   * @returns how many were answered
   */
  exchange(window: number, next: () => Buffer, goOn: () => boolean): Promise<number> {
    return new Promise((resolve, reject) => {
      let sent = 0;
      let answered = 0;
      const send = (wanted: number) => {
        let more = 0;
        this.socket.cork();
        for (; more < wanted && goOn(); more++) this.send(next());
        this.socket.uncork();
        sent += more;
      };
      this.onMessages = (count) => {
        answered += count;
        if (this.errnum) return reject(new Error(`a request failed: ${strerror(this.errnum)}`));
        send(count);
        if (answered >= sent) resolve(answered);
      };
      send(window);
      if (!sent) resolve(0);
    });
  }

  /** Sends one request and waits for its answer. */
  async ask(frame: Buffer): Promise<void> {
    let asked = 0;
    await this.exchange(
      1,
      () => frame,
      () => asked++ === 0,
    );
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
