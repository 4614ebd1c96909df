/**
 * One rank of an instance: it routes messages between its modules, its clients, its neighbours in the tree and its own
 * services (RFC 3, RFC 6).
 *
 * Whoever a broker exchanges messages with is a port. Each time a request passes from one to another, the id of the one
 * it comes from is pushed on its route stack; the response pops them again on its way back.
 */

import { FluxError } from '../errno.ts';
import { callMethod, type Methods, Request } from '../handle/methods.ts';
import { RpcClient, type RpcOptions } from '../handle/rpc.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import { type Credentials, Role } from '../message/credentials.ts';
import { Flag, type Message, MessageType, NODEID_ANY, NODEID_UPSTREAM, type Payload } from '../message/message.ts';
import type { Topology } from '../overlay/topology.ts';
import type { Attributes } from './attributes.ts';
import { MessageCounters } from './common-methods.ts';
import type { DirectWays } from './direct-ways.ts';
import type { EventBus } from './event-bus.ts';
import { formatEntry, formatTimestamp, type Severity, severityNumber } from './log-format.ts';
import type { World } from './module-host.ts';
import { nextHop } from './routing.ts';

/** Whoever messages are exchanged with: a module, the connector that stands for all clients, a neighbour in the tree. */
export interface Port {
  readonly uuid: string;
  /** Whether it takes a request to its service; what it does not goes on towards the root. Absent: it takes all. */
  takes?(request: Message): boolean;
  /** Takes a message; the routes are as the receiver shall see them. */
  send(message: Message): void;
}

/** A neighbour in the tree. */
export interface Peer extends Port {
  readonly rank: number;
  /** Whether messages can be sent to it now. */
  readonly isOnline: boolean;
  /** Whether it takes nothing of the much that it was sent. */
  readonly isStuck: boolean;
}

/** The broker's own services; the methods of one are made when the first request for it comes. */
export interface InternalServices {
  has(name: string): boolean;
  methods(name: string): Methods;
}

export interface BrokerOptions {
  readonly rank: number;
  readonly size: number;
  readonly uuid: string;
  /** Userid of the instance owner. */
  readonly owner: number;
  readonly topology: Topology;
  readonly attributes: Attributes;
  readonly config: JsonObject;
  readonly bus: EventBus;
  readonly world: World;
  readonly internal: InternalServices;
  /** To rank 0, when it is another rank of this thread. */
  readonly directWays: () => DirectWays | undefined;
}

/** Characters of a request's topic that the text about a missing service shows. */
const SERVICE_TEXT_MAX = 63;

export class Broker {
  readonly rank: number;
  readonly size: number;
  readonly uuid: string;
  readonly owner: number;
  readonly topology: Topology;
  readonly attributes: Attributes;
  readonly bus: EventBus;
  readonly world: World;
  readonly counters = new MessageCounters();
  /** What this broker's own responses and requests carry. */
  readonly credentials: Credentials;
  readonly #rpc: RpcClient;
  readonly #internal: InternalServices;
  readonly #internalMethods = new Map<string, Methods>();
  // Ports by the id that routes name them with.
  readonly #ports = new Map<string, Port>();
  // Ports by the name of the service they answer for.
  readonly #services = new Map<string, Port>();
  readonly #children = new Map<number, Peer>();
  readonly #respond = (response: Message): void => this.#sendInternal(response);
  #parent: Peer | undefined;
  readonly #directWays: () => DirectWays | undefined;
  config: JsonObject;
  #isOnline = true;

  constructor(options: BrokerOptions) {
    this.rank = options.rank;
    this.size = options.size;
    this.uuid = options.uuid;
    this.owner = options.owner;
    this.topology = options.topology;
    this.attributes = options.attributes;
    this.config = options.config;
    this.bus = options.bus;
    this.world = options.world;
    this.#internal = options.internal;
    this.#directWays = options.directWays;
    this.credentials = { userid: options.owner, rolemask: Role.owner | Role.local };
    this.#rpc = new RpcClient((request) => this.#sendInternal(request));
  }

  /** Whether this rank belongs to the instance: false once it was cut off. */
  get isOnline(): boolean {
    return this.#isOnline;
  }

