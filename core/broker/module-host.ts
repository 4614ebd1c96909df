/**
 * A service at work: takes the messages that its broker sends it, calls its methods, and is the context that the service
 * sees. It does not know where it runs; messages come in by `receive` and leave by the `send` it was given.
 */

import { FluxError } from '../errno.ts';
import { callMethod, type Method, type Methods, Request } from '../handle/methods.ts';
import { type Responses, RpcClient, type RpcOptions } from '../handle/rpc.ts';
import { Subscriptions } from '../handle/subscriptions.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import { type Credentials, Role } from '../message/credentials.ts';
import { Flag, MATCHTAG_NONE, Message, MessageType, NODEID_UPSTREAM, type Payload } from '../message/message.ts';
import { SetMap } from '../set-map.ts';
import { commonMethods, MessageCounters, type ResourceUsage, type UsageOf } from './common-methods.ts';
import { formatEntry, formatTimestamp, type Severity, severityNumber } from './log-format.ts';
import type { Clock, ModuleDefinition, Random, Service, ServiceContext, Spawn, SpawnSoon } from './service.ts';

/** What a module is told when it is loaded (RFC 5, Welcome Request), and by its thread. */
export interface Welcome {
  readonly name: string;
  readonly uuid: string;
  readonly rank: number;
  readonly size: number;
  /** Userid of the instance owner, whom the module acts for. */
  readonly owner: number;
  readonly args: readonly string[];
  readonly config: JsonObject;
  readonly attribute: (name: string) => string | undefined;
}

/** What services reach beyond messages; the simulator has its own. */
export interface World {
  readonly clock: Clock;
  readonly random: Random;
  readonly rusage: (who: UsageOf) => ResourceUsage;
  readonly spawn: Spawn;
  readonly spawnSoon: SpawnSoon;
}

/** Characters of a log line beyond which it is cut off. */
const LOG_TEXT_MAX = 2048;

export class ModuleHost implements ServiceContext {
  readonly name: string;
  readonly uuid: string;
  readonly rank: number;
  readonly size: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly spawn: Spawn;
  readonly spawnSoon: SpawnSoon;
  config: JsonObject;
  readonly counters = new MessageCounters();
  readonly #attribute: (name: string) => string | undefined;
  readonly #send: (message: Message) => void;
  readonly #credentials: Credentials;
  readonly #rpc: RpcClient;
  // Made when first needed: there are modules on every rank, and few of them subscribe.
  #subscriptions: Subscriptions<(event: Message) => void> | undefined;
  readonly #args: readonly string[];
  readonly #world: World;
  #common: Methods | undefined;
  readonly #respond: (response: Message, request: Request) => void;
  // Requests that the service has not finished answering, by who sent them: streams and waits.
  #unanswered: SetMap<string, Request> | undefined;
  #service: Service = {};
  #running = false;
  /** Requests that came while it starts: those whom it tells that it is there may ask at once. */
  #early: Message[] | undefined = [];
  #isStopped = false;

