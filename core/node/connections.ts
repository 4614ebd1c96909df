/**
 * The clients of the ranks of this node: listening sockets, made when a rank's is first needed, and the connections to
 * them. Bytes in, bytes out: a message's frame and header are looked at and its credentials stamped, nothing else.
 */

import fs from 'node:fs';
import net from 'node:net';
import { findUser, peerCredentials } from '../../native/index.ts';
import { closedAccess } from '../broker/access-policy.ts';
import { asFluxError, errno, FluxError } from '../errno.ts';
import { asksForAnswer, hasHeader, ROLEMASK_FROM_END, USERID_FROM_END } from '../message/codec.ts';
import { Role, USERID_UNKNOWN } from '../message/credentials.ts';
import { FRAME_HEADER_BYTES, FrameReader, writeFrameHeader } from '../message/framing.ts';
import { endpoint, INDEX_MAX } from '../ring/endpoint.ts';
import type { Mailbox } from '../ring/mailbox.ts';
import { socketPath } from './instance.ts';
import { MAIN, rankIndex } from './plan.ts';

export interface ConnectionsOptions {
  readonly mailbox: Mailbox;
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
/** Answers of several connections are joined into one write up to this size. */
const JOIN_BYTES_MAX = 64 * 1024;
/** Connections that wait to be accepted. */
const BACKLOG = 4096;

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
  readonly #reader = new FrameReader();
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
    if (frames.length === 1) this.socket.write(frames[0]!);
    else if (bytes <= JOIN_BYTES_MAX) this.socket.write(Buffer.concat(frames));
    else {
      this.socket.cork();
      for (const frame of frames) this.socket.write(frame);
      this.socket.uncork();
    }
  }
}

export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #servers = new Map<number, { server: net.Server; ready: Promise<void> }>();
  readonly #byEndpoint = new Map<number, Connection>();
  readonly #congested = new Set<number>();
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
    const connection = this.add(socket, rank, peer);
    this.#options.connected(connection);
  }

  /** Who is at the other end and what that lets him do; or why he may not connect. */
  #authenticate(socket: net.Socket, rank: number): { userid: number; rolemask: number; pid: number } | string {
    const { owner, log } = this.#options;
    const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
    const peer = peerCredentials(fd);
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
    const thread = this.#options.threadOfRank(rank);
    const connection = new Connection(socket, this.#newEndpoint(), rank, thread, peer, this.#options.mailbox);
    this.#byEndpoint.set(connection.endpoint, connection);
    if (this.#congested.has(thread)) socket.pause();
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
    do this.#lastIndex = this.#lastIndex === INDEX_MAX ? 1 : this.#lastIndex + 1;
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
      if (congested) socket.pause();
      else socket.resume();
    }
  }

  /** Ends everything. */
  async closeAll(): Promise<void> {
    for (const { socket } of this.#byEndpoint.values()) socket.destroy();
    await Promise.all([...this.#servers.values()].map(({ server }) => new Promise((resolve) => server.close(resolve))));
  }
}

/**
 * Reads what a client sent before it went, even when a write finds first that it has gone.
 *
 * Node destroys a socket at once whose other end is closed, with all that was not yet read. Here that waits for two turns of
 * the event loop, in which what there is comes in.
 */
function readBeforeDestroy(socket: net.Socket): void {
  const destroy = socket.destroy;
  socket.destroy = (error?: Error) => {
    const { code } = (error ?? {}) as NodeJS.ErrnoException;
    if (code !== 'EPIPE' && code !== 'ECONNRESET') return destroy.call(socket, error);
    // While it is set nothing is handed out.
    (socket as unknown as { _readableState: { errored: Error | null } })._readableState.errored = null;
    setImmediate(() => setImmediate(() => destroy.call(socket, error)));
    return socket;
  };
}

/** Listens on a path; a socket that nobody answers on any more is replaced. */
async function listenOn(server: net.Server, path: string): Promise<void> {
  try {
    await tryListen(server, path);
  } catch (error) {
    if ((error as FluxError).code !== 'EADDRINUSE') throw error;
    if (await isAnswered(path)) throw new FluxError('EADDRINUSE', `${path} is in use by another instance`);
    fs.unlinkSync(path);
    await tryListen(server, path);
  }
}

function tryListen(server: net.Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      const { errno, message } = asFluxError(error);
      reject(new FluxError(errno, `${path}: ${message}`));
    };
    server.once('error', fail);
    server.listen({ path, backlog: BACKLOG, readableAll: true, writableAll: true }, () => {
      server.off('error', fail);
      server.on('error', () => {});
      resolve();
    });
  });
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.connect(path, () => {
      probe.destroy();
      resolve(true);
    });
    probe.on('error', () => resolve(false));
  });
}
