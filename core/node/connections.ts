/**
 * The clients of the ranks of this node: who may connect, and which connection a message goes to. Bytes in, bytes out: a
 * message's frame and header are looked at and its credentials stamped, nothing else. A rank's socket is made when first
 * needed.
 */

import net from 'node:net';
import { findUser, peerCredentials } from '../../native/index.ts';
import { closedAccess } from '../broker/access-policy.ts';
import { asFluxError, errno } from '../errno.ts';
import { Role } from '../message/credentials.ts';
import { endpoint } from '../ring/endpoint.ts';
import type { LargeBuffers } from '../ring/large-buffers.ts';
import type { Mailbox } from '../ring/mailbox.ts';
import { Connection } from './connection.ts';
import { socketPath } from './instance.ts';
import { listenOn } from './listen.ts';
import { CLIENT_INDEX_MAX, MAIN } from './plan.ts';
import { readBeforeDestroy } from './read-before-destroy.ts';
import { descriptorOf, shareReads } from './shared-reads.ts';

export interface ConnectionsOptions {
  readonly mailbox: Mailbox;
  /** The mailbox's. */
  readonly buffers: LargeBuffers;
  readonly rundir: string;
  /** Userid of the instance owner. */
  readonly owner: number;
  /** Bytes that may wait for a client that does not read them; one that lets more pile up is cut off. */
  readonly backlogBytesMax: number;
  threadOfRank(rank: number): number;
  connected(client: Connection): void;
  gone(client: Connection): void;
  /** More waits for a client than it should, or nothing does any more. */
  slow(client: Connection, isSlow: boolean): void;
  log(rank: number, severity: 'debug' | 'info' | 'err', text: string): void;
}

/** Bytes that wait for a client from which on it counts as slow. */
const SLOW_BYTES = 1024 * 1024;

