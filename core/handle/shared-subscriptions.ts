/**
 * Subscriptions of many clients over one connection: upstream there is one for each prefix, made for its first subscriber
 * and ended with its last.
 */

import { FluxError } from '../errno.ts';
import { SetMap } from '../set-map.ts';
import { Subscriptions } from './subscriptions.ts';

/** Told how a call upstream ended. */
export type Done = (error?: FluxError) => void;

/** Asks upstream for `event.subscribe` or `event.unsubscribe`. */
export type SubscriptionCall = (method: 'subscribe' | 'unsubscribe', prefix: string, done: Done) => void;

/** A subscription that is being made upstream, and who waits for it. */
type Attempt = { readonly subscriber: object; readonly done: Done }[];

export class SharedSubscriptions<S extends object> {
  readonly #subscriptions = new Subscriptions<S>();
  readonly #prefixesOf = new SetMap<S, string>();
  readonly #attempts = new Map<string, Attempt>();
  readonly #call: SubscriptionCall;

  constructor(call: SubscriptionCall) {
    this.#call = call;
  }

  /** Subscribes; `done` is told when upstream has. */
  subscribe(prefix: string, subscriber: S, done: Done): void {
    const isFirst = !this.#subscriptions.has(prefix);
    this.#add(prefix, subscriber);
    if (!isFirst && !this.#attempts.has(prefix)) {
      done();
      return;
    }
    // A second subscriber is no better off than the first: both wait for the same answer.
    const attempt = this.#attempts.get(prefix) ?? [];
    attempt.push({ subscriber, done });
    if (isFirst) this.#ask(prefix, attempt);
  }

  #ask(prefix: string, attempt: Attempt): void {
    this.#attempts.set(prefix, attempt);
    this.#call('subscribe', prefix, (error) => {
      if (this.#attempts.get(prefix) === attempt) this.#attempts.delete(prefix);
      for (const waiting of attempt) {
        if (error) this.#remove(prefix, waiting.subscriber as S);
        waiting.done(error);
      }
    });
  }

  /** Takes one subscription back; `done` is told ENOENT when there is none. */
  unsubscribe(prefix: string, subscriber: S, done: Done): void {
    if (!this.#remove(prefix, subscriber)) done(new FluxError('ENOENT', `there is no subscription to '${prefix}'`));
    else if (this.#subscriptions.has(prefix)) done();
    else this.#end(prefix, done);
  }

  /** Takes all subscriptions of one back who is gone. */
  drop(subscriber: S): void {
    for (const prefix of this.#prefixesOf.take(subscriber)) {
      this.#subscriptions.removeAll([prefix], subscriber);
      if (!this.#subscriptions.has(prefix)) this.#end(prefix, () => {});
    }
  }

  #end(prefix: string, done: Done): void {
    // Whoever subscribes from now on needs an attempt of its own, behind this in the order of messages.
    this.#attempts.delete(prefix);
    this.#call('unsubscribe', prefix, done);
  }

  /** Makes all subscriptions again, over a new connection; those who fail are told by the promise. */
  async renew(): Promise<void> {
    await Promise.all(
      this.#subscriptions.prefixes().map(
        (prefix) =>
          new Promise<void>((resolve, reject) => {
            this.#call('subscribe', prefix, (error) => (error ? reject(error) : resolve()));
          }),
      ),
    );
  }

  /** The subscribers whose prefix a topic begins with, each once. */
  of(topic: string): Iterable<S> {
    return this.#subscriptions.of(topic);
  }

  #add(prefix: string, subscriber: S): void {
    this.#subscriptions.add(prefix, subscriber);
    this.#prefixesOf.add(subscriber, prefix);
  }

  #remove(prefix: string, subscriber: S): boolean {
    if (!this.#subscriptions.remove(prefix, subscriber)) return false;
    if (!this.#subscriptions.has(prefix, subscriber)) this.#prefixesOf.delete(subscriber, prefix);
    return true;
  }
}
