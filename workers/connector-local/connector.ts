/**
 * The module `connector-local`: the clients of one rank. Their sockets are the main thread's, which has framed and stamped
 * what comes from here; this side gives each client its id, keeps its subscriptions and services, and cleans up after it.
 */

import { type AccessPolicy, accessPolicy, closedAccess } from '../../core/broker/access-policy.ts';
import type { Broker } from '../../core/broker/broker.ts';
import type { Subscriber } from '../../core/broker/event-bus.ts';
import type { Module } from '../../core/broker/module.ts';
import type { ModuleDefinition } from '../../core/broker/service.ts';
import { checkServiceName } from '../../core/broker/services/service.ts';
import { asFluxError, FluxError } from '../../core/errno.ts';
import { AskedServices } from '../../core/handle/asked-services.ts';
import { Request } from '../../core/handle/methods.ts';
import { RpcTracker } from '../../core/handle/tracker.ts';
import type { JsonObject } from '../../core/json.ts';
import { type Credentials, Role, USERID_UNKNOWN } from '../../core/message/credentials.ts';
import { Flag, Message, MessageType } from '../../core/message/message.ts';

export interface ConnectorHost {
  /** Sends a message to a client. */
  send(endpoint: number, message: Message): void;
  /** Sends an event that others get too. */
  sendEvent(endpoint: number, event: Message): void;
  /** Ends a client's connection. */
  close(endpoint: number): void;
  /** Tells those who accept connections whom to accept. */
  setAccess(policy: AccessPolicy): void;
}

/** What the connection itself answers with: nobody in particular, who owns it. */
const ownCredentials: Credentials = { userid: USERID_UNKNOWN, rolemask: Role.owner };

class Client implements Subscriber {
  readonly endpoint: number;
  readonly uuid: string;
  readonly credentials: Credentials;
  readonly pid: number;
  readonly #broker: Broker;
  readonly #host: ConnectorHost;
  /** Names that it answers for. */
  readonly services = new Set<string>();
  /** Requests for its services that it has not answered. */
  readonly serving = new RpcTracker();
  /** Services to tell when it goes. */
  readonly asked = new AskedServices();
  received = 0;
  sent = 0;

  constructor(endpoint: number, credentials: Credentials, pid: number, broker: Broker, host: ConnectorHost) {
    this.endpoint = endpoint;
    this.uuid = broker.world.random.uuid();
    this.credentials = credentials;
    this.pid = pid;
    this.#broker = broker;
    this.#host = host;
  }

  get isOnline(): boolean {
    return this.#broker.isOnline;
  }

  send(message: Message): void {
    this.sent++;
    this.#host.send(this.endpoint, message);
  }

  deliver(event: Message): void {
    this.sent++;
    this.#host.sendEvent(this.endpoint, event);
  }

  describe(): JsonObject {
    return {
      uuid: this.uuid,
      userid: this.credentials.userid,
      pid: this.pid,
      txcount: this.sent,
      rxcount: this.received,
      rxbacklog: 0,
    };
  }
}

export class Connector {
  readonly #broker: Broker;
  readonly #host: ConnectorHost;
  readonly #byEndpoint = new Map<number, Client>();
  readonly #byUuid = new Map<string, Client>();
  readonly #byService = new Map<string, Client>();
  #module: Module | undefined;
  // What clients sent before this module was loaded.
  #early: [endpoint: number, message: Message][] = [];
  #isStopped = false;
  #connects = 0;
  #policy: AccessPolicy = closedAccess;

  constructor(broker: Broker, host: ConnectorHost) {
    this.#broker = broker;
    this.#host = host;
  }

  get clientCount(): number {
    return this.#byEndpoint.size;
  }

