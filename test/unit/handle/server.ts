/** A broker's socket that does what a test tells it to: it takes frames and sends frames. */

import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { decodeMessage } from '../../../core/message/codec.ts';
import { Role } from '../../../core/message/credentials.ts';
import { encodeFrame, FrameReader } from '../../../core/message/framing.ts';
import { type Message, MessageType, type Payload } from '../../../core/message/message.ts';

const owner = { userid: 0, rolemask: Role.owner };

export class Server {
  readonly uri: string;
  readonly received: Message[] = [];
  readonly #folder: string;
  readonly #server: net.Server;
  readonly #reader = new FrameReader();
  readonly #waiting = new Set<() => void>();
  #socket: net.Socket | undefined;
  /** Answers requests as they come; others wait for the test. */
  onRequest: (request: Message) => void = () => {};

  private constructor(folder: string, server: net.Server) {
    this.#folder = folder;
    this.#server = server;
    this.uri = `local://${folder}/local-0`;
  }

  /** Listens; each connection is answered with `greeting` as soon as it is there. */
  static async listen(greeting: Uint8Array = Buffer.from([0])): Promise<Server> {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'flux-handle-'));
    const netServer = net.createServer();
    const server = new Server(folder, netServer);
    netServer.on('connection', (socket) => server.#accept(socket, greeting));
    await new Promise<void>((resolve) => netServer.listen(path.join(folder, 'local-0'), resolve));
    return server;
  }

  #accept(socket: net.Socket, greeting: Uint8Array): void {
    this.#socket = socket;
    if (greeting.length) socket.write(greeting);
    socket.on('error', () => {});
    socket.on('close', () => this.#wake());
    socket.on('data', (chunk: Buffer) => {
      this.#reader.push(chunk, (source, start, end) => this.#take(decodeMessage(source, start, end)));
      this.#wake();
    });
  }

  #take(message: Message): void {
    this.received.push(message);
    if (message.type === MessageType.request) this.onRequest(message);
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }

  get isConnected(): boolean {
    return this.#socket !== undefined && !this.#socket.destroyed;
  }

  /** Waits until something is true of what has come. */
  async until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) await new Promise<void>((resolve) => this.#waiting.add(resolve));
  }

  /** The request with this topic, once it is there. */
  async request(topic: string): Promise<Message> {
    const find = () => this.received.find((message) => message.topic === topic);
    await this.until(() => find() !== undefined);
    return find()!;
  }

  send(...messages: Message[]): void {
    this.write(Buffer.concat(messages.map(encodeFrame)));
  }

  write(bytes: Uint8Array): void {
    this.#socket!.write(bytes);
  }

  respond(request: Message, payload?: Payload): void {
    this.send(request.respond(payload, owner));
  }

  refuse(request: Message, errnum: number, text?: string): void {
    this.send(request.respondError(errnum, text, owner));
  }

  /** Reads no more, or goes on. */
  pause(isPaused: boolean): void {
    if (isPaused) this.#socket!.pause();
    else this.#socket!.resume();
  }

  /** Ends the connection from the broker's side. */
  hangUp(): void {
    this.#socket?.end();
  }

  async close(): Promise<void> {
    this.#socket?.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
    fs.rmSync(this.#folder, { recursive: true, force: true });
  }
}
