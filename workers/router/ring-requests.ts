/**
 * What ranks of a thread ask other ranks by the debug ring, and what others ask them by it. The rank that is asked performs
 * the request on itself, so it works on any rank whose process is there.
 */

import type { Clock, Random, Timer } from '../../core/broker/service.ts';
import { asFluxError, errno, FluxError, strerror } from '../../core/errno.ts';
import type { Methods } from '../../core/handle/methods.ts';
import type { Responses, RpcOptions } from '../../core/handle/rpc.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import { decodeMessage, encodeMessage } from '../../core/message/codec.ts';
import { type Credentials, Role } from '../../core/message/credentials.ts';
import { Message, type Payload } from '../../core/message/message.ts';
import { RING_FRAME } from '../../core/node/ring-host.ts';
import type { Placement } from '../../core/overlay/placement.ts';
import { encodeRingMessage, type RingHeader, readRingHeader, ringMessage } from '../../core/overlay/ring-frames.ts';
import { cutText, opposite, passedBy, shorterWay } from '../../core/overlay/ring-way.ts';

/** Seconds in which an answer is there, or is not waited for. */
const ANSWERED_WITHIN = 30;
/** Requests of the ranks of a thread that may be under way, and of others that they may be busy with. */
const ASKED_MAX = 16384;
const SERVED_MAX = 4096;

export interface RingRequest {
  /** The rank that performs it. */
  readonly to: number;
  readonly topic: string;
  readonly payload: JsonValue | undefined;
  readonly credentials: Credentials;
}

/** The debug ring, as a rank sees it. */
export interface Ring {
  /**
   * Has a rank perform a request on itself.
   *
   * @returns `payload`, what it answers, and `way`, the indices of the processes that the request came by
   * @throws FluxError what the service answers; EHOSTUNREACH: the ring is cut on both sides of the rank, or there is no such
   * rank; EAGAIN: too much is under way; ETIMEDOUT
   */
  ask(from: number, request: RingRequest): Promise<JsonObject>;
  /** What this process knows of the ring. */
  list(): Promise<JsonObject>;
}

export interface RingRequestsHost {
  readonly clock: Clock;
  readonly random: Random;
  readonly placement: Placement;
  /** The process of each rank. */
  readonly nodeOfRank: Int32Array;
  /** Hands a frame to the ring. */
  send(frame: Buffer): void;
  /** Asks a rank of this thread; undefined when it has none such. */
  request(rank: number, topic: string, payload: Payload | undefined, options: RpcOptions): Responses | undefined;
  list(): Promise<JsonObject>;
}

interface Asked {
  readonly to: number;
  readonly timer: Timer;
  resolve(answer: JsonObject): void;
  reject(error: unknown): void;
}

export class RingRequests implements Ring {
  readonly #host: RingRequestsHost;
  readonly #asked = new Map<number, Asked>();
  #served = 0;
  #lastId: number;

  constructor(host: RingRequestsHost) {
    this.#host = host;
    // An answer to a process that was here before is none to this one.
    this.#lastId = Math.floor(host.random.number() * 2 ** 32);
  }

  /** What the main thread tells. */
  readonly methods: Methods = {
    [RING_FRAME]: {
      raw: true,
      handler: (request) => {
        this.receive(Buffer.from(request.message.bytes ?? []));
        return undefined;
      },
    },
  };

  list(): Promise<JsonObject> {
    return this.#host.list();
  }

  // ---- asking

