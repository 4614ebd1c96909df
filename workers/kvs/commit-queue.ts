/**
 * Commits. Transactions wait in the queue of their namespace; when its turn comes, all that wait are applied to one new
 * root, its blobs are handed to the content service, and all are answered at once.
 *
 * Where everything is at hand that happens in one go. Else the namespace waits, for blobs to be loaded, room for those to
 * be stored, or a checkpoint, and more transactions gather behind it; other namespaces go on.
 */

import { asFluxError, FluxError } from '../../core/errno.ts';
import { mayBeDirectory } from '../../core/formats/tree-references.ts';
import type { Payload } from '../../core/message/message.ts';
import type { ContentAccess } from '../content/access.ts';
import { Commit, type CommitStep } from './commit.ts';
import type { Namespace } from './namespaces.ts';
import { LoadedObjects, type ObjectCache } from './object-cache.ts';
import type { Objects } from './objects.ts';
import type { Operation } from './transaction.ts';

/** Who waits for a transaction: a request, or the requests of a fence. */
export interface Waiting {
  reply(payload: Payload): void;
  fail(error: FluxError): void;
}

export interface Transaction {
  /** Unique in the instance; events name it. */
  readonly name: string;
  readonly operations: readonly Operation[];
  /** Has a root of its own (NO_MERGE). */
  readonly isAlone: boolean;
  /** Is in a checkpoint before it is answered (SYNC). */
  readonly isSync: boolean;
  /** Nobody, when who asked is another rank's KVS, which learns from events. */
  readonly waiting: Waiting | undefined;
}

type Finished = Exclude<CommitStep, { readonly missing: readonly string[] }>;
type Failed = readonly [Transaction, FluxError];

/** What a turn came to: a new root for those that could be applied. */
export interface Outcome {
  readonly namespace: Namespace;
  readonly applied: readonly Transaction[];
  readonly failed: readonly Failed[];
  /** Undefined when none could be applied. */
  readonly root: Finished | undefined;
}

export interface CommitHost {
  readonly cache: ObjectCache;
  content(): ContentAccess;
  maxdirent(): number;
  /** Calls back when the messages that have come are handled. */
  soon(callback: () => void): void;
  /** Calls back when all else that waits for the thread has had its turn. */
  later(callback: () => void): void;
  /** Writes a checkpoint of a root that is about to be the primary namespace's. */
  checkpoint(rootref: string, sequence: number): Promise<void>;
  /** A turn is over. */
  finished(outcome: Outcome): void;
}

/** Transactions that are committed as one at most, and roots that are made in one go: each some milliseconds. */
const GROUP_MAX = 1024;
const ROOTS_MAX = 64;

/** A root in the making. */
interface Draft {
  readonly namespace: Namespace;
  readonly commit: Commit;
  readonly applied: Transaction[];
  readonly failed: Failed[];
}

export class CommitQueue {
  readonly #host: CommitHost;
  #due: Namespace[] = [];
  #isStopped = false;

  constructor(host: CommitHost) {
    this.#host = host;
  }

  add(namespace: Namespace, transaction: Transaction): void {
    namespace.queue.push(transaction);
    if (namespace.state !== 'idle') return;
    namespace.state = 'due';
    if (this.#due.push(namespace) === 1) this.#host.soon(() => this.#turn());
  }

  /** What was not committed by now never will be. */
  stop(): void {
    this.#isStopped = true;
  }

  #turn(): void {
    const due = this.#due;
    this.#due = [];
    for (const namespace of due) this.#work(namespace);
  }

  /** Commits what waits, as far as that goes without waiting and does not take long. */
  #work(namespace: Namespace): void {
    namespace.state = 'busy';
    for (let roots = 0; namespace.queue.length && !this.#isStopped; roots++) {
      if (roots === ROOTS_MAX) {
        this.#host.later(() => this.#work(namespace));
        return;
      }
      const pending = this.#commit(namespace, takeGroup(namespace));
      if (!pending) continue;
      void pending.then(() => this.#work(namespace));
      return;
    }
    namespace.state = 'idle';
  }

