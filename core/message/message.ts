/**
 * A Flux message (RFC 3): header fields, route stack, topic and payload.
 *
 * A payload is bytes, text or a value, whichever came first, and is converted at most once and only when somebody asks:
 * a hop that only forwards never parses it, and two services on one thread hand the value over by reference. A payload
 * value is therefore never changed once it is in a message.
 */

import { isUtf8 } from 'node:buffer';
import { endOfStream, FluxError, strerror } from '../errno.ts';
import { type JsonValue, parseJson, stringifyJson } from '../json.ts';
import { type Credentials, UNKNOWN_CREDENTIALS } from './credentials.ts';
import { RouteStack } from './routes.ts';
import { type Fields, type Unpacked, unpack } from './unpack.ts';

export const MessageType = { request: 1, response: 2, event: 4, control: 8 } as const;
export type MessageType = (typeof MessageType)[keyof typeof MessageType];

/** Bits of a message's flags. */
export const Flag = {
  topic: 1,
  payload: 2,
  noresponse: 4,
  route: 8,
  upstream: 16,
  private: 32,
  streaming: 64,
  user1: 128,
} as const;

/** nodeid: the first rank towards the root that has the service, starting here. */
export const NODEID_ANY = 0xffffffff;
/** What callers say for "upstream of me"; on the wire it is the own rank and the upstream flag. */
export const NODEID_UPSTREAM = 0xfffffffe;
/** matchtag of a request whose responses need no matching. */
export const MATCHTAG_NONE = 0;

export interface RequestFields {
  readonly topic: string;
  readonly payload?: Payload | undefined;
  readonly nodeid?: number;
  readonly matchtag?: number;
  /** `Flag` bits beside those that topic, payload and routes set. */
  readonly flags?: number;
  readonly credentials?: Credentials;
}

/** A payload: a JSON value, or bytes as they are. */
export type Payload = JsonValue | Uint8Array;

export class Message {
  readonly type: MessageType;
  flags: number;
  userid: number;
  rolemask: number;
  /** nodeid of a request, errnum of a response, sequence of an event, type of a control message. */
  word1: number;
  /** matchtag of a request or response, status of a control message. */
  word2: number;
  topic: string | undefined;
  routes: RouteStack;
  #bytes: Uint8Array | undefined;
  #text: string | undefined;
  #value: JsonValue | undefined;

  constructor(
    type: MessageType,
    flags: number,
    credentials: Credentials,
    word1: number,
    word2: number,
    topic: string | undefined,
    routes: RouteStack,
  ) {
    this.type = type;
    this.flags = flags;
    this.userid = credentials.userid;
    this.rolemask = credentials.rolemask;
    this.word1 = word1;
    this.word2 = word2;
    this.topic = topic;
    this.routes = routes;
  }

  static request(fields: RequestFields): Message {
    const {
      topic,
      payload,
      nodeid = NODEID_ANY,
      matchtag = MATCHTAG_NONE,
      flags = 0,
      credentials = UNKNOWN_CREDENTIALS,
    } = fields;
    const message = new Message(
      MessageType.request,
      flags | Flag.topic | Flag.route,
      credentials,
      nodeid,
      matchtag,
      topic,
      new RouteStack(),
    );
    message.setPayload(payload);
    return message;
  }

  static event(topic: string, payload: Payload | undefined, flags = 0, credentials = UNKNOWN_CREDENTIALS): Message {
    const message = new Message(MessageType.event, flags | Flag.topic, credentials, 0, 0, topic, new RouteStack());
    message.setPayload(payload);
    return message;
  }

  static control(type: number, status: number): Message {
    return new Message(MessageType.control, 0, UNKNOWN_CREDENTIALS, type, status, undefined, new RouteStack());
  }

  /** A copy that shares the payload and has a route stack of its own. */
  clone(): Message {
    const copy = new Message(this.type, this.flags, this, this.word1, this.word2, this.topic, this.routes.clone());
    copy.#bytes = this.#bytes;
    copy.#text = this.#text;
    copy.#value = this.#value;
    return copy;
  }

  get nodeid(): number {
    return this.word1;
  }
  get errnum(): number {
    return this.word1;
  }
  get sequence(): number {
    return this.word1;
  }
  get matchtag(): number {
    return this.word2;
  }
  get isStreaming(): boolean {
    return (this.flags & Flag.streaming) !== 0;
  }
  get wantsResponse(): boolean {
    return (this.flags & Flag.noresponse) === 0;
  }
  /** The service a topic names: what stands before its first dot. */
  get service(): string {
    const topic = this.topic ?? '';
    const dot = topic.indexOf('.');
    return dot < 0 ? topic : topic.slice(0, dot);
  }

  /** Whether a stream of responses goes on after this one (RFC 6, Matchtag Field). */
  get isLastResponse(): boolean {
    return !this.isStreaming || this.errnum !== 0;
  }

