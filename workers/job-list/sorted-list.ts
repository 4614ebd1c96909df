/**
 * A list in order, for many items: adding and removing costs a binary search and the moving of a few hundred pointers.
 *
 * The items are in chunks of bounded size, in order. An item's place must not change while it is in the list: who
 * changes what the order depends on takes it out before.
 */

const CHUNK_MAX = 512;

interface Chunk<T> {
  readonly items: T[];
  /** A snapshot has it, so it is not changed any more. */
  isShared: boolean;
}

export class SortedList<T> {
  readonly #compare: (a: T, b: T) => number;
  readonly #chunks: Chunk<T>[] = [];
  #count = 0;

  /** `compare` is negative when `a` comes first; no two items are equal in it. */
  constructor(compare: (a: T, b: T) => number) {
    this.#compare = compare;
  }

  get count(): number {
    return this.#count;
  }

  add(item: T): void {
    this.#count++;
    const at = this.#chunkOf(item);
    if (at >= this.#chunks.length) {
      this.#chunks.push({ items: [item], isShared: false });
      return;
    }
    const items = this.#changeable(at);
    items.splice(this.#placeIn(items, item), 0, item);
    if (items.length > CHUNK_MAX)
      this.#chunks.splice(at + 1, 0, { items: items.splice(CHUNK_MAX / 2), isShared: false });
  }

  /** Takes an item out; false when it is not there. */
  remove(item: T): boolean {
    const at = this.#chunkOf(item);
    if (at >= this.#chunks.length) return false;
    const place = this.#placeIn(this.#chunks[at]!.items, item);
    if (this.#chunks[at]!.items[place] !== item) return false;
    const items = this.#changeable(at);
    items.splice(place, 1);
    if (items.length === 0) this.#chunks.splice(at, 1);
    this.#count--;
    return true;
  }

  /**
   * The items as they are now, whatever becomes of the list, as arrays that follow one another. They are the list's own until
   * one of them changes: this costs a pointer for each, not for each item.
   */
  snapshot(): (readonly T[])[] {
    return this.#chunks.map((chunk) => {
      chunk.isShared = true;
      return chunk.items;
    });
  }

  #changeable(at: number): T[] {
    const chunk = this.#chunks[at]!;
    if (!chunk.isShared) return chunk.items;
    const items = [...chunk.items];
    this.#chunks[at] = { items, isShared: false };
    return items;
  }

  /** The last chunk that begins at or before an item, or the first. */
  #chunkOf(item: T): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(this.#chunks[middle]!.items[0]!, item) <= 0) low = middle + 1;
      else high = middle;
    }
    return Math.max(low - 1, 0);
  }

  /** The first place in a chunk whose item does not come before this one. */
  #placeIn(items: readonly T[], item: T): number {
    let low = 0;
    let high = items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(items[middle]!, item) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
