/**
 * Many clients over one connection to a broker, as a proxy has them (RFC 3, RFC 6): requests go up with their client's id on
 * the route stack and answers find it there; what concerns the connection itself, subscriptions and services, is shared.
 */

import { asFluxError, errno, FluxError } from '../errno.ts';
import { type Credentials, Role, UNKNOWN_CREDENTIALS, USERID_UNKNOWN } from '../message/credentials.ts';
import { Flag, type Message, MessageType, type Payload } from '../message/message.ts';
import { AskedServices } from './asked-services.ts';
import { Request } from './methods.ts';
import { RpcClient } from './rpc.ts';
import { SharedServices } from './shared-services.ts';
import { type Done, SharedSubscriptions } from './shared-subscriptions.ts';
import { RpcTracker } from './tracker.ts';

/** What the router itself answers with: nobody in particular, who owns it. */
const ownCredentials: Credentials = { userid: USERID_UNKNOWN, rolemask: Role.owner };

export interface RouterOptions {
  /** Sends a message to the broker. */
  readonly send: (message: Message) => void;
  /** Userid of the clients. Which roles that gives is for the broker to say. */
  readonly userid: number;
  /** What all messages name as their sender in place of that (RFC 12: an owner who plays a guest). */
  readonly credentials?: Credentials;
  /** Keep the requests under way, so that `lost` can answer them. */
  readonly tracks?: boolean;
}

/** One client of a router. */
export class RouterClient {
  readonly uuid: string;
  readonly send: (message: Message) => void;
  /** Services to tell when it goes. */
  readonly asked = new AskedServices();
  /** Requests for its services that it has not answered. */
  readonly serving = new RpcTracker();

  constructor(uuid: string, send: (message: Message) => void) {
    this.uuid = uuid;
    this.send = send;
  }
}

export class Router {
  readonly #clients = new Map<string, RouterClient>();
  readonly #send: (message: Message) => void;
  readonly #credentials: Credentials;
  readonly #tracker: RpcTracker | undefined;
  readonly #subscriptions: SharedSubscriptions<RouterClient>;
  readonly #services: SharedServices<RouterClient>;
  #rpc: RpcClient;

