/**
 * The watchers of a namespace by what concerns them: a commit finds those it has to tell without asking the others.
 *
 * Most watch for commits that name their key. Those that watch the whole path (`watchFull`) are concerned by a change of
 * what is above their key and of what is below it, too.
 */

import { ROOT_KEY } from '../../core/formats/kvs-key.ts';

export interface IndexedWatcher {
  /** Normalized. */
  readonly key: string;
  /** Whether a change anywhere on its path concerns it. */
  readonly isWhole: boolean;
}

type Watchers<W> = Map<string, Set<W>>;

export class KeyIndex<W extends IndexedWatcher> {
  readonly #named: Watchers<W> = new Map();
  readonly #whole: Watchers<W> = new Map();
  // Those that watch the whole path, by each directory on it.
  readonly #below: Watchers<W> = new Map();
  readonly #allWhole = new Set<W>();
  // Those whose path goes through a symbolic link: their value is somewhere else than their key.
  readonly #linked = new Set<W>();

  add(watcher: W): void {
    const { key } = watcher;
    if (!watcher.isWhole) {
      put(this.#named, key, watcher);
      return;
    }
    this.#allWhole.add(watcher);
    put(this.#whole, key, watcher);
    for (const directory of directoriesOf(key)) put(this.#below, directory, watcher);
  }

  remove(watcher: W): void {
    const { key } = watcher;
    if (!watcher.isWhole) {
      take(this.#named, key, watcher);
      return;
    }
    this.#allWhole.delete(watcher);
    this.#linked.delete(watcher);
    take(this.#whole, key, watcher);
    for (const directory of directoriesOf(key)) take(this.#below, directory, watcher);
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
    const collect = (watchers: ReadonlySet<W> | undefined): void => {
      for (const watcher of watchers ?? []) found.add(watcher);
    };
    const looksAtWhole = isComplete && this.#allWhole.size > 0;
    for (const key of keys) {
      collect(this.#named.get(key));
      if (!looksAtWhole) continue;
      collect(this.#whole.get(key));
      collect(this.#below.get(key));
      for (const directory of directoriesOf(key)) collect(this.#whole.get(directory));
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

function put<W>(watchers: Watchers<W>, key: string, watcher: W): void {
  const there = watchers.get(key);
  if (there) there.add(watcher);
  else watchers.set(key, new Set([watcher]));
}

function take<W>(watchers: Watchers<W>, key: string, watcher: W): void {
  const there = watchers.get(key);
  if (there?.delete(watcher) && there.size === 0) watchers.delete(key);
}
