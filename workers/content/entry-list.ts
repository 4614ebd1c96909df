/** A list of entries by age from which any one is taken in constant time; an entry is in one list at most. */

export interface Listed<T> {
  older: T | undefined;
  newer: T | undefined;
}

export class EntryList<T extends Listed<T>> {
  #oldest: T | undefined;
  #newest: T | undefined;

  get oldest(): T | undefined {
    return this.#oldest;
  }

  /** Puts an entry that is in no list at the new end. */
  add(entry: T): void {
    entry.older = this.#newest;
    if (this.#newest) this.#newest.newer = entry;
    else this.#oldest = entry;
    this.#newest = entry;
  }

  /** Takes an entry out that is in this list. */
  remove(entry: T): void {
    if (entry.older) entry.older.newer = entry.newer;
    else this.#oldest = entry.newer;
    if (entry.newer) entry.newer.older = entry.older;
    else this.#newest = entry.older;
    entry.older = undefined;
    entry.newer = undefined;
  }
}
