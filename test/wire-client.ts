/** A connection to a broker's socket for tests: sends whatever bytes it is given, and keeps the messages that come. */

import net from 'node:net';
import { decodeMessage } from '../core/message/codec.ts';
import { FrameReader } from '../core/message/framing.ts';
import type { Message } from '../core/message/message.ts';

export class WireClient {
  /** The byte with which the server accepts (0) or refuses (an errno) the connection. */
  auth: number | undefined;
  isClosed = false;
  readonly socket: net.Socket;
  readonly #reader = new FrameReader();
  readonly #queue: Message[] = [];
  readonly #waiting = new Set<() => void>();

  private constructor(path: string) {
    this.socket = net.connect(path);
    this.socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.isClosed = true;
      this.#wake();
    });
  }

  /** Connects to `local://PATH`, and resolves once the server has accepted or refused. */
  static async connect(uri: string): Promise<WireClient> {
    const client = new WireClient(uri.replace(/^local:\/\//, ''));
    await client.until(() => client.auth !== undefined || client.isClosed);
    return client;
  }

  #receive(chunk: Buffer): void {
    const isFirst = this.auth === undefined;
    this.auth ??= chunk[0];
    this.#reader.push(isFirst ? chunk.subarray(1) : chunk, (source, start, end) =>
      this.#queue.push(decodeMessage(source, start, end)),
    );
    this.#wake();
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }

  /** Looks whether something is true each time something comes; resolves to whether it is in the end. */
  async until(isTrue: () => boolean, timeoutMs = 8000): Promise<boolean> {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      this.#wake();
    }, timeoutMs);
    while (!isTrue() && !isLate) await new Promise<void>((resolve) => this.#waiting.add(resolve));
    clearTimeout(timer);
    return isTrue();
  }

  /** Takes the first message that fits; undefined when none comes, or none can come any more. */
  async take(fits: (message: Message) => boolean, timeoutMs?: number): Promise<Message | undefined> {
    const find = () => this.#queue.findIndex(fits);
    await this.until(() => find() >= 0 || this.isClosed, timeoutMs);
    return find() >= 0 ? this.#queue.splice(find(), 1)[0] : undefined;
  }

  write(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  close(): void {
    this.socket.destroy();
  }
}
