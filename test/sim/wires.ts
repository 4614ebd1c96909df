/**
 * Connections between simulated processes, as ZeroMQ has them: each carries frames in order, with a delay, until it breaks,
 * of which its two ends learn at times of their own. The feed of events loses what nobody has subscribed to yet, and more.
 */

import type { ServerEvents, Wire, WireEvents, Wires } from '../../core/node/wires.ts';
import {
  decodeJsonFrame,
  FrameType,
  frameType,
  RECORDS_HEADER_BYTES,
  recordsHeader,
} from '../../core/overlay/node-frames.ts';
import type { Network } from './network.ts';
import { Feed } from './wire-feed.ts';

/** Where something is done: in a process that may stand still, or be gone. */
export interface WireHost {
  readonly index: number;
  readonly isAlive: boolean;
  run(action: () => void): void;
}

/** Seconds between two tries to reach a process that is not there. */
const RETRY = 0.1;
/** Seconds in which a process has to be there (tbon.connect_timeout). */
const CONNECT_TIMEOUT = 30;
/** Seconds after which sending on a broken connection fails, and between the probes that find it out: see zmq-wires.ts. */
const LAST_FRAMES = 0.02;
const PROBES = [0, 0.05, 0.25, 1];

/** One direction of a connection. */
export class Pipe {
  readonly #network: Network;
  readonly #delay: number;
  readonly #perByte: number;
  #lastArrival = 0;
  #end = Number.POSITIVE_INFINITY;
  /** Seconds that frames take longer now. */
  slowness = 0;
  /** Bytes of records that arrived, modulo 2^32, and how many the other end said to have taken. */
  recordBytes = 0;
  saidTaken = 0;
  /** The last event before the connected process joined, as it was told. */
  joinedAfter = 0;

  constructor(network: Network) {
    this.#network = network;
    this.#delay = network.random.pick([1e-5, 1e-4, 1e-4, 1e-3, 2e-2]);
    this.#perByte = network.random.pick([0, 0, 1e-9, 1e-7]);
  }

  send(frame: Buffer, deliver: (frame: Buffer) => void): void {
    const copy = Buffer.from(frame);
    this.inOrder(() => {
      this.#count(copy);
      deliver(copy);
    }, copy.length);
  }

  inOrder(action: () => void, bytes = 0): void {
    const { agenda, random } = this.#network;
    const due = Math.max(this.#lastArrival, agenda.time + this.#delay * random.number() + this.slowness);
    this.#lastArrival = due + bytes * this.#perByte;
    const arrival = this.#lastArrival;
    this.#network.inFlight++;
    agenda.at(arrival, () => {
      this.#network.inFlight--;
      if (arrival <= this.#end) action();
    });
  }

  #count(frame: Buffer): void {
    if (frameType(frame) === FrameType.welcome) this.joinedAfter = Number(decodeJsonFrame(frame).sequence ?? 0);
    if (frameType(frame) !== FrameType.records) return;
    if (frame.length > RECORDS_HEADER_BYTES) this.recordBytes = (this.recordBytes + frame.length) | 0;
    this.saidTaken = recordsHeader(frame).taken | 0;
  }

  /** Nothing arrives after that time. */
  cut(time: number): void {
    this.#end = Math.min(this.#end, time);
  }
}

interface Server {
  readonly host: WireHost;
  readonly events: ServerEvents;
  isOpen: boolean;
}

/** Seconds until the two ends of a broken connection learn of it. */
export interface Learning {
  readonly client: number;
  readonly server: number;
}

export class Connection {
  readonly client: WireHost;
  readonly serverIndex: number;
  readonly toServer: Pipe;
  readonly toClient: Pipe;
  readonly #wires: WireNetwork;
  readonly #events: WireEvents;
  readonly #deadline: number;
  // What is sent before there is a connection.
  #early: Buffer[] = [];
  #server: Server | undefined;
  #accepted: AcceptedWire | undefined;
  #isClosed = false;
  #isBroken = false;
  /** Whether what the server sends fails. */
  serverKnows = false;

  constructor(wires: WireNetwork, client: WireHost, serverIndex: number, events: WireEvents) {
    this.#wires = wires;
    this.client = client;
    this.serverIndex = serverIndex;
    this.#events = events;
    this.toServer = new Pipe(wires.network);
    this.toClient = new Pipe(wires.network);
    this.#deadline = wires.agenda.time + CONNECT_TIMEOUT;
    this.#attempt();
  }

  get isUp(): boolean {
    return this.#server !== undefined && !this.#isBroken && !this.#isClosed;
  }

