/**
 * A sorted set that can be changed anywhere and counted into: a treap, a search tree that is a heap by random numbers,
 * which keeps it about as low as a balanced one. Each node knows how many items are below it and the least of their
 * weights, so the first item that weighs little enough is found on one way down.
 */

class TreapNode<T> {
  readonly item: T;
  readonly weight: number;
  readonly level: number;
  left: TreapNode<T> | undefined;
  right: TreapNode<T> | undefined;
  size = 1;
  least: number;

  constructor(item: T, weight: number, level: number) {
    this.item = item;
    this.weight = weight;
    this.least = weight;
    this.level = level;
  }

  /** To be called when what is below has changed. */
  update(): this {
    const { left, right } = this;
    this.size = 1 + (left ? left.size : 0) + (right ? right.size : 0);
    let least = this.weight;
    if (left && left.least < least) least = left.least;
    if (right && right.least < least) least = right.least;
    this.least = least;
    return this;
  }
}

export class OrderedSet<T> implements Iterable<T> {
  readonly #compare: (a: T, b: T) => number;
  readonly #weigh: (item: T) => number;
  #root: TreapNode<T> | undefined;
  #seed = 0x2545f491;

  /**
   * @param compare never 0 for two different items
   * @param weigh must say the same as long as the item is in the set
   */
  constructor(compare: (a: T, b: T) => number, weigh: (item: T) => number = () => 0) {
    this.#compare = compare;
    this.#weigh = weigh;
  }

  get size(): number {
    return this.#root?.size ?? 0;
  }

  get first(): T | undefined {
    let node = this.#root;
    while (node?.left) node = node.left;
    return node?.item;
  }

  add(item: T): void {
    this.#root = this.#insert(this.#root, new TreapNode(item, this.#weigh(item), this.#random()));
  }

  /** Returns whether it was there. */
  delete(item: T): boolean {
    const { size } = this;
    this.#root = this.#remove(this.#root, item);
    return this.size < size;
  }

  /** How many items come before this one, which need not be in the set. */
  countBefore(item: T): number {
    let count = 0;
    let node = this.#root;
    while (node) {
      if (this.#compare(node.item, item) < 0) {
        count += 1 + (node.left ? node.left.size : 0);
        node = node.right;
      } else node = node.left;
    }
    return count;
  }

  /** The first item behind `item`, or of all, that weighs at most `most`. */
  firstAfter(item: T | undefined, most = Infinity): T | undefined {
    return this.#firstAfter(this.#root, item, most)?.item;
  }

  *[Symbol.iterator](): Generator<T> {
    const stack: TreapNode<T>[] = [];
    let node = this.#root;
    while (node || stack.length) {
      for (; node; node = node.left) stack.push(node);
      const top = stack.pop()!;
      yield top.item;
      node = top.right;
    }
  }

  #insert(node: TreapNode<T> | undefined, added: TreapNode<T>): TreapNode<T> {
    if (!node) return added;
    if (added.level > node.level) {
      [added.left, added.right] = this.#split(node, added.item);
      return added.update();
    }
    if (this.#compare(added.item, node.item) < 0) node.left = this.#insert(node.left, added);
    else node.right = this.#insert(node.right, added);
    return node.update();
  }

  /** What comes before an item, and what behind it. */
  #split(
    node: TreapNode<T> | undefined,
    item: T,
  ): [before: TreapNode<T> | undefined, behind: TreapNode<T> | undefined] {
    if (!node) return [undefined, undefined];
    if (this.#compare(node.item, item) < 0) {
      const [before, behind] = this.#split(node.right, item);
      node.right = before;
      return [node.update(), behind];
    }
    const [before, behind] = this.#split(node.left, item);
    node.left = behind;
    return [before, node.update()];
  }

  #remove(node: TreapNode<T> | undefined, item: T): TreapNode<T> | undefined {
    if (!node) return undefined;
    const order = this.#compare(item, node.item);
    if (order === 0) return this.#join(node.left, node.right);
    if (order < 0) node.left = this.#remove(node.left, item);
    else node.right = this.#remove(node.right, item);
    return node.update();
  }

  #join(before: TreapNode<T> | undefined, behind: TreapNode<T> | undefined): TreapNode<T> | undefined {
    if (!before) return behind;
    if (!behind) return before;
    if (before.level > behind.level) {
      before.right = this.#join(before.right, behind);
      return before.update();
    }
    behind.left = this.#join(before, behind.left);
    return behind.update();
  }

  #firstAfter(node: TreapNode<T> | undefined, item: T | undefined, most: number): TreapNode<T> | undefined {
    if (!node || node.least > most) return undefined;
    if (item !== undefined && this.#compare(node.item, item) <= 0) return this.#firstAfter(node.right, item, most);
    const before = this.#firstAfter(node.left, item, most);
    if (before) return before;
    return node.weight <= most ? node : this.#firstAfter(node.right, undefined, most);
  }

  /** Marsaglia's xorshift: levels must be spread, not secret. */
  #random(): number {
    let x = this.#seed;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#seed = x;
    return x >>> 0;
  }
}
