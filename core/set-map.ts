/**
 * Several values by key, each once. Most keys have one value, which then needs no set of its own: a thousand requests that
 * wait, each of a client of its own, are a thousand sets less.
 */

export class SetMap<K, V extends object | string> {
  readonly #sets = new Map<K, V | Set<V>>();

  add(key: K, value: V): void {
    const present = this.#sets.get(key);
    if (present === undefined) this.#sets.set(key, value);
    else if (present instanceof Set) present.add(value);
    else if (present !== value) this.#sets.set(key, new Set([present, value]));
  }

  /** Takes one value out, if it is there. */
  delete(key: K, value: V): void {
    const present = this.#sets.get(key);
    if (present instanceof Set) {
      present.delete(value);
      if (present.size === 0) this.#sets.delete(key);
    } else if (present === value) this.#sets.delete(key);
  }

  /** The values of a key now, in the order in which they came. */
  of(key: K): V[] {
    const present = this.#sets.get(key);
    if (present === undefined) return [];
    return present instanceof Set ? [...present] : [present];
  }

  /** Takes out all values of a key, and gives them. */
  take(key: K): V[] {
    const values = this.of(key);
    this.#sets.delete(key);
    return values;
  }

  /** All values of all keys. */
  values(): V[] {
    return [...this.#sets.keys()].flatMap((key) => this.of(key));
  }
}
