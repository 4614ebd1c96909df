/**
 * Events on one thread: the subscribers of all ranks that it hosts, in one table.
 *
 * So an event costs as many deliveries as it has subscribers, not a visit to each rank. Rank 0 numbers the events; its
 * thread hands each to the other threads with ranks over the same rings that carry rank 0's responses to them, and so
 * every subscriber sees events and responses from rank 0 in the order in which they were sent.
 */

import { Subscriptions } from '../handle/subscriptions.ts';
import { type Credentials, Role } from '../message/credentials.ts';
import { Flag, type Message } from '../message/message.ts';

export interface Subscriber {
  /** Whom private events are checked against (RFC 12, Event Privacy). */
  readonly credentials: Credentials;
  /** Whether its rank is part of the instance; one that was cut off gets no events. */
  readonly isOnline: boolean;
  /** Takes an event that many others take too: it must not be changed. */
  deliver(event: Message): void;
}

export class EventBus {
  readonly #subscriptions = new Subscriptions<Subscriber>();
  // The prefixes of each subscriber, so that it can go without saying what it subscribed to.
  readonly #prefixes = new Map<Subscriber, string[]>();
  readonly #broadcast: (event: Message) => void;
  readonly #delivered: (event: Message) => void;
  #sequence = 0;

  /**
   * @param broadcast hands an event to the other threads
   * @param delivered is told once all subscribers here have an event
   */
  constructor(broadcast: (event: Message) => void, delivered: (event: Message) => void = () => {}) {
    this.#broadcast = broadcast;
    this.#delivered = delivered;
  }

  subscribe(prefix: string, subscriber: Subscriber): void {
    this.#subscriptions.add(prefix, subscriber);
    const prefixes = this.#prefixes.get(subscriber);
    if (!prefixes) this.#prefixes.set(subscriber, [prefix]);
    else if (!prefixes.includes(prefix)) prefixes.push(prefix);
  }

  /** False when there was no such subscription. */
  unsubscribe(prefix: string, subscriber: Subscriber): boolean {
    return this.#subscriptions.remove(prefix, subscriber);
  }

  /** Ends all subscriptions of one who is gone. */
  remove(subscriber: Subscriber): void {
    this.#subscriptions.removeAll(this.#prefixes.get(subscriber) ?? [], subscriber);
    this.#prefixes.delete(subscriber);
  }

  /** Rank 0 only: gives an event its sequence number, 1 for the first, and delivers it everywhere. */
  publish(event: Message): number {
    event.word1 = ++this.#sequence;
    this.#broadcast(event);
    this.deliver(event);
    return event.word1;
  }

  /** Delivers a numbered event to this thread's subscribers. */
  deliver(event: Message): void {
    for (const subscriber of this.#subscriptions.of(event.topic ?? ''))
      if (subscriber.isOnline && mayReceive(subscriber.credentials, event)) subscriber.deliver(event);
    this.#delivered(event);
  }
}

function mayReceive(credentials: Credentials, event: Message): boolean {
  return (
    (event.flags & Flag.private) === 0 ||
    (credentials.rolemask & Role.owner) !== 0 ||
    credentials.userid === event.userid
  );
}
