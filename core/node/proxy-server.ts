/**
 * A socket of its own for the clients of a proxy, whose messages go over one connection to a broker.
 *
 * Memory stays bounded on both sides: when the broker does not read, nothing is read from the clients, and for clients that do
 * not read see `slow-readers.ts`.
 */

import { randomUUID } from 'node:crypto';
import net from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { peerCredentials } from '../../native/index.ts';
import { errno, FluxError } from '../errno.ts';
import { connect } from '../handle/connect.ts';
import { Router, type RouterClient, type RouterOptions } from '../handle/router.ts';
import { SocketTransport } from '../handle/socket-transport.ts';
import type { Message } from '../message/message.ts';
import { listenOn } from './listen.ts';
import { readBeforeDestroy } from './read-before-destroy.ts';
import { descriptorOf } from './shared-reads.ts';
import { SlowReaders } from './slow-readers.ts';

export interface ProxyOptions extends Pick<RouterOptions, 'userid' | 'credentials' | 'tracks'> {
  /** The connection to the broker is over; the clients wait until `reconnect` has made another. */
  readonly lost: () => void;
  /** Told of what somebody should know. */
  readonly warn: (text: string) => void;
  /** Bytes that may wait for a client before nothing more is read from the broker, and before it is cut off. */
  readonly holdBytes?: number;
  readonly cutBytes?: number;
  readonly patienceMs?: number;
}

/** Bytes that may wait for the broker before nothing more is read from the clients. */
const UPSTREAM_BYTES = 1024 * 1024;
const HOLD_BYTES = 16 * 1024 * 1024;
const CUT_BYTES = 64 * 1024 * 1024;
const PATIENCE_MS = 1000;
/** Milliseconds that the broker has for taking the last messages. */
const CLOSE_MS = 1000;

export class ProxyServer {
  readonly router: Router;
  readonly #options: ProxyOptions;
  readonly #server: net.Server;
  readonly #clients = new Map<SocketTransport, RouterClient>();
  readonly #slow: SlowReaders<SocketTransport>;
  #upstream: SocketTransport | undefined;
  /** The broker waits for a client. */
  #isHeld = false;
  /** The clients wait for the broker to read, or for a connection. */
  #isCongested = false;
  #isOffline = false;
  #isClosed = false;
  /** Messages that clients have sent. */
  #received = 0;

  constructor(options: ProxyOptions) {
    this.#options = options;
    this.router = new Router({ ...options, send: (message) => this.#sendUpstream(message) });
    this.#server = net.createServer((socket) => this.#accept(socket));
    this.#slow = new SlowReaders({
      holdBytes: options.holdBytes ?? HOLD_BYTES,
      cutBytes: options.cutBytes ?? CUT_BYTES,
      patienceMs: options.patienceMs ?? PATIENCE_MS,
      hold: (isHeld) => {
        this.#isHeld = isHeld;
        this.#upstream?.pause(isHeld);
      },
      cut: (client) => {
        options.warn(`a client does not read: cut off with ${client.backlog} bytes unread`);
        client.destroy();
        this.#gone(client);
      },
    });
  }

  // ---- the broker

  /**
   * Connects to the broker at a URI.
   *
   * @throws FluxError see `connect`
   */
  async connect(uri: string): Promise<void> {
    const upstream = await connect(uri, {
      onMessage: (message) => this.router.receiveUpstream(message),
      onDrain: () => this.#pauseClients({ isCongested: false }),
      onClose: () => {
        if (this.#upstream === upstream) this.#lost();
      },
    });
    if (this.#isClosed) {
      upstream.destroy();
      throw new FluxError('ECONNABORTED', 'the proxy has ended');
    }
    this.#upstream = upstream;
    if (this.#isHeld) upstream.pause(true);
  }

  #lost(): void {
    const wasOnline = !this.#isOffline;
    this.#upstream = undefined;
    // What the clients send now would have nowhere to go.
    this.#pauseClients({ isCongested: false, isOffline: true });
    this.router.lost();
    if (wasOnline) this.#options.lost();
  }

  /**
   * Connects again and sets up over the new connection what the clients had over the one that was lost; then they go on.
   *
   * @throws FluxError what that failed with; it may be tried again
   */
  async reconnect(uri: string): Promise<void> {
    await this.connect(uri);
    this.router.resume();
    try {
      // A broker that starts refuses what comes too early.
      await this.router.rpc.rpc('state-machine.wait');
      await this.router.renew();
    } catch (error) {
      const upstream = this.#upstream;
      if (upstream) this.#lost();
      upstream?.destroy();
      throw error;
    }
    this.#pauseClients({ isOffline: false });
  }

  #sendUpstream(message: Message): void {
    this.#upstream?.send(message);
    if (this.#upstream && this.#upstream.backlog > UPSTREAM_BYTES) this.#pauseClients({ isCongested: true });
  }

  get #isPaused(): boolean {
    return this.#isCongested || this.#isOffline;
  }

  #pauseClients({ isCongested = this.#isCongested, isOffline = this.#isOffline }): void {
    const wasPaused = this.#isPaused;
    this.#isCongested = isCongested;
    this.#isOffline = isOffline;
    if (this.#isPaused !== wasPaused) for (const client of this.#clients.keys()) client.pause(this.#isPaused);
  }

  // ---- the clients

  /**
   * Listens on a path.
   *
   * @throws FluxError what listening failed with
   */
  listen(path: string): Promise<void> {
    return listenOn(this.#server, path);
  }

  #accept(socket: net.Socket): void {
    // Without the addon nobody can be told apart, but only the owner can reach a socket in a folder of mode 0700.
    const { uid } = peerCredentials(descriptorOf(socket)) ?? { uid: this.#options.userid };
    if (uid !== this.#options.userid) {
      socket.on('error', () => {});
      socket.end(Buffer.from([errno.EPERM]));
      return;
    }
    readBeforeDestroy(socket);
    socket.write(Buffer.from([0]));
    const transport = new SocketTransport(socket, {
      onMessage: (message) => {
        this.#received++;
        this.router.receive(client, message);
      },
      onDrain: () => this.#slow.drained(transport),
      onClose: () => this.#gone(transport),
    });
    const client = this.router.connect(randomUUID(), (message) => {
      transport.send(message);
      this.#slow.sent(transport);
    });
    this.#clients.set(transport, client);
    if (this.#isPaused) transport.pause(true);
  }

  #gone(transport: SocketTransport): void {
    const client = this.#clients.get(transport);
    if (!client) return;
    this.#clients.delete(transport);
    this.#slow.gone(transport);
    this.router.disconnect(client);
  }

  // ---- the end

  /** Waits, not for long, until all is read that clients which have ended had sent. */
  async settle(): Promise<void> {
    const deadline = performance.now() + CLOSE_MS;
    for (let before = -1; before !== this.#received || this.#isCongested; ) {
      if (performance.now() > deadline) return;
      before = this.#received;
      // In the first turn a closed socket says so, in the next what was read behind that is there.
      await turn();
      await turn();
    }
  }

  /** Ends the connections of all clients, and takes no more. */
  closeClients(): void {
    this.#server.close();
    for (const transport of [...this.#clients.keys()]) {
      transport.destroy();
      this.#gone(transport);
    }
  }

  /** Ends everything, once the services that clients had asked are told. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.closeClients();
    const upstream = this.#upstream;
    this.#upstream = undefined;
    if (!upstream) return;
    // An instance that does not read can't keep this process.
    upstream.ref(false);
    await Promise.race([upstream.close(), new Promise((resolve) => setTimeout(resolve, CLOSE_MS).unref())]);
  }
}