  constructor(options: RouterOptions) {
    const { credentials = UNKNOWN_CREDENTIALS, userid } = options;
    const isPlaying = credentials !== UNKNOWN_CREDENTIALS;
    this.#send = options.send;
    this.#credentials = isPlaying ? credentials : { userid, rolemask: Role.none };
    this.#tracker = options.tracks ? new RpcTracker() : undefined;
    const own = isPlaying ? credentials : UNKNOWN_CREDENTIALS;
    this.#rpc = new RpcClient((request) => this.#send(request));
    this.#subscriptions = new SharedSubscriptions((method, prefix, done) =>
      this.#call(`event.${method}`, { topic: prefix }, own, done),
    );
    this.#services = new SharedServices((method, service, done) =>
      this.#call(`service.${method}`, { service }, this.#credentials, done),
    );
  }

  /** Calls of the router itself. */
  get rpc(): RpcClient {
    return this.#rpc;
  }

  /** A call whose answer is handed on before anything behind it is handled. */
  #call(topic: string, payload: Payload, credentials: Credentials, done: Done): void {
    const put = (response: Message) => done(response.errnum ? response.error() : undefined);
    this.#rpc.requestFor({ put, fail: done }, topic, payload, { credentials });
  }

  // ---- clients

  /** Takes a client on; `send` is how messages get to it. */
  connect(uuid: string, send: (message: Message) => void): RouterClient {
    const client = new RouterClient(uuid, send);
    this.#clients.set(uuid, client);
    return client;
  }

  /** Cleans up after a client that is gone. */
  disconnect(client: RouterClient): void {
    if (!this.#clients.delete(client.uuid)) return;
    this.#subscriptions.drop(client);
    this.#services.drop(client);
    for (const request of client.serving.takeAll()) {
      const text = `the client that answered for ${request.service} is gone`;
      this.#send(request.respondError(errno.ENOSYS, text, ownCredentials));
    }
    for (const request of client.asked.disconnectRequests(this.#credentials)) this.#sendRequest(client, request);
  }

  /** Takes a message that a client sent. */
  receive(client: RouterClient, message: Message): void {
    // RFC 3 wants a topic of all but control messages, which are of no meaning here.
    if (message.topic === undefined) return;
    message.userid = this.#credentials.userid;
    message.rolemask = this.#credentials.rolemask;
    if (message.type === MessageType.request) this.#request(client, message);
    else if (message.type === MessageType.event) this.#send(message);
    else if (message.type === MessageType.response && client.serving.answered(message)) this.#send(message);
  }

  #request(client: RouterClient, message: Message): void {
    message.flags |= Flag.route;
    const own = Object.hasOwn(this.#ownMethods, message.topic!) ? this.#ownMethods[message.topic!] : undefined;
    if (own) {
      const request = new Request(message, ownCredentials, (response) => client.send(response));
      try {
        own(client, request, (error) => (error ? request.fail(error) : request.reply()));
      } catch (error) {
        request.fail(asFluxError(error));
      }
      return;
    }
    client.asked.note(message);
    this.#sendRequest(client, message);
  }

  #sendRequest(client: RouterClient, request: Message): void {
    request.routes.push(client.uuid);
    this.#tracker?.sent(request);
    this.#send(request);
  }

  /** What concerns the connection that the clients share, wherever the request is addressed to. */
  readonly #ownMethods: Readonly<Record<string, (client: RouterClient, request: Request, done: Done) => void>> = {
    'event.subscribe': (client, request, done) =>
      this.#subscriptions.subscribe(request.unpack({ topic: 's' }).topic, client, done),
    'event.unsubscribe': (client, request, done) =>
      this.#subscriptions.unsubscribe(request.unpack({ topic: 's' }).topic, client, done),
    'service.add': (client, request, done) =>
      this.#services.add(request.unpack({ service: 's' }).service, client, done),
    'service.remove': (client, request, done) =>
      this.#services.remove(request.unpack({ service: 's' }).service, client, done),
  };

  // ---- the broker

  /** Takes a message that the broker sent. */
  receiveUpstream(message: Message): void {
    if (message.type === MessageType.response) this.#response(message);
    else if (message.type === MessageType.request) this.#serve(message);
    else if (message.type === MessageType.event)
      for (const client of this.#subscriptions.of(message.topic ?? '')) client.send(message);
  }

  #response(message: Message): void {
    if (message.routes.isEmpty) {
      this.#rpc.receive(message);
      return;
    }
    this.#tracker?.answered(message);
    // One that is gone gets nothing any more.
    this.#clients.get(message.routes.pop()!)?.send(message);
  }

  #serve(request: Message): void {
    const client = this.#services.of(request.service);
    if (client) {
      client.serving.sent(withoutPayload(request));
      client.send(request);
    } else if (request.wantsResponse) {
      const text = `no client answers for ${request.service}`;
      this.#send(request.respondError(errno.ENOSYS, text, ownCredentials));
    }
  }

  /** The connection is lost: what was under way is answered with ECONNRESET, and calls fail until `renew`. */
  lost(): void {
    const error = new FluxError('ECONNRESET', 'the connection to the broker was lost');
    this.#rpc.fail(error);
    // Nobody waits for these any more, and a new connection knows nothing of them.
    for (const client of this.#clients.values()) client.serving.takeAll();
    for (const request of this.#tracker?.takeAll() ?? [])
      this.#response(request.respondError(error.errno, error.detail, ownCredentials));
  }

  /** There is a new connection. */
  resume(): void {
    this.#rpc = new RpcClient((request) => this.#send(request));
  }

  /**
   * Makes the subscriptions and registrations of all clients again, over the new connection.
   *
   * @throws FluxError what one of them failed with
   */
  async renew(): Promise<void> {
    await Promise.all([this.#subscriptions.renew(), this.#services.renew()]);
  }
}

/** All that an error response to it needs. */
function withoutPayload(request: Message): Message {
  const copy = request.clone();
  copy.setPayload(undefined);
  return copy;
}