export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #servers = new Map<number, { server: net.Server; ready: Promise<void> }>();
  readonly #byEndpoint = new Map<number, Connection>();
  readonly #congested = new Set<number>();
  #isHeldUp = false;
  #dirty: Connection[] = [];
  #lastIndex = 0;
  /** Who may connect beside the owner. */
  access = closedAccess;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#byEndpoint.size;
  }

  /**
   * Opens a rank's socket, unless it is open.
   *
   * @throws FluxError EADDRINUSE: another instance answers there; what listening failed with
   */
  listen(rank: number): Promise<void> {
    const known = this.#servers.get(rank);
    if (known) return known.ready;
    const server = net.createServer((socket) => this.#accept(socket, rank));
    const ready = listenOn(server, socketPath(this.#options.rundir, rank));
    this.#servers.set(rank, { server, ready });
    ready.catch(() => this.#servers.delete(rank));
    return ready;
  }

  #accept(socket: net.Socket, rank: number): void {
    const peer = this.#authenticate(socket, rank);
    if (typeof peer === 'string') {
      socket.on('error', () => {});
      socket.end(Buffer.from([errno.EPERM]));
      return;
    }
    socket.write(Buffer.from([0]));
    shareReads(socket);
    const connection = this.add(socket, rank, peer);
    this.#options.connected(connection);
  }

  /** Who is at the other end and what that lets him do; or why he may not connect. */
  #authenticate(socket: net.Socket, rank: number): { userid: number; rolemask: number; pid: number } | string {
    const { owner, log } = this.#options;
    const peer = peerCredentials(descriptorOf(socket));
    // Without the addon nobody can be told apart, but only the owner can reach a socket in a folder of mode 0700.
    const { uid, pid } = peer ?? { uid: owner, pid: 0 };
    if (uid === owner || (uid === 0 && this.access.allowRootOwner))
      return { userid: uid === owner ? uid : owner, rolemask: Role.owner | Role.local, pid };
    if (this.access.allowGuestUser)
      return { userid: uid, rolemask: Role.user | Role.local | (this.#isAdmin(uid) ? Role.admin : 0), pid };
    const why = `connection of uid ${uid} (pid ${pid}) refused: guests may not connect`;
    log(rank, 'err', why);
    return why;
  }

  #isAdmin(uid: number): boolean {
    const { users, groups } = this.access.admins;
    if (!users.length && !groups.length) return false;
    const user = findUser(uid);
    return user !== undefined && (users.includes(user.name) || groups.some((group) => user.groups.includes(group)));
  }

  /** Takes on a socket whose other end is trusted to be who it is said to be. */
  add(socket: net.Socket, rank: number, peer: { userid: number; rolemask: number; pid: number }): Connection {
    const { mailbox, buffers, threadOfRank } = this.#options;
    const thread = threadOfRank(rank);
    const connection = new Connection(socket, this.#newEndpoint(), rank, thread, peer, mailbox, buffers);
    this.#byEndpoint.set(connection.endpoint, connection);
    if (this.#isHeldUp || this.#congested.has(thread)) socket.pause();
    socket.on('data', (chunk: Buffer) => {
      try {
        connection.receive(chunk);
      } catch (error) {
        this.#options.log(
          rank,
          'debug',
          `connection of uid ${peer.userid} (pid ${peer.pid}) ended: ${asFluxError(error).message}`,
        );
        socket.destroy();
      }
    });
    readBeforeDestroy(socket);
    socket.on('drain', () => this.#setSlow(connection, false));
    socket.on('error', () => {});
    socket.on('close', () => this.#closed(connection));
    return connection;
  }

  #newEndpoint(): number {
    do this.#lastIndex = this.#lastIndex === CLIENT_INDEX_MAX ? 1 : this.#lastIndex + 1;
    while (this.#byEndpoint.has(endpoint(MAIN, this.#lastIndex)));
    return endpoint(MAIN, this.#lastIndex);
  }

  #setSlow(connection: Connection, isSlow: boolean): void {
    if (connection.isSlow === isSlow) return;
    connection.isSlow = isSlow;
    this.#options.slow(connection, isSlow);
  }

  #closed(connection: Connection): void {
    if (this.#byEndpoint.delete(connection.endpoint)) this.#options.gone(connection);
  }

  /** Takes a message for a client; it is written at the end of the round. */
  send(to: number, source: Buffer, start: number, end: number): void {
    const connection = this.#byEndpoint.get(to);
    if (!connection) return;
    if (connection.socket.writableLength > this.#options.backlogBytesMax) {
      const { rank, userid, pid, socket } = connection;
      this.#options.log(
        rank,
        'err',
        `client of uid ${userid} (pid ${pid}) does not read: cut off with ${socket.writableLength} bytes unread`,
      );
      socket.destroy();
      this.#closed(connection);
      return;
    }
    if (connection.add(source, start, end)) this.#dirty.push(connection);
  }

  /** Writes what came for the clients in this round. */
  flush(): void {
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const connection of dirty) {
      connection.flush();
      if (connection.socket.writableLength > SLOW_BYTES) this.#setSlow(connection, true);
    }
  }

  /** Ends a connection once what was sent to its client is written. */
  close(address: number): void {
    const connection = this.#byEndpoint.get(address);
    connection?.flush();
    connection?.socket.destroySoon();
  }

  /** A thread can't keep up: nothing more is read for it until it can. */
  setCongested(thread: number, congested: boolean): void {
    if (congested) this.#congested.add(thread);
    else this.#congested.delete(thread);
    for (const { socket, thread: own } of this.#byEndpoint.values()) {
      if (own !== thread) continue;
      if (congested || this.#isHeldUp) socket.pause();
      else socket.resume();
    }
  }

  /** Other processes can't keep up: nothing more is read of anybody until they can. */
  setHeldUp(isHeldUp: boolean): void {
    this.#isHeldUp = isHeldUp;
    for (const { socket, thread } of this.#byEndpoint.values()) {
      if (isHeldUp) socket.pause();
      else if (!this.#congested.has(thread)) socket.resume();
    }
  }

  /** Ends everything. */
  async closeAll(): Promise<void> {
    for (const { socket } of this.#byEndpoint.values()) socket.destroy();
    await Promise.all([...this.#servers.values()].map(({ server }) => new Promise((resolve) => server.close(resolve))));
  }
}
