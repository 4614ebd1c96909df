/** The watchers of one namespace, and its root as they know it. */

import { asFluxError, errno, FluxError } from '../../core/errno.ts';
import type { Root } from '../kvs/follower.ts';
import { KeyIndex } from './key-index.ts';
import { type Source, whenThere } from './source.ts';
import type { Watcher, WatcherHost } from './watcher.ts';

export class WatchedNamespace implements WatcherHost {
  readonly name: string;
  readonly source: Source;
  readonly turn: () => Promise<void>;
  readonly #onEnd: (watcher: Watcher, namespace: WatchedNamespace) => void;
  readonly #watchers = new Set<Watcher>();
  readonly #index = new KeyIndex<Watcher>();
  #root: Root | undefined;
  #isAsking = false;

  /** `turn` resolves after other work of the thread; `onEnd` is told of each watcher that has given its last answer. */
  constructor(
    name: string,
    source: Source,
    turn: () => Promise<void>,
    onEnd: (watcher: Watcher, namespace: WatchedNamespace) => void,
  ) {
    this.name = name;
    this.source = source;
    this.turn = turn;
    this.#onEnd = onEnd;
  }

  get count(): number {
    return this.#watchers.size;
  }

  /** Undefined while there is no such namespace, or it is not known. */
  get root(): Root | undefined {
    return this.#root;
  }

  /** Lets a watcher look at what is there now, or wait for it. */
  add(watcher: Watcher): void {
    this.#watchers.add(watcher);
    this.#index.add(watcher);
    if (this.#root) begin(watcher, this.#root);
    else if (!this.#isAsking) this.#ask();
  }

  ended(watcher: Watcher): void {
    this.#watchers.delete(watcher);
    this.#index.remove(watcher);
    this.#onEnd(watcher, this);
  }

  linked(watcher: Watcher, isLinked: boolean): void {
    this.#index.setLinked(watcher, isLinked);
  }

  #ask(): void {
    this.#isAsking = true;
    const fail = (error: unknown) => this.#unknown(asFluxError(error));
    try {
      const asked = whenThere(this.source.root(this.name), (root) => this.exists(root));
      if (asked instanceof Promise) asked.catch(fail);
    } catch (error) {
      fail(error);
    }
  }

  /** There is a namespace; when it was known before, nothing is new. */
  exists(root: Root): void {
    this.#isAsking = false;
    if (this.#root) return;
    this.#root = root;
    for (const watcher of [...this.#watchers]) begin(watcher, root);
  }

  #unknown(error: FluxError): void {
    this.#isAsking = false;
    if (this.#root) return;
    const isMissing = error.errno === errno.EOPNOTSUPP;
    for (const watcher of [...this.#watchers]) if (!isMissing || !watcher.isWaiting) watcher.fail(error);
  }

  /** Lets those look whom a commit concerns. */
  changed(root: Root, keys: readonly string[], isComplete: boolean): void {
    if (!this.#root) this.exists(root);
    if (root.rootseq <= this.#root!.rootseq) return;
    this.#root = root;
    for (const watcher of this.#index.concerned(keys, isComplete)) watcher.look(root);
  }

  removed(): void {
    for (const watcher of [...this.#watchers])
      watcher.fail(new FluxError('EOPNOTSUPP', `the namespace ${this.name} was removed`));
  }
}

/** The first look, for those who may use the namespace. */
function begin(watcher: Watcher, root: Root): void {
  const { isOwner, userid } = watcher.request;
  if (isOwner || userid === root.owner) watcher.look(root);
  else watcher.fail(new FluxError('EPERM', `the namespace ${root.namespace} belongs to user ${root.owner}`));
}