  /** This rank is no part of the instance any more. */
  cutOff(): void {
    this.#isOnline = false;
    this.closeDirectWay();
  }

  // ---- ports

  addPort(port: Port): void {
    this.#ports.set(port.uuid, port);
  }

  removePort(port: Port): void {
    this.#ports.delete(port.uuid);
    for (const [name, owner] of this.#services) if (owner === port) this.#services.delete(name);
  }

  port(uuid: string): Port | undefined {
    return this.#ports.get(uuid);
  }

  get parent(): Peer | undefined {
    return this.#parent;
  }

  get children(): ReadonlyMap<number, Peer> {
    return this.#children;
  }

  setParent(peer: Peer | undefined): void {
    if (this.#parent) this.removePort(this.#parent);
    this.#parent = peer;
    if (peer) this.addPort(peer);
  }

  addChild(peer: Peer): void {
    this.#children.set(peer.rank, peer);
    this.addPort(peer);
  }

  removeChild(peer: Peer): void {
    this.#children.delete(peer.rank);
    this.removePort(peer);
  }

  // ---- services

  /**
   * Lets a port answer for a service name.
   *
   * @throws FluxError EINVAL for a name with a dot, EEXIST when somebody answers for it
   */
  addService(name: string, port: Port): void {
    if (name.includes('.')) throw new FluxError('EINVAL', `service name '${name}' has a dot`);
    if (this.hasService(name)) throw new FluxError('EEXIST', `service ${name} is registered already`);
    this.#services.set(name, port);
  }

  /** False when the port does not answer for that name. */
  removeService(name: string, port: Port): boolean {
    return this.#services.get(name) === port && this.#services.delete(name);
  }

  hasService(name: string): boolean {
    return this.#services.has(name) || this.#internal.has(name);
  }

  /** The names that a port answers for. */
  servicesOf(port: Port): string[] {
    return [...this.#services].flatMap(([name, owner]) => (owner === port ? [name] : []));
  }

  // ---- messages that come in

  /** Takes a message from a module, or from the connector. */
  receive(message: Message, from: Port): void {
    if (message.type === MessageType.request) {
      message.routes.push(from.uuid);
      this.routeRequest(message);
    } else if (message.type === MessageType.response) {
      // The broker pushed its own id when it handed the request over.
      if (message.routes.pop() === this.uuid) this.routeResponse(message);
    } else if (message.type === MessageType.event) this.publishMessage(message);
  }

  /** Takes a message from a neighbour; what is local there is not local here (RFC 12, The Local Role). */
  receiveFromPeer(message: Message, from: Port): void {
    message.rolemask &= ~Role.local;
    if (message.type === MessageType.request) {
      message.routes.push(from.uuid);
      this.routeRequest(message);
    } else if (message.type === MessageType.response) this.routeResponse(message);
    else if (message.type === MessageType.event) this.publishMessage(message);
  }

  #sendInternal(message: Message): void {
    this.counters.sent(message);
    if (message.type === MessageType.request) this.routeRequest(message);
    else if (message.type === MessageType.response) this.routeResponse(message);
    else this.publishMessage(message);
  }

  // ---- routing

  /** Sends a request on its way, or answers why it can't be. */
  routeRequest(message: Message): void {
    const service = message.service;
    const port = this.#services.get(service);
    const hop = nextHop(
      this.topology,
      this.rank,
      message.nodeid,
      (message.flags & Flag.upstream) !== 0,
      port !== undefined || this.#internal.has(service),
    );
    switch (hop.to) {
      case 'service':
        if (port?.takes?.(message) === false) this.#passOn(message);
        else if (port) {
          message.routes.push(this.uuid);
          port.send(message);
        } else this.#serve(message, service);
        return;
      case 'parent':
        this.#sendToPeer(message, this.#parent);
        return;
      case 'child':
        this.#sendToPeer(message, this.#children.get(hop.rank));
        return;
      case 'nobody':
        this.#refuse(message, hop.error);
    }
  }

  /**
   * Sends a request that this rank's service does not take on: to rank 0 at once, or to the next rank towards the root that
   * has its service.
   */
  #passOn(message: Message): void {
    if (message.nodeid !== NODEID_ANY) {
      message.word1 = this.rank;
      message.flags |= Flag.upstream;
    }
    const ways = this.#parent?.isOnline ? this.#directWays() : undefined;
    if (ways) ways.ask(message, this);
    else this.#sendToPeer(message, this.#parent);
  }

  /** This rank has left the instance or was cut off: who asked rank 0 gets no answer any more. */
  closeDirectWay(): void {
    this.#directWays()?.close(this);
  }

  #refuse(message: Message, error: 'ENOSYS' | 'EHOSTUNREACH'): void {
    const text = `No service matching ${message.topic} is registered`;
    this.failRequest(message, new FluxError(error, error === 'ENOSYS' ? text.slice(0, SERVICE_TEXT_MAX) : undefined));
  }

