/**
 * One end of a link between neighbours in the tree: what this rank sends over it, what comes in over it, and which requests
 * that went over it are not answered yet.
 */

import type { Tracer } from '../handle/trace.ts';
import { RpcTracker } from '../handle/tracker.ts';
import { type Message, MessageType } from '../message/message.ts';

/** Control messages between neighbours (RFC 3, Control Message Type): `word1`. */
export const ControlType = {
  /** A child shows that it lives when it has had nothing else to send. */
  heartbeat: 0,
  /** A child tells its parent the status of its subtree, the first time to say that it is here. */
  status: 1,
  /** A parent tells a child to go. */
  disconnect: 2,
} as const;

export interface LinkEvents {
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
  readonly tracker = new RpcTracker();
  readonly #transmit: (message: Message) => void;
  readonly #events: LinkEvents;
  readonly #tracer: Tracer;
  readonly isRemote: boolean;
  isOnline = false;
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
    if (message.type === MessageType.response) this.tracker.answered(message);
    this.#events.onMessage(message, this);
  }
}
