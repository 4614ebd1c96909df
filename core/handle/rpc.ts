/**
 * The asking side of remote procedure calls (RFC 6): gives each request a matchtag and finds the request of a response.
 */

import { asFluxError, errno, type FluxError } from '../errno.ts';
import type { JsonValue } from '../json.ts';
import type { Credentials } from '../message/credentials.ts';
import { Flag, MATCHTAG_NONE, Message, type Payload } from '../message/message.ts';

export interface RpcOptions {
  /** Rank that is asked, or NODEID_ANY (the default) or NODEID_UPSTREAM. */
  readonly nodeid?: number | undefined;
  /** `Flag` bits beside those that the call sets. */
  readonly flags?: number;
  readonly credentials?: Credentials;
}

/** Who calls: a handle, or a service's context. */
export interface Caller {
  rpc(topic: string, payload?: Payload, options?: RpcOptions): Promise<unknown>;
  request(topic: string, payload?: Payload, options?: RpcOptions): Responses;
  notify(topic: string, payload?: Payload, options?: RpcOptions): void;
}

/** Who takes the responses to one request, in the turn in which they come. */
export interface ResponseSink {
  put(response: Message): void;
  /** No more responses will come. */
  fail(error: FluxError): void;
}

/** The responses to one request, as they come. */
export class Responses implements ResponseSink {
  readonly matchtag: number;
  readonly #forget: () => void;
  #received = 0;
  // Messages nobody has asked for yet, from #first on.
  #queue: Message[] = [];
  #first = 0;
  #waiting: { resolve: (message: Message) => void; reject: (error: FluxError) => void } | undefined;
  #failure: FluxError | undefined;

  constructor(matchtag: number, forget: () => void) {
    this.matchtag = matchtag;
    this.#forget = forget;
  }

  /** The next response; an error response is one too. Rejects when the connection ends first. */
  next(): Promise<Message> {
    if (this.#first < this.#queue.length) {
      const message = this.#queue[this.#first++]!;
      if (this.#first === this.#queue.length) {
        this.#queue = [];
        this.#first = 0;
      }
      return Promise.resolve(message);
    }
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  /** How many responses have come, whether they are taken or not. */
  get received(): number {
    return this.#received;
  }

  /** Takes a response that came. */
  put(message: Message): void {
    this.#received++;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting) waiting.resolve(message);
    else this.#queue.push(message);
  }

  /** No more responses will come. */
  fail(error: FluxError): void {
    this.#failure = error;
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }

  /** Stops listening; responses still to come are dropped. */
  abandon(): void {
    this.#forget();
  }
}

/**
 * The responses of a stream as values, ending where the stream ends (ENODATA).
 *
 * Leaving the loop early tells the service to stop when `cancelTopic` is known, and drops what still comes.
 */
export class Stream<T> implements AsyncIterable<T> {
  readonly responses: Responses;
  readonly #convert: (message: Message) => T;
  readonly #cancel: (() => void) | undefined;

  constructor(responses: Responses, convert: (message: Message) => T, cancel?: () => void) {
    this.responses = responses;
    this.#convert = convert;
    this.#cancel = cancel;
  }

  /** Asks the service to end the stream; the loop then ends by itself. */
  cancel(): void {
    this.#cancel?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    let ended = false;
    try {
      for (;;) {
        const message = await this.responses.next();
        if (message.errnum === errno.ENODATA) {
          ended = true;
          return;
        }
        if (message.errnum) {
          ended = true;
          throw message.error();
        }
        yield this.#convert(message);
      }
    } finally {
      if (!ended) this.#cancel?.();
      this.responses.abandon();
    }
  }
}

/**
 * Hands the responses of a stream to `take`, and resolves to the error that ended it: ENODATA when all is well.
 *
 * @param take may return a promise; the next response waits for it
 */
export async function untilEnd(
  responses: Responses,
  take: (response: Message) => void | Promise<void>,
): Promise<FluxError> {
  for (;;) {
    let response: Message;
    try {
      response = await responses.next();
    } catch (error) {
      return asFluxError(error);
    }
    if (response.errnum) return response.error();
    await take(response);
  }
}

/** The JSON payload of a response, or its error. */
export function resultOf(message: Message): JsonValue | undefined {
  if (message.errnum) throw message.error();
  return message.json;
}

export class RpcClient {
  readonly #send: (request: Message) => void;
  // Made when first needed: there is a client in every module of every rank, and most never ask.
  #pending: Map<number, ResponseSink> | undefined;
  #lastMatchtag = 0;
  #failure: FluxError | undefined;

  /** `send` puts a request on its way. */
  constructor(send: (request: Message) => void) {
    this.#send = send;
  }

  get pendingCount(): number {
    return this.#pending?.size ?? 0;
  }

  /** Sends a request whose responses will come. */
  request(topic: string, payload?: Payload, options: RpcOptions = {}): Responses {
    const matchtag = this.#newMatchtag();
    const responses = new Responses(matchtag, () => this.#pending?.delete(matchtag));
    this.#ask(responses, topic, payload, matchtag, options);
    return responses;
  }

  /** As `request`, for somebody who must have seen a response before the message behind it is handled. */
  requestFor(sink: ResponseSink, topic: string, payload?: Payload, options: RpcOptions = {}): void {
    this.#ask(sink, topic, payload, this.#newMatchtag(), options);
  }

  #ask(sink: ResponseSink, topic: string, payload: Payload | undefined, matchtag: number, options: RpcOptions): void {
    if (this.#failure) {
      sink.fail(this.#failure);
      return;
    }
    this.#pending ??= new Map();
    this.#pending.set(matchtag, sink);
    this.#send(makeRequest(topic, payload, matchtag, options));
  }

  /** Sends a request that gets no response. */
  notify(topic: string, payload?: Payload, options: RpcOptions = {}): void {
    this.#send(
      makeRequest(topic, payload, MATCHTAG_NONE, { ...options, flags: (options.flags ?? 0) | Flag.noresponse }),
    );
  }

  /** Asks and resolves to the JSON payload of the answer; rejects with its FluxError. */
  async rpc(topic: string, payload?: Payload, options?: RpcOptions): Promise<JsonValue | undefined> {
    return resultOf(await this.request(topic, payload, options).next());
  }

  /** Takes a response; false when nobody waits for it. */
  receive(response: Message): boolean {
    const responses = this.#pending?.get(response.matchtag);
    if (!responses) return false;
    if (response.isLastResponse) this.#pending!.delete(response.matchtag);
    responses.put(response);
    return true;
  }

  /** Ends everything that is pending, and what is asked from now on. */
  fail(error: FluxError): void {
    this.#failure = error;
    const pending = [...(this.#pending?.values() ?? [])];
    this.#pending = undefined;
    for (const responses of pending) responses.fail(error);
  }

  /** Unique among the pending requests, never MATCHTAG_NONE. */
  #newMatchtag(): number {
    do this.#lastMatchtag = (this.#lastMatchtag + 1) >>> 0;
    while (this.#lastMatchtag === MATCHTAG_NONE || this.#pending?.has(this.#lastMatchtag));
    return this.#lastMatchtag;
  }
}

function makeRequest(topic: string, payload: Payload | undefined, matchtag: number, options: RpcOptions): Message {
  const { nodeid, flags, credentials } = options;
  return Message.request({
    topic,
    payload,
    matchtag,
    ...(nodeid !== undefined && { nodeid }),
    ...(flags !== undefined && { flags }),
    ...(credentials && { credentials }),
  });
}
