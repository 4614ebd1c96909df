/**
 * The watchers of a namespace by what concerns them: a commit finds those it has to tell without asking the others.
 *
 * Most watch for commits that name their key. Those that watch the whole path (`watchFull`) are concerned by a change of
 * what is above their key and of what is below it, too.
 */

import { ROOT_KEY } from '../../core/formats/kvs-key.ts';
import { SetMap } from '../../core/set-map.ts';

export interface IndexedWatcher {
  /** Normalized. */
  readonly key: string;
  /** Whether a change anywhere on its path concerns it. */
  readonly isWhole: boolean;
}

export class KeyIndex<W extends IndexedWatcher> {
  readonly #named = new SetMap<string, W>();
  readonly #whole = new SetMap<string, W>();
  // Those that watch the whole path, by each directory on it.
  readonly #below = new SetMap<string, W>();
  readonly #allWhole = new Set<W>();
  // Those whose path goes through a symbolic link: their value is somewhere else than their key.
  readonly #linked = new Set<W>();

  add(watcher: W): void {
    const { key } = watcher;
    if (!watcher.isWhole) {
      this.#named.add(key, watcher);
      return;
    }
    this.#allWhole.add(watcher);
    this.#whole.add(key, watcher);
    for (const directory of directoriesOf(key)) this.#below.add(directory, watcher);
  }

  remove(watcher: W): void {
    const { key } = watcher;
    if (!watcher.isWhole) {
      this.#named.delete(key, watcher);
      return;
    }
    this.#allWhole.delete(watcher);
    this.#linked.delete(watcher);
    this.#whole.delete(key, watcher);
    for (const directory of directoriesOf(key)) this.#below.delete(directory, watcher);
  }

  /** Notes whether the path of a watcher of the whole path goes through a symbolic link. */
  setLinked(watcher: W, isLinked: boolean): void {
    if (isLinked && this.#allWhole.has(watcher)) this.#linked.add(watcher);
    else this.#linked.delete(watcher);
  }

  /**
   * The watchers that a commit concerns.
   *
   * @param isComplete whether nothing changed but these keys, what is above them and what is below
   */
  concerned(keys: readonly string[], isComplete: boolean): Set<W> {
    const found = new Set(isComplete ? this.#linked : this.#allWhole);
    const collect = (watchers: readonly W[]): void => {
      for (const watcher of watchers) found.add(watcher);
    };
    const looksAtWhole = isComplete && this.#allWhole.size > 0;
    for (const key of keys) {
      collect(this.#named.of(key));
      if (!looksAtWhole) continue;
      collect(this.#whole.of(key));
      collect(this.#below.of(key));
      for (const directory of directoriesOf(key)) collect(this.#whole.of(directory));
    }
    return found;
  }
}

/** The directories that a normalized key is in: `a.b.c` is in `a.b`, `a` and `.`. */
export function directoriesOf(key: string): string[] {
  if (key === ROOT_KEY) return [];
  const directories = [ROOT_KEY];
  for (let dot = key.indexOf('.'); dot > 0; dot = key.indexOf('.', dot + 1)) directories.push(key.slice(0, dot));
  return directories;
}
