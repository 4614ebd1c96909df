/**
 * A set of the numbers below a bound that finds the next one in a few steps: words of 32 bits, and above them levels
 * whose bits say which words below are not empty.
 */

export class BitSet {
  readonly bound: number;
  readonly #levels: Uint32Array[] = [];
  #size = 0;

  /** For numbers from 0 up to, not including, `bound`. */
  constructor(bound: number) {
    this.bound = bound;
    let words = bound;
    do {
      words = Math.max(1, (words + 31) >>> 5);
      this.#levels.push(new Uint32Array(words));
    } while (words > 1);
  }

  get size(): number {
    return this.#size;
  }

  has(value: number): boolean {
    return ((this.#levels[0]![value >>> 5]! >>> (value & 31)) & 1) === 1;
  }

  add(value: number): void {
    if (this.has(value)) return;
    this.#size++;
    for (let level = 0, at = value; level < this.#levels.length; level++, at >>>= 5) {
      const words = this.#levels[level]!;
      const before = words[at >>> 5]!;
      words[at >>> 5] = before | (1 << (at & 31));
      if (before !== 0) return;
    }
  }

  delete(value: number): void {
    if (!this.has(value)) return;
    this.#size--;
    for (let level = 0, at = value; level < this.#levels.length; level++, at >>>= 5) {
      const words = this.#levels[level]!;
      words[at >>> 5]! &= ~(1 << (at & 31));
      if (words[at >>> 5] !== 0) return;
    }
  }

  /** The lowest number at or above `from`, or -1. */
  next(from: number): number {
    let level = 0;
    let at = from;
    for (;;) {
      const words = this.#levels[level]!;
      if (at >>> 5 < words.length) {
        const bits = words[at >>> 5]! & (-1 << (at & 31));
        if (bits !== 0) {
          at = (at & ~31) | (31 - Math.clz32(bits & -bits));
          break;
        }
      }
      if (++level === this.#levels.length) return -1;
      at = (at >>> 5) + 1;
    }
    while (level-- > 0) {
      const bits = this.#levels[level]![at]!;
      at = (at << 5) | (31 - Math.clz32(bits & -bits));
    }
    return at;
  }

  /** The highest number at or below `from`, or -1. */
  previous(from: number): number {
    let level = 0;
    let at = from;
    for (;;) {
      if (at < 0) return -1;
      const bits = this.#levels[level]![at >>> 5]! & (-1 >>> (31 - (at & 31)));
      if (bits !== 0) {
        at = (at & ~31) | (31 - Math.clz32(bits));
        break;
      }
      if (++level === this.#levels.length) return -1;
      at = (at >>> 5) - 1;
    }
    while (level-- > 0) at = (at << 5) | (31 - Math.clz32(this.#levels[level]![at]!));
    return at;
  }
}
