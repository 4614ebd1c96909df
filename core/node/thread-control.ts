/**
 * What threads of one process say to each other beside the messages they carry: requests to endpoint 0 of a thread, on
 * the same rings.
 */

import { FluxError } from '../errno.ts';
import { callMethod, type Methods, Request } from '../handle/methods.ts';
import { RpcClient } from '../handle/rpc.ts';
import type { JsonObject } from '../json.ts';
import { type Credentials, Role } from '../message/credentials.ts';
import { type Message, MessageType, type Payload } from '../message/message.ts';
import { endpoint } from '../ring/endpoint.ts';
import type { Mailbox } from '../ring/mailbox.ts';

const credentials: Credentials = { userid: 0, rolemask: Role.owner };

export class ThreadControl {
  readonly #mailbox: Mailbox;
  readonly #methods: Methods;
  readonly #clients: (RpcClient | undefined)[] = [];

  constructor(mailbox: Mailbox, methods: Methods) {
    this.#mailbox = mailbox;
    this.#methods = methods;
  }

  #send(thread: number, message: Message): void {
    this.#mailbox.send(endpoint(thread, 0), endpoint(this.#mailbox.thread, 0), message);
  }

  #client(thread: number): RpcClient {
    let client = this.#clients[thread];
    if (!client) {
      client = new RpcClient((request) => this.#send(thread, request));
      this.#clients[thread] = client;
    }
    return client;
  }

  /** Asks a thread; rejects with its FluxError, or when it has died. */
  async rpc<T = JsonObject>(thread: number, topic: string, payload?: Payload): Promise<T> {
    return (await this.#client(thread).rpc(topic, payload, { credentials })) as T;
  }

  /** Tells a thread something. */
  notify(thread: number, topic: string, payload?: Payload): void {
    this.#client(thread).notify(topic, payload, { credentials });
  }

  /** Takes a message to this thread itself. */
  receive(message: Message, thread: number): void {
    if (message.type === MessageType.response) {
      this.#clients[thread]?.receive(message);
      return;
    }
    const topic = message.topic ?? '';
    const method = Object.hasOwn(this.#methods, topic) ? this.#methods[topic] : undefined;
    const request = new Request(message, credentials, (response) => this.#send(thread, response));
    if (method)
      callMethod(method, request, (_, error) => {
        throw error;
      });
    else request.fail(new FluxError('ENOSYS', `thread ${this.#mailbox.thread} knows no ${topic}`));
  }

  /** A thread has died: what it was asked fails. */
  threadDied(thread: number): void {
    this.#clients[thread]?.fail(new FluxError('EHOSTUNREACH', `thread ${thread} has died`));
    this.#clients[thread] = undefined;
  }
}
