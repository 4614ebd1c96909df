/**
 * The client interface of Flux: remote procedure calls, streams, events and services over one connection to a broker.
 *
 *     const handle = await Handle.open();
 *     const { value } = await handle.rpc('attr.get', { name: 'size' });
 *     for await (const event of await handle.subscribe('heartbeat.')) console.log(event.sequence);
 */

import { asFluxError, FluxError } from '../errno.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import { type Credentials, UNKNOWN_CREDENTIALS } from '../message/credentials.ts';
import { Flag, Message, MessageType, NODEID_UPSTREAM, type Payload } from '../message/message.ts';
import { connect, credentialsFrom, DEFAULT_URI } from './connect.ts';
import { type BugReporter, callMethod, type Methods, Request } from './methods.ts';
import { type Responses, RpcClient, type RpcOptions, resultOf, Stream } from './rpc.ts';
import { Subscriptions } from './subscriptions.ts';
import type { Transport } from './transport.ts';

export interface HandleOptions {
  /** The environment that FLUX_URI, FLUX_HANDLE_USERID and FLUX_HANDLE_ROLEMASK are taken from. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Told of a service method that threw what is no FluxError; by default it goes to stderr. */
  readonly onBug?: BugReporter;
}

export interface StreamOptions extends RpcOptions {
  /** Topic of the request that ends the stream, sent with its matchtag when the loop is left early. */
  readonly cancelTopic?: string;
}

export interface PublishOptions {
  /** Deliver it only to the owner and to those with the publisher's userid (RFC 12, Event Privacy). */
  readonly private?: boolean;
}

export class Handle {
  readonly uri: string;
  readonly #rpc: RpcClient;
  readonly #subscriptions = new Subscriptions<EventQueue>();
  readonly #services = new Map<string, Methods>();
  readonly #credentials: Credentials;
  readonly #reportBug: BugReporter;
  #transport: Transport | undefined;
  #closed: FluxError | undefined;
  #rank: Promise<number> | undefined;
  #onClose: (error: FluxError | undefined) => void = () => {};
  /** Resolves when the connection is over; to an error when it was not closed on purpose. */
  readonly closed: Promise<FluxError | undefined>;

  private constructor(uri: string, credentials: Credentials, reportBug: BugReporter) {
    this.uri = uri;
    this.#credentials = credentials;
    this.#reportBug = reportBug;
    this.#rpc = new RpcClient((request) => this.#send(request));
    this.closed = new Promise((resolve) => {
      this.#onClose = resolve;
    });
  }

