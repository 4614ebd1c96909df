/** The namespaces: names with a root each, and who may use them. */

import { FluxError } from '../../core/errno.ts';
import type { JsonObject } from '../../core/json.ts';
import { type Credentials, Role } from '../../core/message/credentials.ts';
import type { Transaction } from './commit-queue.ts';
import type { Root } from './follower.ts';
import { VersionWaits, WaitsBySender } from './version-waits.ts';

/** The namespace that belongs to the instance owner and is always there. */
export const PRIMARY = 'primary';

export class Namespace implements Root {
  readonly namespace: string;
  readonly owner: number;
  readonly flags: number;
  readonly waits: VersionWaits;
  rootref: string;
  rootseq = 0;
  isRemoved = false;
  /** Transactions whose turn has not come. */
  readonly queue: Transaction[] = [];
  /** Whether its queue has nothing to do, will be looked at soon, or waits for a commit that is under way. */
  state: 'idle' | 'due' | 'busy' = 'idle';
  /** Commits that left everything as it was. */
  noopCount = 0;
  // Answers that are held back.
  #held: (() => void)[] | undefined;

  constructor(namespace: string, rootref: string, owner: number, flags: number, waits: VersionWaits) {
    this.namespace = namespace;
    this.rootref = rootref;
    this.owner = owner;
    this.flags = flags;
    this.waits = waits;
  }

  get isPrimary(): boolean {
    return this.namespace === PRIMARY;
  }

  /** Answers to commits are held back from now on. */
  pause(): void {
    this.#held ??= [];
  }

  /** Gives the answers that were held back, in their order. */
  resume(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const answer of held) answer();
  }

  /** Answers commits, now or when that is not paused any more. */
  answer(answer: () => void): void {
    if (this.#held) this.#held.push(answer);
    else answer();
  }

  stats(): JsonObject {
    return {
      '#versionwaiters': this.waits.count,
      '#no-op stores': this.noopCount,
      '#transactions': this.queue.length,
      '#readytransactions': this.queue.length,
      'store revision': this.rootseq,
    };
  }
}

export class Namespaces {
  readonly #namespaces = new Map<string, Namespace>();
  readonly #waits = new WaitsBySender();

  get(name: string): Namespace | undefined {
    return this.#namespaces.get(name);
  }

  [Symbol.iterator](): Iterator<Namespace> {
    return this.#namespaces.values();
  }

  /**
   * The namespace that somebody wants to use.
   *
   * @throws FluxError EOPNOTSUPP: there is none; EPERM: it is another user's
   */
  open(name: string, { userid, rolemask }: Credentials): Namespace {
    const namespace = this.#namespaces.get(name);
    if (!namespace) throw new FluxError('EOPNOTSUPP');
    const isAllowed = rolemask & Role.owner || (rolemask & Role.user && userid === namespace.owner);
    if (!isAllowed) throw new FluxError('EPERM');
    return namespace;
  }

  /** @throws FluxError EEXIST */
  create(name: string, rootref: string, owner: number, flags: number): Namespace {
    if (this.#namespaces.has(name)) throw new FluxError('EEXIST', `namespace ${name} exists already`);
    const namespace = new Namespace(name, rootref, owner, flags, new VersionWaits(this.#waits));
    this.#namespaces.set(name, namespace);
    return namespace;
  }

  /** Takes a namespace away; undefined when there is none. */
  remove(name: string): Namespace | undefined {
    const namespace = this.#namespaces.get(name);
    if (!namespace) return undefined;
    namespace.isRemoved = true;
    this.#namespaces.delete(name);
    return namespace;
  }

  /** A client is gone, and waits for no version any more. */
  disconnect(sender: string): void {
    this.#waits.drop(sender);
  }
}
