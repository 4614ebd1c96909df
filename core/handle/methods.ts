/**
 * The answering side of remote procedure calls (RFC 6, RFC 12): methods by topic, who may call them, and how what a
 * method returns or throws becomes a response.
 */

import { asFluxError, type ErrnoName, endOfStream, FluxError } from '../errno.ts';
import type { JsonValue } from '../json.ts';
import { type Credentials, isAllowed, Role } from '../message/credentials.ts';
import type { Message, Payload } from '../message/message.ts';
import type { Fields, Unpacked } from '../message/unpack.ts';

/** A method returns this when it responds by itself, later or more than once. */
export const LATER = Symbol('responds later');

/** What a method gives back: the response's payload, nothing for an empty one, or LATER. */
export type Reply = Payload | undefined | typeof LATER;

export interface Method {
  /** Roles that may call it beside the owner (RFC 12); only the owner when absent. */
  readonly allow?: number;
  /** The request must have the streaming flag (RFC 6, Streaming Responses). */
  readonly streaming?: boolean;
  /** The payload is bytes, not JSON. */
  readonly raw?: boolean;
  readonly handler: (request: Request) => Reply | Promise<Reply>;
}

/** Methods by the part of the topic behind the service's name and its dot. */
export type Methods = Readonly<Record<string, Method>>;

/** A request as a method sees it. */
export class Request {
  readonly message: Message;
  readonly #credentials: Credentials;
  readonly #send: (response: Message, request: Request) => void;
  #isAnswered = false;

  /** `send` puts a response on its way; `credentials` are the responder's. */
  constructor(message: Message, credentials: Credentials, send: (response: Message, request: Request) => void) {
    this.message = message;
    this.#credentials = credentials;
    this.#send = send;
  }

  get topic(): string {
    return this.message.topic ?? '';
  }
  get userid(): number {
    return this.message.userid;
  }
  get rolemask(): number {
    return this.message.rolemask;
  }
  get isOwner(): boolean {
    return (this.message.rolemask & Role.owner) !== 0;
  }
  get isStreaming(): boolean {
    return this.message.isStreaming;
  }
  /** Who sent it: the id that is the same for all requests of one client (RFC 6, Disconnection). */
  get sender(): string {
    return this.message.routes.sender ?? '';
  }
  get payload(): JsonValue | undefined {
    return this.message.json;
  }

  /** Whether nothing follows the answers that were given. */
  get isAnswered(): boolean {
    return this.#isAnswered;
  }

  unpack<F extends Fields>(fields: F): Unpacked<F> {
    return this.message.unpack(fields);
  }

  respond(payload?: Payload): void {
    if (!this.message.wantsResponse) return;
    const response = this.message.respond(payload, this.#credentials);
    this.#answer(response, response.isLastResponse);
  }

  /**
   * Responds and is not finished, even without the streaming flag: protocols whose responses name what they are about,
   * as those of schedulers do (RFC 27), do without.
   */
  respondMore(payload: Payload): void {
    if (this.message.wantsResponse) this.#answer(this.message.respond(payload, this.#credentials), false);
  }

  /** Finishes it without a response, where the protocol has none. */
  leaveUnanswered(): typeof LATER {
    this.#isAnswered = true;
    return LATER;
  }

  /** Responds for the only time, even when the request has the streaming flag. */
  reply(payload?: Payload): void {
    if (this.message.wantsResponse) this.#answer(this.message.respond(payload, this.#credentials), true);
  }

  fail(error: FluxError | ErrnoName): void {
    if (!this.message.wantsResponse) return;
    const { errno, detail } = typeof error === 'string' ? new FluxError(error) : error;
    this.#answer(this.message.respondError(errno, detail, this.#credentials), true);
  }

  /** What comes after the last response, of a service that was told to stop or has a bug, goes nowhere. */
  #answer(response: Message, isLast: boolean): void {
    if (this.#isAnswered) return;
    this.#isAnswered = isLast;
    this.#send(response, this);
  }

  /** Ends a stream of responses (RFC 6). */
  endStream(): void {
    this.fail(endOfStream);
  }
}

/** Told of a method that threw something that is no FluxError: a bug, not an answer. */
export type BugReporter = (topic: string, error: unknown) => void;

/** Calls a method and sends what it says. */
export function callMethod(method: Method, request: Request, reportBug: BugReporter): void {
  try {
    checkCall(method, request);
    const reply = method.handler(request);
    if (reply instanceof Promise) {
      reply.then(
        (value) => sendReply(request, value),
        (error: unknown) => sendError(request, error, reportBug),
      );
    } else sendReply(request, reply);
  } catch (error) {
    sendError(request, error, reportBug);
  }
}

function checkCall(method: Method, request: Request): void {
  const { message } = request;
  if (!isAllowed(message.rolemask, method.allow ?? Role.none)) {
    const detail = method.allow
      ? 'Request rejected due to insufficient privilege'
      : 'Request requires owner credentials';
    throw new FluxError('EPERM', detail);
  }
  if (method.streaming && !message.isStreaming)
    throw new FluxError('EPROTO', `${message.topic} requires the streaming flag`);
  // A payload that is no JSON is refused here, whatever the method wants of it.
  if (!method.raw) void message.json;
}

function sendReply(request: Request, reply: Reply): void {
  if (reply !== LATER) request.reply(reply);
}

function sendError(request: Request, error: unknown, reportBug: BugReporter): void {
  if (!(error instanceof FluxError)) reportBug(request.topic, error);
  request.fail(asFluxError(error));
}