  /** Whether both ends know of its end, if it broke. */
  get isSettled(): boolean {
    if (!this.#isBroken) return true;
    const { host } = this.#server!;
    return (this.#isClosed || !this.client.isAlive) && (!this.#accepted || !host.isAlive);
  }

  #attempt(): void {
    const { agenda } = this.#wires;
    if (this.#isClosed || !this.client.isAlive) return;
    const server = this.#wires.server(this.serverIndex);
    if (server?.isOpen && server.host.isAlive) {
      this.#server = server;
      for (const frame of this.#early.splice(0)) this.send(frame);
    } else if (agenda.time < this.#deadline) agenda.at(agenda.time + RETRY, () => this.#attempt());
    else this.client.run(() => this.#lose('it is not reached'));
  }

  // ---- the end that has connected

  readonly wire: Wire = {
    send: (frame) => this.send(frame),
    close: () => this.#close(),
  };

  send(frame: Buffer): void {
    if (this.#isClosed) return;
    if (this.#server) this.toServer.send(frame, (copy) => this.#server!.host.run(() => this.#serverTakes(copy)));
    else this.#early.push(Buffer.from(frame));
  }

  /** What was sent goes; then the other end notices. */
  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#server) this.toServer.inOrder(() => this.#serverLearns());
  }

  #lose(why: string): void {
    if (this.#isClosed) return;
    this.#close();
    this.#events.onLost(why);
  }

  // ---- the end that was connected to

  #serverTakes(frame: Buffer): void {
    if (!this.#server!.isOpen) return;
    if (!this.#accepted) {
      const wire = new AcceptedWire(this, this.#wires);
      this.#accepted = wire;
      wire.events = this.#server!.events.accept(wire);
    }
    this.#accepted?.events?.onFrame(frame);
  }

  sendToClient(frame: Buffer): void {
    this.toClient.send(frame, (copy) =>
      this.client.run(() => {
        if (!this.#isClosed) this.#events.onFrame(copy);
      }),
    );
  }

  forget(wire: AcceptedWire): void {
    if (this.#accepted === wire) this.#accepted = undefined;
  }

  onServer(action: () => void): void {
    this.#server!.host.run(action);
  }

  #serverLearns(): void {
    this.serverKnows = true;
    const { agenda } = this.#wires;
    const { host, events } = this.#server!;
    for (const delay of PROBES)
      agenda.at(agenda.time + delay, () =>
        host.run(() => {
          if (this.#server!.isOpen) events.probe();
        }),
      );
  }

  // ---- the end of it

  /** The connection breaks: some of what is on its way still arrives. */
  break({ client, server }: Learning): void {
    if (!this.isUp) return;
    this.#isBroken = true;
    const { agenda, random } = this.#wires.network;
    const { time } = agenda;
    const [up, down] = [time + 0.01 * random.number(), time + 0.01 * random.number()];
    this.toServer.cut(up);
    this.toClient.cut(down);
    agenda.at(Math.max(down, time + client), () => this.client.run(() => this.#lose('the connection broke')));
    agenda.at(Math.max(up, time + server), () => this.#serverLearns());
  }

  /** The server closes its sockets: what it sent arrives. */
  serverCloses(): void {
    this.toClient.inOrder(() => this.client.run(() => this.#lose('the connection broke')));
  }
}

class AcceptedWire implements Wire {
  readonly #connection: Connection;
  readonly #wires: WireNetwork;
  events: WireEvents | undefined;

  constructor(connection: Connection, wires: WireNetwork) {
    this.#connection = connection;
    this.#wires = wires;
  }

  send(frame: Buffer): void {
    if (!this.#connection.serverKnows) {
      this.#connection.sendToClient(frame);
      return;
    }
    const { agenda } = this.#wires;
    agenda.at(agenda.time + LAST_FRAMES, () =>
      this.#connection.onServer(() => {
        const { events } = this;
        this.close();
        events?.onLost('the connection broke');
      }),
    );
  }

  close(): void {
    this.events = undefined;
    this.#connection.forget(this);
  }
}

export class WireNetwork {
  readonly network: Network;
  readonly #servers = new Map<number, Server>();
  readonly connections: Connection[] = [];
  readonly feed: Feed;

  constructor(network: Network) {
    this.network = network;
    this.feed = new Feed(network);
  }

  get agenda() {
    return this.network.agenda;
  }

  server(index: number): Server | undefined {
    return this.#servers.get(index);
  }

  /** The connection from one process to another. */
  connection(client: number, server: number): Connection | undefined {
    return this.connections.findLast((each) => each.client.index === client && each.serverIndex === server);
  }

  /** What a process is linked by. */
  wiresOf(host: WireHost): Wires {
    const own: Connection[] = [];
    return {
      serve: (events) => {
        this.#servers.set(host.index, { host, events, isOpen: true });
        if (host.index === 0) this.feed.serve(host, () => events.subscribed());
      },
      connect: (uri, events) => {
        const connection = new Connection(this, host, Number(uri.slice(uri.lastIndexOf('/') + 1)), events);
        this.connections.push(connection);
        own.push(connection);
        return connection.wire;
      },
      publish: (frame) => this.feed.publish(frame),
      follow: (_, onFrame, interrupted) => this.feed.follow(host, onFrame, interrupted),
      close: () => {
        for (const { wire } of own) wire.close();
        const server = this.#servers.get(host.index);
        if (server) server.isOpen = false;
        for (const connection of this.connections)
          if (connection.serverIndex === host.index && connection.isUp) connection.serverCloses();
        this.feed.leave(host);
      },
    };
  }

  /** A process is gone without a word. */
  crashed(host: WireHost, learning: number): void {
    for (const connection of this.connections)
      if (connection.client === host || connection.serverIndex === host.index)
        connection.break({ client: learning, server: learning });
    this.feed.leave(host);
  }
}
