/** A client of a simulated rank: what it sends and all that it gets, in the order in which it gets it. */

import type { RpcOptions } from '../../core/handle/rpc.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import { assignCredentials, type Credentials, Role } from '../../core/message/credentials.ts';
import { Flag, Message, MessageType, type Payload } from '../../core/message/message.ts';
import type { Rank } from '../../workers/router/rank.ts';
import type { Line } from './network.ts';
import type { Simulation } from './simulation.ts';

/** A request and its answers. */
export class Call {
  readonly request: Message;
  readonly answers: Message[] = [];
  /** Resolves to the answer that says it is the last. */
  readonly final: Promise<Message>;
  #resolve!: (answer: Message) => void;

  constructor(request: Message) {
    this.request = request;
    this.final = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  get finalAnswers(): Message[] {
    return this.answers.filter((answer) => answer.isLastResponse);
  }

  put(answer: Message): void {
    this.answers.push(answer);
    if (answer.isLastResponse) this.#resolve(answer);
  }

  /** The JSON payloads that came, without the end. */
  get values(): (JsonValue | undefined)[] {
    return this.answers.filter(({ errnum }) => errnum === 0).map(({ json }) => json);
  }
}

/** Answers a request to a service of a client: with a payload, or with a message, or later. */
export type ClientMethod = (request: Message, client: SimulatedClient) => void;

export class SimulatedClient {
  readonly endpoint: number;
  readonly rank: number;
  readonly credentials: Credentials;
  readonly calls: Call[] = [];
  /** Events and responses as they came. */
  readonly received: Message[] = [];
  /** Answers to what was never asked. */
  readonly strays: Message[] = [];
  readonly #sim: Simulation;
  readonly #toRank: Line;
  readonly #fromRank: Line;
  readonly services = new Map<string, ClientMethod>();
  readonly #listeners = new Set<(message: Message) => void>();
  isConnected = true;

  constructor(sim: Simulation, host: Rank, endpoint: number, credentials: Credentials) {
    this.#sim = sim;
    this.endpoint = endpoint;
    this.rank = host.rank;
    this.credentials = credentials;
    this.#toRank = sim.network.line(
      `client ${endpoint}→${this.rank}`,
      (message) => sim.fabric.fromClient(host.rank, () => host.connector.receive(endpoint, message)),
      true,
    );
    this.#fromRank = sim.network.line(`${this.rank}→client ${endpoint}`, (message) => this.#receive(message), true);
  }

  get events(): Message[] {
    return this.received.filter(({ type }) => type === MessageType.event);
  }

  /** Calls back with each message as it comes. */
  onMessage(listener: (message: Message) => void): void {
    this.#listeners.add(listener);
  }

  // ---- asking

  /** Sends a message as it is, but for the credentials that its connection stamps. */
  send(message: Message): void {
    if (!this.isConnected) throw new Error(`the client ${this.endpoint} is disconnected`);
    const { userid, rolemask } = assignCredentials(message, this.credentials);
    message.userid = userid;
    message.rolemask = rolemask;
    this.#toRank.send(message);
  }

  /** Sends a request and goes on. */
  call(topic: string, payload?: Payload, options: RpcOptions = {}): Call {
    const { nodeid, flags, credentials } = options;
    const request = Message.request({
      topic,
      payload,
      matchtag: this.calls.length + 1,
      ...(nodeid !== undefined && { nodeid }),
      ...(flags !== undefined && { flags }),
      ...(credentials && { credentials }),
    });
    const call = new Call(request);
    this.calls.push(call);
    this.send(request);
    return call;
  }

  /** As `call`, for a stream of answers. */
  stream(topic: string, payload?: Payload, options: RpcOptions = {}): Call {
    return this.call(topic, payload, { ...options, flags: (options.flags ?? 0) | Flag.streaming });
  }

  notify(topic: string, payload?: Payload, options: RpcOptions = {}): void {
    const { nodeid, flags = 0 } = options;
    this.send(
      Message.request({ topic, payload, flags: flags | Flag.noresponse, ...(nodeid !== undefined && { nodeid }) }),
    );
  }

  /**
   * Asks, and lets the simulation go on until there is an answer.
   *
   * @throws FluxError the error response
   */
  async rpc<T = JsonObject>(topic: string, payload?: Payload, options?: RpcOptions): Promise<T> {
    const answer = await this.#sim.until(this.call(topic, payload, options).final, `an answer to ${topic}`);
    if (answer.errnum) throw answer.error();
    return answer.json as T;
  }

  subscribe(prefix: string): Promise<unknown> {
    return this.rpc('event.subscribe', { topic: prefix });
  }

  // ---- answering

  /** Answers requests for a name; the method is called with each. */
  async serve(name: string, method: ClientMethod): Promise<void> {
    this.services.set(name, method);
    await this.rpc('service.add', { service: name });
  }

  respond(request: Message, payload?: Payload): void {
    if (this.isConnected) this.send(request.respond(payload, this.credentials));
  }

  /** Closes the connection: what was sent arrives, what is on its way here does not. */
  disconnect(): void {
    if (!this.isConnected) return;
    this.isConnected = false;
    this.#fromRank.cut();
    this.#toRank.inOrder(() => this.#sim.clientGone(this));
  }

  /** The broker closes the connection: what it sent arrives, nothing more is taken. */
  hangUp(): void {
    this.#toRank.cut();
    this.#fromRank.inOrder(() => {
      this.isConnected = false;
    });
    this.#fromRank.close();
  }

  /** The broker is gone without a word. */
  lost(): void {
    this.isConnected = false;
    this.#toRank.cut();
    this.#fromRank.cut();
  }

  // ---- what comes in

  /** Takes a message that the rank sends to it. */
  deliver(message: Message): void {
    this.#fromRank.send(message);
  }

  #receive(message: Message): void {
    if (message.type === MessageType.request) {
      this.services.get(message.service)?.(message, this);
      return;
    }
    this.received.push(message);
    for (const listener of this.#listeners) listener(message);
    if (message.type !== MessageType.response) return;
    const call = this.calls[message.matchtag - 1];
    if (call) call.put(message);
    else this.strays.push(message);
  }
}

/** Who a client of the instance owner is on a local socket. */
export const owner: Credentials = { userid: 0, rolemask: Role.owner | Role.local };

/** A guest on a local socket. */
export function guest(userid = 1000): Credentials {
  return { userid, rolemask: Role.user | Role.local };
}