  readonly definition: ModuleDefinition = {
    start: (context) => {
      this.#configure(context.config);
      this.#isStopped = false;
      for (const [endpoint, message] of this.#early.splice(0)) this.receive(endpoint, message);
      return {
        methods: {
          'stats-get': { handler: () => this.#stats() },
          'config-sync': { handler: (request) => this.#configure(request.payload as JsonObject) },
        },
        configure: (config) => this.#configure(config),
        stop: () => {
          this.closeAll();
          this.#isStopped = true;
          this.#module = undefined;
        },
      };
    },
  };

  #configure(config: JsonObject): undefined {
    this.#policy = accessPolicy(config);
    this.#host.setAccess(this.#policy);
  }

  #stats(): JsonObject {
    const clients = [...this.#byEndpoint.values()].map((client) => client.describe());
    return {
      server: { clients, connects: this.#connects },
      allow_guest_user: this.#policy.allowGuestUser,
      allow_root_owner: this.#policy.allowRootOwner,
    };
  }

  // ---- between the broker and the clients

  /** The module whose messages these are; what is for a client does not go to the module's own methods. */
  attach(module: Module): (message: Message) => boolean {
    this.#module = module;
    return (message) => this.#toClient(message);
  }

  /** Takes a message that the broker sends to this module; false when it is not for a client. */
  #toClient(message: Message): boolean {
    if (message.type === MessageType.request) {
      const client = this.#byService.get(message.service);
      if (!client) return false;
      client.serving.sent(message);
      client.send(message);
      return true;
    }
    if (message.type !== MessageType.response) return false;
    const id = message.routes.pop();
    if (id === undefined) return false;
    this.#byUuid.get(id)?.send(message);
    return true;
  }

  // ---- clients

  connected(endpoint: number, credentials: Credentials, pid: number): void {
    if (this.#isStopped) {
      this.#host.close(endpoint);
      return;
    }
    const client = new Client(endpoint, credentials, pid, this.#broker, this.#host);
    this.#connects++;
    this.#byEndpoint.set(endpoint, client);
    this.#byUuid.set(client.uuid, client);
  }

  disconnected(endpoint: number): void {
    const client = this.#byEndpoint.get(endpoint);
    if (!client) return;
    this.#byEndpoint.delete(endpoint);
    this.#byUuid.delete(client.uuid);
    this.#broker.bus.remove(client);
    for (const service of client.services) this.#removeService(client, service);
    for (const request of client.serving.takeAll()) {
      // The broker pushed its id for the client, who will not pop it.
      request.routes.pop();
      this.#broker.failRequest(
        request,
        new FluxError('ENOSYS', `the client that answered for ${request.service} is gone`),
      );
    }
    for (const request of client.asked.disconnectRequests(client.credentials)) {
      request.routes.push(client.uuid);
      this.#module?.receive(request);
    }
  }

  /** The id by which others know a client. */
  uuidOf(endpoint: number): string | undefined {
    return this.#byEndpoint.get(endpoint)?.uuid;
  }

  closeAll(): void {
    for (const endpoint of [...this.#byEndpoint.keys()]) {
      this.#host.close(endpoint);
      this.disconnected(endpoint);
    }
  }

  /** Takes a message that a client sent. */
  receive(endpoint: number, message: Message): void {
    const client = this.#byEndpoint.get(endpoint);
    if (!client) return;
    if (!this.#module) {
      this.#early.push([endpoint, message]);
      return;
    }
    client.received++;
    if (message.type === MessageType.request) this.#request(client, message);
    else if (message.type === MessageType.response) {
      // Routes and matchtags can be guessed: without this a guest could answer what others were asked.
      if (client.serving.answered(message)) this.#module.receive(message);
    } else if (message.type === MessageType.event && message.topic !== undefined) {
      this.#broker.publishMessage(Message.event(message.topic, message.bytes, message.flags & Flag.private, message));
    }
  }

  #request(client: Client, message: Message): void {
    // RFC 3 wants both of a request; one without topic has nowhere to go.
    if (message.topic === undefined) return;
    message.flags |= Flag.route;
    const own = Object.hasOwn(this.#ownMethods, message.topic) ? this.#ownMethods[message.topic] : undefined;
    if (own) {
      const request = new Request(message, ownCredentials, (response) => client.send(response));
      try {
        own(client, request);
        request.respond();
      } catch (error) {
        request.fail(asFluxError(error));
      }
      return;
    }
    client.asked.note(message);
    message.routes.push(client.uuid);
    this.#module!.receive(message);
  }

  /** What the connection answers itself, wherever the request is addressed to. */
  readonly #ownMethods: Readonly<Record<string, (client: Client, request: Request) => void>> = {
    'event.subscribe': (client, request) => this.#broker.bus.subscribe(request.unpack({ topic: 's' }).topic, client),
    'event.unsubscribe': (client, request) => {
      if (!this.#broker.bus.unsubscribe(request.unpack({ topic: 's' }).topic, client)) throw new FluxError('ENOENT');
    },
    'service.add': (client, request) => {
      const { service } = request.unpack({ service: 's' });
      checkServiceName(request, service);
      this.#broker.addService(service, this.#module!);
      this.#byService.set(service, client);
      client.services.add(service);
    },
    'service.remove': (client, request) => {
      const { service } = request.unpack({ service: 's' });
      checkServiceName(request, service);
      if (!client.services.has(service)) throw new FluxError('ENOENT');
      this.#removeService(client, service);
    },
  };

  #removeService(client: Client, service: string): void {
    client.services.delete(service);
    this.#byService.delete(service);
    this.#broker.removeService(service, this.#module!);
  }
}