  // ---- responses

  /** The response to this request; its routes are a copy, so a stream may make many. */
  respond(payload: Payload | undefined, credentials: Credentials): Message {
    const response = this.#response(0, credentials);
    response.setPayload(payload);
    return response;
  }

  /** The error response to this request; `text` says what was wrong beyond what the errno says. */
  respondError(number: number, text: string | undefined, credentials: Credentials): Message {
    const response = this.#response(number, credentials);
    if (text !== undefined) response.setText(text);
    return response;
  }

  #response(errnum: number, credentials: Credentials): Message {
    const flags = this.flags & ~(Flag.payload | Flag.noresponse);
    return new Message(
      MessageType.response,
      flags | Flag.route,
      credentials,
      errnum,
      this.matchtag,
      this.topic,
      this.routes.clone(),
    );
  }

  /** What an error response says: its text, or its errno's sentence. */
  error(): FluxError {
    const text = this.errorText();
    return this.errnum === endOfStream.errno && text === undefined ? endOfStream : new FluxError(this.errnum, text);
  }

  /** The text of an error response, if it has one. */
  errorText(): string | undefined {
    const bytes = this.bytes;
    if (!bytes || bytes.length === 0) return undefined;
    const end = bytes.at(-1) === 0 ? bytes.length - 1 : bytes.length;
    return Buffer.from(bytes.buffer, bytes.byteOffset, end).toString();
  }

  // ---- payload

  get hasPayload(): boolean {
    return (this.flags & Flag.payload) !== 0;
  }

  /** Sets a JSON value, or bytes; no bytes at all are no payload. */
  setPayload(payload: Payload | undefined): void {
    this.#bytes = undefined;
    this.#text = undefined;
    this.#value = undefined;
    this.flags &= ~Flag.payload;
    if (payload instanceof Uint8Array) {
      if (payload.length) this.setBytes(payload);
    } else if (payload !== undefined) {
      this.#value = payload;
      this.flags |= Flag.payload;
    }
  }

  /** Sets bytes as they are, which may be none. */
  setBytes(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.flags |= Flag.payload;
  }

  /** Sets a plain string; it travels with a NUL behind it. */
  setText(text: string): void {
    this.#text = text;
    this.flags |= Flag.payload;
  }

  /** The payload's bytes; undefined without payload. */
  get bytes(): Uint8Array | undefined {
    if (this.#bytes === undefined && this.hasPayload) this.#bytes = Buffer.from(`${this.#encodedText()}\0`);
    return this.#bytes;
  }

  #encodedText(): string {
    this.#text ??= stringifyJson(this.#value!);
    return this.#text;
  }

  /**
   * The JSON payload; undefined without payload.
   *
   * @throws FluxError EPROTO when the payload is no JSON text with a NUL behind it
   */
  get json(): JsonValue | undefined {
    if (this.#value === undefined && this.hasPayload) this.#value = parsePayload(this.#text ?? this.#bytes!);
    return this.#value;
  }

  /** The wanted fields of the JSON payload; see `unpack`. */
  unpack<F extends Fields>(fields: F): Unpacked<F> {
    return unpack(this.json, fields);
  }

  /** Bytes of the payload on the wire, without its size. */
  get payloadLength(): number {
    if (!this.hasPayload) return 0;
    if (this.#bytes) return this.#bytes.length;
    return Buffer.byteLength(this.#encodedText()) + 1;
  }

  /** Writes the payload at `offset` and returns the offset behind it. */
  writePayload(target: Buffer, offset: number): number {
    if (this.#bytes) {
      target.set(this.#bytes, offset);
      return offset + this.#bytes.length;
    }
    const end = offset + target.write(this.#encodedText(), offset);
    target[end] = 0;
    return end + 1;
  }
}

const REPLACEMENT = '\ufffd';

function parsePayload(payload: string | Uint8Array): JsonValue {
  let text = payload;
  if (typeof text !== 'string') {
    const nul = text.indexOf(0);
    if (nul < 0) throw new FluxError('EPROTO', 'the payload is not terminated by a NUL');
    const bytes = Buffer.from(text.buffer, text.byteOffset, nul);
    text = bytes.toString();
    // What is no UTF-8 leaves this character behind, but a text may also have it on its own.
    if (text.includes(REPLACEMENT) && !isUtf8(bytes)) throw new FluxError('EPROTO', 'the payload is no UTF-8');
  }
  try {
    return parseJson(text);
  } catch (error) {
    throw new FluxError('EPROTO', `the payload is no JSON: ${(error as Error).message}`);
  }
}

/** What a log line or a trace says of an errnum: `success`, or the errno's sentence. */
export function errnumText(errnum: number): string {
  return errnum === 0 ? 'success' : strerror(errnum);
}