  /** Answers a request that will never reach the one it is for. */
  failRequest(message: Message, error: FluxError): void {
    this.#request(message).fail(error);
  }

  #sendToPeer(message: Message, peer: Peer | undefined): void {
    if (!peer?.isOnline) {
      this.#refuse(message, 'EHOSTUNREACH');
      return;
    }
    if (peer.isStuck) {
      this.failRequest(message, new FluxError('EAGAIN', `rank ${peer.rank} takes no requests: too many wait for it`));
      return;
    }
    peer.send(message);
  }

  /** Answers a request to one of the broker's own services. */
  #serve(message: Message, service: string): void {
    this.counters.received(message);
    const request = this.#request(message);
    const topic = message.topic ?? '';
    const methods = this.#methodsOf(service);
    const name = topic.slice(service.length + 1);
    if (Object.hasOwn(methods, name)) callMethod(methods[name]!, request, (_, error) => this.reportBug(topic, error));
    else request.fail(new FluxError('ENOSYS', `Unknown service method '${topic}'`));
  }

  /** Makes one of the broker's own services before anybody asks for it. */
  prepareService(name: string): void {
    this.#methodsOf(name);
  }

  #methodsOf(service: string): Methods {
    let methods = this.#internalMethods.get(service);
    if (!methods) {
      methods = this.#internal.methods(service);
      this.#internalMethods.set(service, methods);
    }
    return methods;
  }

  #request(message: Message): Request {
    return new Request(message, this.credentials, this.#respond);
  }

  /** Sends a response to where its top route says; one that leads nowhere is dropped. */
  routeResponse(message: Message): void {
    const id = message.routes.pop();
    if (id === undefined) {
      this.counters.received(message);
      this.#rpc.receive(message);
      return;
    }
    this.#ports.get(id)?.send(message);
  }

  // ---- events

  /** Sends an event that is not yet published to rank 0, which publishes it. */
  publishMessage(event: Message): void {
    if (this.rank === 0) this.bus.publish(event);
    else if (this.#parent?.isOnline) this.#parent.send(event);
  }

  // ---- the broker's own calls

  /** Requests of the broker itself that are not answered. */
  get pendingCount(): number {
    return this.#rpc.pendingCount;
  }

  rpc(topic: string, payload?: Payload, options?: RpcOptions): Promise<JsonValue | undefined> {
    return this.#rpc.rpc(topic, payload, this.#asBroker(options));
  }

  request(topic: string, payload?: Payload, options?: RpcOptions) {
    return this.#rpc.request(topic, payload, this.#asBroker(options));
  }

  notify(topic: string, payload?: Payload, options?: RpcOptions): void {
    this.#rpc.notify(topic, payload, this.#asBroker(options));
  }

  #asBroker(options: RpcOptions = {}): RpcOptions {
    const { nodeid, flags = 0, credentials = this.credentials } = options;
    if (nodeid === NODEID_UPSTREAM) return { nodeid: this.rank, flags: flags | Flag.upstream, credentials };
    return { nodeid, flags, credentials };
  }

  /** Appends to the log of this rank. */
  log(severity: Severity, text: string, appname = 'broker'): void {
    const timestamp = formatTimestamp(this.world.clock.now());
    const entry = { severity: severityNumber(severity), timestamp, hostname: String(this.rank), appname, text };
    this.notify('log.append', Buffer.from(formatEntry(entry)));
  }

  reportBug(where: string, error: unknown): void {
    this.log('err', `bug in ${where}: ${error instanceof Error ? (error.stack ?? error.message) : error}`);
  }
}