  /**
   * Connects to a broker.
   *
   * @param uri `local://PATH` or `fd://N`; the environment's FLUX_URI when absent
   * @throws FluxError what the connection failed with; EPERM for a user who may not connect; ENOENT for an unknown scheme
   */
  static async open(uri?: string, options: HandleOptions = {}): Promise<Handle> {
    const env = options.env ?? process.env;
    const where = uri ?? env.FLUX_URI ?? DEFAULT_URI;
    const handle = new Handle(where, credentialsFrom(env), options.onBug ?? bugToStderr);
    handle.#transport = await connect(where, {
      onMessage: (message) => handle.#receive(message),
      onClose: (error) => handle.#end(error),
    });
    return handle;
  }

  /** Ends the connection; what is pending fails. */
  async close(): Promise<void> {
    const transport = this.#transport;
    this.#end(undefined);
    await transport?.close();
  }

  /** Whether the connection keeps the process alive (it does at first). */
  ref(alive: boolean): void {
    this.#transport?.ref(alive);
  }

  #end(error: FluxError | undefined): void {
    if (this.#closed) return;
    this.#closed = error ?? new FluxError('ECONNABORTED', 'the handle is closed');
    this.#rpc.fail(this.#closed);
    for (const queue of this.#subscriptions.all()) queue.end();
    this.#onClose(error);
  }

  // ---- calls

  /**
   * Asks a service and resolves to the JSON payload of its answer.
   *
   * @throws FluxError the error response: its errno, and its text as the message
   */
  async rpc<T = JsonObject>(topic: string, payload?: Payload, options?: RpcOptions): Promise<T> {
    return resultOf(await this.request(topic, payload, options).next()) as T;
  }

  /** As `rpc`, for a service that answers with bytes. */
  async rpcBytes(topic: string, payload?: Payload, options?: RpcOptions): Promise<Uint8Array> {
    const response = await this.request(topic, payload, options).next();
    if (response.errnum) throw response.error();
    return response.bytes ?? new Uint8Array();
  }

  /** Sends a request and gives all its responses as messages, errors too. */
  request(topic: string, payload?: Payload, options?: RpcOptions): Responses {
    return this.#rpc.request(topic, payload, this.#withCredentials(options));
  }

  /** Sends a request that gets no response. */
  notify(topic: string, payload?: Payload, options?: RpcOptions): void {
    this.#rpc.notify(topic, payload, this.#withCredentials(options));
  }

  /** Asks a service for a stream of JSON answers, an async iterable that ends where the stream ends. */
  stream<T = JsonObject>(topic: string, payload?: Payload, options: StreamOptions = {}): Stream<T> {
    return this.#stream(topic, payload, options, (message) => message.json as T);
  }

  /** As `stream`, for a service that answers with bytes. */
  streamBytes(topic: string, payload?: Payload, options: StreamOptions = {}): Stream<Uint8Array> {
    return this.#stream(topic, payload, options, (message) => message.bytes ?? new Uint8Array());
  }

  #stream<T>(
    topic: string,
    payload: Payload | undefined,
    options: StreamOptions,
    convert: (message: Message) => T,
  ): Stream<T> {
    const { cancelTopic, ...rest } = options;
    const responses = this.request(topic, payload, { ...rest, flags: (rest.flags ?? 0) | Flag.streaming });
    const cancel = cancelTopic ? () => this.notify(cancelTopic, { matchtag: responses.matchtag }, rest) : undefined;
    return new Stream(responses, convert, cancel);
  }

  #withCredentials(options: RpcOptions = {}): RpcOptions {
    return this.#credentials === UNKNOWN_CREDENTIALS ? options : { credentials: this.#credentials, ...options };
  }

  #send(request: Message): void {
    if (request.nodeid === NODEID_UPSTREAM) void this.#sendUpstream(request);
    else this.#transport?.send(request);
  }

  /** On the wire "upstream" is the own rank and a flag (RFC 3), so the first such request waits for the rank. */
  async #sendUpstream(request: Message): Promise<void> {
    try {
      this.#rank ??= this.attribute('rank').then(Number);
      request.word1 = await this.#rank;
      request.flags |= Flag.upstream;
      this.#transport?.send(request);
    } catch (error) {
      const { errno, message } = asFluxError(error);
      this.#rpc.receive(request.respondError(errno, message, this.#credentials));
    }
  }

  /** The value of a broker attribute. */
  async attribute(name: string, options?: RpcOptions): Promise<string> {
    return (await this.rpc<{ value: string }>('attr.get', { name }, options)).value;
  }

  // ---- events

  /** Publishes an event and resolves to its sequence number. */
  async publish(topic: string, payload?: Payload, options: PublishOptions = {}): Promise<number> {
    const request: Record<string, JsonValue> = { topic, flags: options.private ? Flag.private : 0 };
    const message = Message.event(topic, payload);
    if (message.bytes) request.payload = Buffer.from(message.bytes).toString('base64');
    return (await this.rpc<{ seq: number }>('event.publish', request, { nodeid: 0 })).seq;
  }

  /** Events whose topic begins with `prefix`, as they come, until the loop is left. */
  async subscribe(prefix: string): Promise<EventQueue> {
    const queue = new EventQueue(() => {
      this.#subscriptions.remove(prefix, queue);
      if (!this.#closed) this.notify('event.unsubscribe', { topic: prefix });
    });
    this.#subscriptions.add(prefix, queue);
    try {
      await this.rpc('event.subscribe', { topic: prefix });
    } catch (error) {
      this.#subscriptions.remove(prefix, queue);
      throw error;
    }
    return queue;
  }

  // ---- services

  /**
   * Answers requests whose topic begins with `name.`.
   *
   * @throws FluxError EEXIST when the name is taken, EINVAL when it has a dot, EPERM for a guest's name without his userid
   */
  async serve(name: string, methods: Methods): Promise<void> {
    await this.rpc('service.add', { service: name });
    this.#services.set(name, methods);
  }

  /** Stops answering for a name. */
  async unserve(name: string): Promise<void> {
    this.#services.delete(name);
    await this.rpc('service.remove', { service: name });
  }

  // ---- what comes in

  #receive(message: Message): void {
    if (message.type === MessageType.response) this.#rpc.receive(message);
    else if (message.type === MessageType.event)
      for (const queue of this.#subscriptions.of(message.topic ?? '')) queue.put(message);
    else if (message.type === MessageType.request) this.#answer(message);
  }

  #answer(message: Message): void {
    const { service, topic = '' } = message;
    const methods = this.#services.get(service);
    const name = topic.slice(service.length + 1);
    const method = methods && Object.hasOwn(methods, name) ? methods[name] : undefined;
    const request = new Request(message, this.#credentials, (response) => this.#transport?.send(response));
    if (method) callMethod(method, request, this.#reportBug);
    else request.fail(new FluxError('ENOSYS', `Unknown service method '${topic}'`));
  }
}

/** The events of one subscription. */
export class EventQueue implements AsyncIterable<Message> {
  readonly #unsubscribe: () => void;
  #queue: Message[] = [];
  #wake: (() => void) | undefined;
  #ended = false;

  constructor(unsubscribe: () => void) {
    this.#unsubscribe = unsubscribe;
  }

  put(event: Message): void {
    this.#queue.push(event);
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** Ends the subscription, and the loop over it. */
  unsubscribe(): void {
    if (this.#ended) return;
    this.end();
    this.#unsubscribe();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Message, void, undefined> {
    try {
      for (;;) {
        const batch = this.#queue;
        this.#queue = [];
        yield* batch;
        if (this.#queue.length) continue;
        if (this.#ended) return;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      this.unsubscribe();
    }
  }
}

function bugToStderr(topic: string, error: unknown): void {
  console.error(`error in the service method ${topic}:`, error);
}
