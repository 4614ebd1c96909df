/**
 * A map with names as keys that lists them in the order of the hash tables Flux's C library keeps them in.
 *
 * Nothing depends on that order but the text of a resource set, whose members come in it. It follows from the hash of
 * each name, the size the table has grown to, and which of two names in one slot came last. A table that was handed on
 * is not changed any more; `clone` it first.
 */

/** The sizes a table takes as it grows: every fifth of the primes next below the powers of two. */
const slotCounts = [3, 17, 43, 103, 229, 487, 997, 2011, 4057, 8161, 16349, 32707, 65449, 131023] as const;
const LOAD_PERCENT = 75;

interface Item<V> {
  readonly name: string;
  readonly hash: bigint;
  value: V;
}

export class NameTable<V> implements Iterable<[name: string, value: V]> {
  readonly #items = new Map<string, Item<V>>();
  #growths = 0;
  /** In each slot the latest item comes first. */
  #slots: Item<V>[][] = emptySlots(slotCounts[0]);
  #reinserted: NameTable<V> | undefined;

  get size(): number {
    return this.#items.size;
  }

  has(name: string): boolean {
    return this.#items.has(name);
  }

  get(name: string): V | undefined {
    return this.#items.get(name)?.value;
  }

  *[Symbol.iterator](): Generator<[name: string, value: V]> {
    for (const slot of this.#slots) for (const { name, value } of slot) yield [name, value];
  }

  /** Adds a name, or does nothing when the table has it. The table may grow in either case. */
  insert(name: string, value: V): this {
    if (this.size >= Math.floor((this.#slots.length * LOAD_PERCENT) / 100)) this.#grow();
    if (this.#items.has(name)) return this;
    const item = { name, hash: hashOf(name), value };
    if (this.#slotOf(item).length > 1 + this.#growths) this.#grow();
    this.#slotOf(item).unshift(item);
    this.#items.set(name, item);
    return this;
  }

  /** Gives a name that the table has another value; its place stays. */
  replace(name: string, value: V): this {
    const item = this.#items.get(name);
    if (item) item.value = value;
    return this;
  }

  delete(name: string): this {
    const item = this.#items.get(name);
    if (item) {
      this.#items.delete(name);
      const slot = this.#slotOf(item);
      slot.splice(slot.indexOf(item), 1);
    }
    return this;
  }

  /** Another table with the same names in the same order. */
  clone(): NameTable<V> {
    const copy = new NameTable<V>();
    copy.#growths = this.#growths;
    copy.#slots = this.#slots.map((slot) => slot.map((item) => ({ ...item })));
    for (const item of copy.#slots.flat()) copy.#items.set(item.name, item);
    return copy;
  }

  /**
   * The table that comes of inserting all names anew in the order listed, which swaps those of one slot.
   * Made once and shared, like everything handed on.
   */
  get reinserted(): NameTable<V> {
    if (!this.#reinserted) {
      this.#reinserted = new NameTable<V>();
      for (const [name, value] of this) this.#reinserted.insert(name, value);
    }
    return this.#reinserted;
  }

  #slotOf(item: Item<V>): Item<V>[] {
    return this.#slots[Number(item.hash % BigInt(this.#slots.length))]!;
  }

  #grow(): void {
    const items = this.#slots.flat();
    this.#growths++;
    this.#slots = emptySlots(slotCounts[this.#growths] ?? slotCounts.at(-1)!);
    for (const item of items) this.#slotOf(item).unshift(item);
  }
}

function emptySlots<V>(count: number): Item<V>[][] {
  return Array.from({ length: count }, () => []);
}

/** Bernstein's hash in 64 bits over the name's UTF-8, whose bytes count as signed. */
function hashOf(name: string): bigint {
  let hash = 0n;
  for (const byte of Buffer.from(name)) {
    hash = BigInt.asUintN(64, hash * 33n) ^ BigInt.asUintN(64, BigInt(byte < 128 ? byte : byte - 256));
  }
  return hash;
}