  /** Commits transactions as one; a promise, which never rejects, when that takes time. */
  #commit(namespace: Namespace, group: readonly Transaction[]): Promise<void> | undefined {
    const { cache } = this.#host;
    const draft: Draft = { namespace, commit: this.#newCommit(namespace), applied: [], failed: [] };
    for (const [index, transaction] of group.entries())
      if (apply(draft, transaction, cache)) return this.#commitSlowly(draft, group.slice(index));
    if (draft.applied.length === 0) return this.#finish(draft, undefined);
    let root: CommitStep;
    try {
      root = draft.commit.finish(cache);
      if ('missing' in root) return this.#commitSlowly(draft, []);
    } catch (error) {
      failAll(draft, error);
      return this.#finish(draft, undefined);
    }
    let stored: Promise<unknown> | undefined;
    try {
      stored = this.#store(root);
    } catch (error) {
      failAll(draft, error);
      return this.#finish(draft, root);
    }
    if (!stored && !draft.applied[0]!.isSync) return this.#finish(draft, root);
    return this.#keepAndFinish(draft, root, stored);
  }

  #newCommit({ namespace, rootref }: Namespace): Commit {
    return new Commit(rootref, { namespace, hash: this.#host.cache.hash, maxdirent: this.#host.maxdirent() });
  }

  /** The same where blobs are missing. */
  async #commitSlowly(draft: Draft, rest: readonly Transaction[]): Promise<void> {
    const objects = new LoadedObjects(this.#host.cache);
    for (const transaction of rest) {
      try {
        for (let missing = apply(draft, transaction, objects); missing; missing = apply(draft, transaction, objects))
          await objects.load(missing);
      } catch (error) {
        draft.failed.push([transaction, asFluxError(error)]);
      }
    }
    if (draft.applied.length === 0) return this.#finish(draft, undefined);
    let root: CommitStep;
    try {
      for (root = draft.commit.finish(objects); 'missing' in root; root = draft.commit.finish(objects))
        await objects.load(root.missing);
    } catch (error) {
      failAll(draft, error);
      return this.#finish(draft, undefined);
    }
    await this.#keepAndFinish(draft, root);
  }

  /** Hands new blobs on; a promise when more must wait until there is room for these. */
  #store({ store, directories }: Finished): Promise<unknown> | undefined {
    const content = this.#host.content();
    const pending: Promise<void>[] = [];
    for (const [blobref, bytes] of store) {
      // A value that could be taken for a directory: nobody counts to what that refers.
      const isCounted = directories.has(blobref) || !mayBeDirectory(bytes);
      const stored = content.store(blobref, bytes, isCounted);
      if (stored) pending.push(stored);
    }
    return pending.length ? Promise.all(pending) : undefined;
  }

  /** Waits until new blobs are kept, and for a checkpoint if one is wanted. */
  async #keepAndFinish(draft: Draft, root: Finished, stored?: Promise<unknown>): Promise<void> {
    try {
      await (stored ?? this.#store(root));
      const { namespace, applied } = draft;
      if (applied[0]!.isSync) await this.#host.checkpoint(root.rootref, namespace.rootseq + 1);
    } catch (error) {
      failAll(draft, error);
    }
    this.#finish(draft, root);
  }

  /** Ends a turn; what was made of it is the new root if there are transactions that have not failed. */
  #finish(draft: Draft, made: Finished | undefined): undefined {
    const { namespace, applied, failed } = draft;
    if (namespace.isRemoved) failAll(draft, new FluxError('EOPNOTSUPP'));
    const root = applied.length && !this.#isStopped ? made : undefined;
    const { references } = this.#host.content();
    if (root) {
      references?.add(root.referred);
      references?.replace(root.replaced);
    } else if (made) references?.doubt(made.directories.keys());
    if (!this.#isStopped) this.#host.finished({ namespace, applied, failed, root });
  }
}

/** Takes what is committed together: up to one that wants to be alone, or that has another wish for a checkpoint. */
function takeGroup({ queue }: Namespace): readonly Transaction[] {
  const { isAlone, isSync } = queue[0]!;
  let count = 1;
  const isNext = (each: Transaction | undefined) => each && !each.isAlone && each.isSync === isSync;
  if (!isAlone) while (count < GROUP_MAX && isNext(queue[count])) count++;
  return queue.splice(0, count);
}

/** Applies a transaction, or notes why not; what is missing for that otherwise. */
function apply(draft: Draft, transaction: Transaction, objects: Objects): readonly string[] | undefined {
  try {
    const missing = draft.commit.apply(transaction.operations, objects);
    if (missing) return missing;
    draft.applied.push(transaction);
  } catch (error) {
    draft.failed.push([transaction, asFluxError(error)]);
  }
  return undefined;
}

function failAll(draft: Draft, error: unknown): void {
  const failure = asFluxError(error);
  for (const transaction of draft.applied.splice(0)) draft.failed.push([transaction, failure]);
}