  ask(from: number, { to, topic, payload, credentials }: RingRequest): Promise<JsonObject> {
    const { placement, nodeOfRank, clock } = this.#host;
    const node = nodeOfRank[to];
    if (node === undefined) throw new FluxError('EHOSTUNREACH', `there is no rank ${to} in this instance`);
    if (this.#asked.size >= ASKED_MAX) throw new FluxError('EAGAIN', `${ASKED_MAX} requests are under way on the ring`);
    // What is local here is not local there (RFC 12, The Local Role).
    const rolemask = to === from ? credentials.rolemask : credentials.rolemask & ~Role.local;
    const message = Message.request({ topic, payload, nodeid: to, credentials: { ...credentials, rolemask } });
    const way = shorterWay(placement.own, node, placement.nodes.length);
    const id = this.#newId();
    return new Promise((resolve, reject) => {
      const timer = clock.after(ANSWERED_WITHIN, () => {
        this.#asked.delete(id);
        reject(new FluxError('ETIMEDOUT', `rank ${to} has not answered over the ring in ${ANSWERED_WITHIN}s`));
      });
      this.#asked.set(id, { to, timer, resolve, reject });
      const header = { kind: 'request', to, from, id, hops: 0, way, there: way, errnum: 0, at: 0 } as const;
      this.#host.send(encodeRingMessage(header, encodeMessage(message)));
    });
  }

  #newId(): number {
    do this.#lastId = (this.#lastId + 1) >>> 0;
    while (this.#asked.has(this.#lastId));
    return this.#lastId;
  }

  #answered(header: RingHeader, frame: Buffer): void {
    const asked = this.#asked.get(header.id);
    if (asked?.to !== header.from) return;
    this.#asked.delete(header.id);
    asked.timer.cancel();
    try {
      asked.resolve(this.#answerOf(header, frame));
    } catch (error) {
      asked.reject(error);
    }
  }

  #answerOf({ from, errnum, at, there }: RingHeader, frame: Buffer): JsonObject {
    const { own, nodes } = this.#host.placement;
    if (errnum)
      throw new FluxError(errnum, `rank ${from} is not reached over the ring: ${this.#why(errnum, there, at)}`);
    const response = decodeMessage(ringMessage(frame));
    if (response.errnum) throw response.error();
    const way = passedBy(own, this.#host.nodeOfRank[from]!, there, nodes.length);
    return { ...(response.hasPayload && { payload: response.json }), way };
  }

  #why(errnum: number, there: RingHeader['there'], at: number): string {
    if (errnum === errno.EHOSTUNREACH) return cutText(there, at, this.#host.placement.nodes.length);
    return errnum === errno.EAGAIN ? `too much waits at process ${at}` : strerror(errnum);
  }

  // ---- answering

  /** Takes a frame for a rank of this thread. */
  receive(frame: Buffer): void {
    const header = readRingHeader(frame);
    if (header.kind === 'response') this.#answered(header, frame);
    else void this.#serve(header, ringMessage(frame));
  }

  /** Performs a request, once; who asked does not wait for ever, so neither does this. */
  async #serve({ to, from, id, way }: RingHeader, bytes: Buffer): Promise<void> {
    const back = { heading: opposite(way.heading) };
    const answer = (message: Message | undefined, errnum = 0) => {
      const { own } = this.#host.placement;
      const header = {
        kind: 'response',
        to: from,
        from: to,
        id,
        hops: 0,
        way: back,
        there: way,
        errnum,
        at: own,
      } as const;
      this.#host.send(encodeRingMessage(header, message ? encodeMessage(message) : Buffer.alloc(0)));
    };
    if (this.#served >= SERVED_MAX) {
      answer(undefined, errno.EAGAIN);
      return;
    }
    let responses: Responses | undefined;
    try {
      const { topic = '', bytes: payload, userid, rolemask } = decodeMessage(bytes);
      responses = this.#host.request(to, topic, payload, { nodeid: to, credentials: { userid, rolemask } });
    } catch (error) {
      if (!(error instanceof FluxError)) throw error;
    }
    if (!responses) {
      answer(undefined, errno.EPROTO);
      return;
    }
    this.#served++;
    const timer = this.#host.clock.after(ANSWERED_WITHIN, () => {
      responses.abandon();
      responses.fail(new FluxError('ETIMEDOUT'));
    });
    try {
      answer(await responses.next());
    } catch (error) {
      answer(undefined, asFluxError(error).errno);
    } finally {
      timer.cancel();
      this.#served--;
    }
  }
}
