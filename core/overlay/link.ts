/**
 * One end of a link between neighbours in the tree: what this rank sends over it, what comes in over it, and which requests
 * that went over it, one way or the other, are not answered yet.
 */

import type { Tracer } from '../handle/trace.ts';
import { RpcTracker } from '../handle/tracker.ts';
import { Flag, MATCHTAG_NONE, Message, MessageType } from '../message/message.ts';

/** Control messages between neighbours (RFC 3, Control Message Type): `word1`. */
export const ControlType = {
  /** A child shows that it lives when it has had nothing else to send. */
  heartbeat: 0,
  /** A child tells its parent the status of its subtree, the first time to say that it is here. */
  status: 1,
  /** A parent tells a child to go. */
  disconnect: 2,
  /** A rank without a parent asks another one to be that, with the status of its subtree. */
  seek: 3,
  /** It is. */
  adopted: 4,
  /** As `seek`, of a rank whose process is new: nobody below it has come yet. */
  join: 5,
} as const;

export interface LinkEvents {
  /** Of the rank at this end. */
  readonly uuid: string;
  /** A message that is not about the link itself. */
  onMessage(message: Message, link: Link): void;
  onControl(type: number, status: number, link: Link): void;
}

/** The neighbour at the other end of a link. */
export interface FarEnd {
  readonly uuid: string;
  /** Whether another process hosts it. */
  readonly isRemote: boolean;
  /** Hands it a message, in order. */
  transmit(message: Message): void;
}

export class Link {
  readonly rank: number;
  readonly uuid: string;
  /** What this rank has asked, or passed on. */
  readonly tracker = new RpcTracker();
  /** What the other end is told again and again until it says that it is gone. */
  readonly #streams = new RpcTracker();
  readonly #transmit: (message: Message) => void;
  readonly #events: LinkEvents;
  readonly #tracer: Tracer;
  readonly isRemote: boolean;
  isOnline = false;
  /** Whether what the other end says of itself is of no interest any more: it does not know yet that it is lost. */
  isCutOff = false;
  /** Whether the other end takes nothing of the much that it was sent. */
  isStuck = false;
  /** Of a link to another process: how often something was sent, and came, so that who looks now and then sees silence. */
  sentCount = 0;
  receivedCount = 0;

  constructor(rank: number, { uuid, transmit, isRemote }: FarEnd, events: LinkEvents, tracer: Tracer) {
    this.rank = rank;
    this.uuid = uuid;
    this.isRemote = isRemote;
    this.#transmit = transmit;
    this.#events = events;
    this.#tracer = tracer;
  }

  send(message: Message): void {
    this.tracker.sent(message);
    if (message.type === MessageType.response && message.isStreaming) this.#streams.answered(message);
    this.sentCount++;
    if (!this.#tracer.isIdle) this.#tracer.link('tx', this.rank, message);
    this.#transmit(message);
  }

  /** Takes what the other end sent. */
  receive(message: Message): void {
    this.receivedCount++;
    if (!this.#tracer.isIdle) this.#tracer.link('rx', this.rank, message);
    if (message.type === MessageType.control) {
      this.#events.onControl(message.word1, message.word2, this);
      return;
    }
    if (!this.isOnline) return;
    if (message.type === MessageType.response) {
      // Who asked was told that no answer comes, as the link was down in between.
      if (!this.tracker.answered(message) && message.matchtag !== MATCHTAG_NONE) return;
    } else if (message.isStreaming || message.topic?.endsWith('.disconnect')) this.#noteStream(message);
    this.#events.onMessage(message, this);
  }

  /** What this rank had sent itself, and comes back as ranks have moved meanwhile, is no stream of the other end. */
  #noteStream(message: Message): void {
    if (!message.routes.ids().includes(this.#events.uuid)) this.#streams.sent(message);
  }

  /**
   * Nothing comes from the other end any more: whoever streams something there is told to stop, as when a client is gone
   * (RFC 6, Disconnection).
   */
  endStreams(): void {
    for (const request of this.#streams.takeAll()) {
      const topic = `${request.service}.disconnect`;
      const { nodeid } = request;
      const flags = Flag.noresponse | (request.flags & Flag.upstream);
      const disconnect = Message.request({ topic, nodeid, flags, credentials: request });
      disconnect.routes = request.routes;
      this.#events.onMessage(disconnect, this);
    }
  }
}