  /** `send` puts a message on its way to the module's broker. */
  constructor(welcome: Welcome, world: World, send: (message: Message) => void) {
    this.name = welcome.name;
    this.uuid = welcome.uuid;
    this.rank = welcome.rank;
    this.size = welcome.size;
    this.config = welcome.config;
    this.clock = world.clock;
    this.random = world.random;
    this.spawn = world.spawn;
    this.spawnSoon = world.spawnSoon;
    this.#args = welcome.args;
    this.#attribute = welcome.attribute;
    this.#credentials = { userid: welcome.owner, rolemask: Role.owner | Role.local };
    this.#send = (message) => {
      this.counters.sent(message);
      send(message);
    };
    this.#respond = (response, request) => {
      if (request.isAnswered) this.#forget(request);
      this.#send(response);
    };
    this.#rpc = new RpcClient(this.#send);
    this.#world = world;
  }

  /** Made when first called: most modules of most ranks never are. */
  #commonMethods(): Methods {
    this.#common ??= commonMethods({
      uuid: this.uuid,
      rank: this.rank,
      rusage: this.#world.rusage,
      stats: () => this.#service.stats?.() ?? this.counters.toJSON(),
      clearStats: () => this.#clearStats(),
      configure: (config) => this.#configure(config),
    });
    return this.#common;
  }

  /**
   * Starts the service.
   *
   * @throws FluxError why it can't run
   */
  async start(definition: ModuleDefinition): Promise<void> {
    try {
      const started = definition.start(this, this.#args);
      this.#service = started instanceof Promise ? await started : started;
      if (this.#isStopped) {
        await this.#service.stop?.();
        throw new FluxError('ECONNABORTED', `module ${this.name} was stopped while it started`);
      }
      this.#running = true;
      this.#subscribe(`${this.name}.stats-clear`);
    } finally {
      this.#callEarly();
    }
    for (const service of this.#service.services ?? []) await this.rpc('service.add', { service });
  }

  /** It runs, or never will. */
  #callEarly(): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const message of early) this.#call(message);
  }

  /** Stops the service; what it still waits for fails, and so does what others wait for from it. */
  async stop(): Promise<void> {
    this.#running = false;
    this.#isStopped = true;
    this.#callEarly();
    try {
      await this.#service.stop?.();
    } finally {
      for (const request of this.#unanswered?.values() ?? [])
        request.fail(new FluxError('ENOSYS', `module ${this.name} is gone`));
      this.#rpc.fail(new FluxError('ECONNABORTED', `module ${this.name} is stopped`));
    }
  }

  /** Takes a message from the broker. */
  receive(message: Message): void {
    this.counters.received(message);
    if (message.type === MessageType.request) this.#call(message);
    else if (message.type === MessageType.response) this.#takeResponse(message);
    else if (message.type === MessageType.event) this.#dispatchEvent(message);
  }

  #call(message: Message): void {
    if (this.#early) {
      this.#early.push(message);
      return;
    }
    const topic = message.topic ?? '';
    const request = new Request(message, this.#credentials, this.#respond);
    const method = this.#running ? this.#method(topic.slice(topic.indexOf('.') + 1)) : undefined;
    if (!method) {
      request.fail(new FluxError('ENOSYS', `Unknown service method '${topic}'`));
      return;
    }
    callMethod(method, request, (_, error) => this.#reportBug(topic, error));
    if (message.wantsResponse) {
      if (request.isAnswered) return;
      this.#remember(request);
      // Who sent it is gone, and waits for nothing any more (RFC 6, Disconnection).
    } else if (topic.endsWith('.disconnect')) this.#unanswered?.take(request.sender);
  }

  #takeResponse(response: Message): void {
    if (this.#rpc.receive(response) || response.matchtag !== MATCHTAG_NONE || !this.#running) return;
    try {
      this.#service.takeResponse?.(response);
    } catch (error) {
      this.#reportBug(response.topic ?? '', error);
    }
  }

  #remember(request: Request): void {
    this.#unanswered ??= new SetMap();
    this.#unanswered.add(request.sender, request);
  }

  #forget(request: Request): void {
    this.#unanswered?.delete(request.sender, request);
  }

  #method(name: string): Method | undefined {
    const methods = this.#service.methods;
    if (methods && Object.hasOwn(methods, name)) return methods[name];
    const common = this.#commonMethods();
    return Object.hasOwn(common, name) ? common[name] : undefined;
  }

  #clearStats(): void {
    if (this.#service.clearStats) this.#service.clearStats();
    else this.counters.clear();
  }

  #dispatchEvent(event: Message): void {
    if (event.topic === `${this.name}.stats-clear`) this.#clearStats();
    for (const callback of this.#subscriptions?.of(event.topic ?? '') ?? []) {
      try {
        callback(event);
      } catch (error) {
        this.#reportBug(event.topic ?? '', error);
      }
    }
  }

  #reportBug(topic: string, error: unknown): void {
    this.log('err', `bug in ${topic}: ${error instanceof Error ? (error.stack ?? error.message) : error}`);
  }

  #configure(config: JsonObject): void {
    this.#service.configure?.(config);
    this.config = config;
  }

  // ---- ServiceContext

  attribute(name: string): string | undefined {
    return this.#attribute(name);
  }

  rpc(topic: string, payload?: Payload, options?: RpcOptions): Promise<JsonValue | undefined> {
    return this.#rpc.rpc(topic, payload, this.#asOwner(options));
  }

  request(topic: string, payload?: Payload, options?: RpcOptions): Responses {
    return this.#rpc.request(topic, payload, this.#asOwner(options));
  }

  sendUntagged(topic: string, payload?: Payload): void {
    // Of several responses only the last ends a request, and which one that is, is up to the service.
    this.#send(Message.request({ topic, payload, flags: Flag.streaming, credentials: this.#credentials }));
  }

  notify(topic: string, payload?: Payload, options?: RpcOptions): void {
    this.#rpc.notify(topic, payload, this.#asOwner(options));
  }

  #asOwner(options: RpcOptions = {}): RpcOptions {
    const { nodeid, flags = 0 } = options;
    const credentials = options.credentials ?? this.#credentials;
    // RFC 3: on the wire "upstream" is the sender's own rank and a flag.
    if (nodeid === NODEID_UPSTREAM) return { nodeid: this.rank, flags: flags | Flag.upstream, credentials };
    return { nodeid, flags, credentials };
  }

  async publish(topic: string, payload?: Payload, options: { readonly private?: boolean } = {}): Promise<void> {
    const event = Message.event(topic, payload);
    const request: Record<string, JsonValue> = { topic, flags: options.private ? Flag.private : 0 };
    if (event.bytes) request.payload = Buffer.from(event.bytes).toString('base64');
    await this.rpc('event.publish', request, { nodeid: 0 });
  }

  sendEvent(topic: string, payload?: Payload, options: { readonly private?: boolean } = {}): void {
    this.#send(Message.event(topic, payload, options.private ? Flag.private : 0, this.#credentials));
  }

  subscribe(prefix: string, callback: (event: Message) => void): void {
    this.#subscriptions ??= new Subscriptions();
    this.#subscriptions.add(prefix, callback);
    this.#subscribe(prefix);
  }

  unsubscribe(prefix: string, callback: (event: Message) => void): void {
    if (this.#subscriptions?.remove(prefix, callback)) this.notify('event.unsubscribe', { topic: prefix });
  }

  #subscribe(prefix: string): void {
    this.notify('event.subscribe', { topic: prefix });
  }

  log(severity: Severity, text: string): void {
    const entry = {
      severity: severityNumber(severity),
      timestamp: formatTimestamp(this.clock.now()),
      hostname: String(this.rank),
      appname: this.name,
      text: text.length > LOG_TEXT_MAX ? `${text.slice(0, LOG_TEXT_MAX)}…` : text,
    };
    this.notify('log.append', Buffer.from(formatEntry(entry)));
  }
}
