/**
 * Who wants which events: a subscription is a prefix of topics (RFC 6), `''` is everything.
 *
 * Looking up the subscribers of a topic costs one table look-up for each length that some prefix has, however many
 * prefixes and subscribers there are.
 */

export class Subscriptions<S> {
  // Subscribers of each prefix, with how often each subscribed.
  readonly #byPrefix = new Map<string, Map<S, number>>();
  // Lengths of the prefixes, with how many prefixes have each.
  readonly #lengths = new Map<number, number>();

  get isEmpty(): boolean {
    return this.#byPrefix.size === 0;
  }

  /** Whether somebody subscribed to just this prefix, or whether this one did. */
  has(prefix: string, subscriber?: S): boolean {
    const subscribers = this.#byPrefix.get(prefix);
    return subscribers !== undefined && (subscriber === undefined || subscribers.has(subscriber));
  }

  /** All prefixes, each once. */
  prefixes(): string[] {
    return [...this.#byPrefix.keys()];
  }

  /** Adds one subscription; the same one twice needs removing twice. */
  add(prefix: string, subscriber: S): void {
    let subscribers = this.#byPrefix.get(prefix);
    if (!subscribers) {
      subscribers = new Map();
      this.#byPrefix.set(prefix, subscribers);
      this.#lengths.set(prefix.length, (this.#lengths.get(prefix.length) ?? 0) + 1);
    }
    subscribers.set(subscriber, (subscribers.get(subscriber) ?? 0) + 1);
  }

  /** Removes one subscription; false when there was none. */
  remove(prefix: string, subscriber: S): boolean {
    const subscribers = this.#byPrefix.get(prefix);
    const count = subscribers?.get(subscriber);
    if (!subscribers || !count) return false;
    if (count > 1) subscribers.set(subscriber, count - 1);
    else {
      subscribers.delete(subscriber);
      if (subscribers.size === 0) this.#forget(prefix);
    }
    return true;
  }

  /** Removes a subscriber from these prefixes, however often it subscribed. */
  removeAll(prefixes: Iterable<string>, subscriber: S): void {
    for (const prefix of prefixes) {
      const subscribers = this.#byPrefix.get(prefix);
      if (subscribers?.delete(subscriber) && subscribers.size === 0) this.#forget(prefix);
    }
  }

  #forget(prefix: string): void {
    this.#byPrefix.delete(prefix);
    const left = this.#lengths.get(prefix.length)! - 1;
    if (left) this.#lengths.set(prefix.length, left);
    else this.#lengths.delete(prefix.length);
  }

  /** All subscribers, each once. */
  all(): Set<S> {
    return new Set([...this.#byPrefix.values()].flatMap((subscribers) => [...subscribers.keys()]));
  }

  /** The subscribers whose prefix a topic begins with, each once. */
  of(topic: string): Set<S> | readonly S[] {
    let first: Map<S, number> | undefined;
    let several: Set<S> | undefined;
    for (const length of this.#lengths.keys()) {
      if (length > topic.length) continue;
      const subscribers = this.#byPrefix.get(topic.slice(0, length));
      if (!subscribers) continue;
      if (!first) first = subscribers;
      else {
        several ??= new Set(first.keys());
        for (const subscriber of subscribers.keys()) several.add(subscriber);
      }
    }
    return several ?? (first ? [...first.keys()] : []);
  }
}
